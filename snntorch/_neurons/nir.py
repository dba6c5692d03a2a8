"""Leaky and Synaptic in the terms of NIR: a scaled input, a resting and a reset potential."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .leaky import Leaky
from .neurons import SpikingNeuron, State
from .synaptic import Synaptic


def membrane(u: Tensor) -> Tensor:
    """Return the membrane itself: the ``spike_grad`` of an integrator, which does not fire."""
    return u


class _Driven(SpikingNeuron):
    """A neuron whose input is scaled and shifted, and whose states start from given values.

    Potentials are relative to the reset potential: a reset sets them to zero, and the leak towards
    the resting potential is a constant current.
    """

    scale: Tensor
    bias: Tensor
    v_reset: Tensor

    def _drive(self, **values: Any) -> None:
        for name, value in values.items():
            self._register(name, value, False)

    def _as_current(self, input_: Tensor) -> Tensor:
        return super()._as_current(input_) * self.scale + self.bias

    def _fitting(self, name: str, given: State, x: Tensor, shape: torch.Size) -> Tensor:
        if given is None and self._newest(name) is None:
            given = self._buffers[f"{name}_0"]
        return super()._fitting(name, given, x, shape)


class NIRLeaky(_Driven, Leaky):
    r"""A leaky integrator of NIR that no :class:`Leaky` equals.

    .. math:: U[t+1] = \beta U[t] + s X[t+1] + b, \qquad U[0] = U_0

    where :math:`U` is relative to the reset potential, to which a spike resets it.

    :param scale: :math:`s`
    :param bias: :math:`b`
    :param v_reset: the reset potential in the units of the graph
    :param mem_0: :math:`U_0`

    Each is a number or a tensor that broadcasts to one sample. The other arguments are those of
    :class:`Leaky`.
    """

    def __init__(
        self, beta: Any, scale: Any, bias: Any, v_reset: Any, mem_0: Any, **kwargs: Any
    ) -> None:
        super().__init__(beta, **kwargs)
        self._drive(scale=scale, bias=bias, v_reset=v_reset, mem_0=mem_0)


class NIRSynaptic(_Driven, Synaptic):
    r"""A current-based leaky integrator of NIR that no :class:`Synaptic` equals.

    .. math::

        I_{\rm syn}[t+1] &= \alpha I_{\rm syn}[t] + s X[t+1] + b, \qquad I_{\rm syn}[0] = I_0 \\
        U[t+1] &= \beta U[t] + I_{\rm syn}[t+1], \qquad U[0] = U_0

    where :math:`U` is relative to the reset potential, to which a spike resets it. With
    :math:`b = (1 - \alpha) I_0` a part :math:`I_0` of the current is constant.

    :param scale: :math:`s`
    :param bias: :math:`b`
    :param v_reset: the reset potential in the units of the graph
    :param syn_0: :math:`I_0`
    :param mem_0: :math:`U_0`

    Each is a number or a tensor that broadcasts to one sample. The other arguments are those of
    :class:`Synaptic`.
    """

    def __init__(
        self,
        alpha: Any,
        beta: Any,
        scale: Any,
        bias: Any,
        v_reset: Any,
        syn_0: Any,
        mem_0: Any,
        **kwargs: Any,
    ) -> None:
        super().__init__(alpha, beta, **kwargs)
        self._drive(scale=scale, bias=bias, v_reset=v_reset, syn_0=syn_0, mem_0=mem_0)

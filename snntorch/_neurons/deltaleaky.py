from typing import Any

import torch
from torch import Tensor

from ..dynamics import DELTA_LEAKY
from .leaky import Leaky
from .neurons import States


class DeltaLeaky(Leaky):
    r"""Leaky neuron that fires when its membrane changes, and is never reset.

    .. math::

        U[t+1] &= \beta U[t] + X[t+1] \\
        S[t+1] &= \Theta(|U[t+1] - U[t]| - \Delta_{\rm thr})

    A rise and a fall fire the same spike. The surrogate is that of the overdrive
    :math:`|U[t+1] - U[t]| - \Delta_{\rm thr}`.

    :param delta_threshold: the change :math:`\Delta_{\rm thr}` that it takes to fire, in units of
        the membrane, a number or a tensor that broadcasts to one sample; default 1. It is in no
        ``state_dict``
    :param args: the arguments of :class:`Leaky`, ``beta`` first
    :param kwargs: keyword arguments of :class:`Leaky`
    :raises TypeError: ``delta_threshold`` is not a number

    Of these arguments, ``threshold``, ``reset_mechanism`` and ``reset_delay`` have no effect.

    Example::

        lif = snn.DeltaLeaky(delta_threshold=0.1, beta=0.9)
        mem = lif.init_leaky()
        for step in range(num_steps):
            spk, mem = lif(x[step], mem)

    Source: P. O'Connor, M. Welling, "Sigma Delta Quantized Networks", ICLR (2017).
    """

    states = ("mem", "mem_prev")  # type: ignore[assignment]
    _snn_model = DELTA_LEAKY
    _snn_resets = False

    delta_threshold: float | Tensor

    def __init__(self, delta_threshold: float | Tensor = 1.0, *args: Any, **kwargs: Any) -> None:
        if delta_threshold is None or isinstance(delta_threshold, str | bool):
            raise TypeError(
                f"DeltaLeaky: delta_threshold={delta_threshold!r}; a number or a tensor is needed"
            )
        super().__init__(*args, **kwargs)
        self.output = True  # a call returns the states also with init_hidden=True
        if isinstance(delta_threshold, Tensor):
            self._snn_register("delta_threshold", delta_threshold, False)
            self._non_persistent_buffers_set.add("delta_threshold")
        else:
            self.delta_threshold = delta_threshold

    def _snn_firing_threshold(self) -> Tensor:
        like = self.threshold
        return torch.as_tensor(self.delta_threshold, dtype=like.dtype, device=like.device)

    def _snn_all_states(self, new: States, old: States) -> States:
        return *new[:1], old[0]

    def _snn_packed(self, spk: Tensor, states: States) -> Any:
        return spk, states

    def extra_repr(self) -> str:
        """Return the parameters as ``print(net)`` shows them."""
        shown = super().extra_repr()  # a tensor's shape is among the buffers
        delta = self.delta_threshold
        return shown if isinstance(delta, Tensor) else f"{shown}, delta_threshold={delta}"

    def forward(self, input_: Tensor, mem: Any = None) -> Any:  # type: ignore[override]
        """Advance by one time step.

        :param input_: input current ``[B, ...]``
        :param mem: pair ``(mem, mem_prev)`` of membrane potentials after this and the step before,
            as the last call returned it; default the last call's, or zeros. None in the pair
            stands for zeros
        :returns: ``spk, (mem, mem_prev)``, each of the input's shape, whatever ``init_hidden`` and
            ``output`` are; so in ``nn.Sequential`` it can only come last
        """
        if mem is None:
            return self._snn_call(input_)
        names = self._snn_state_names
        if not isinstance(mem, tuple | list) or len(mem) != len(names):
            kind = "pair" if len(names) == 2 else "tuple"
            raise TypeError(
                f"DeltaLeaky: mem is a {type(mem).__name__}; pass the {kind} ({', '.join(names)}) "
                "that the last call or init_leaky() returned"
            )
        return self._snn_call(
            input_, *(torch.zeros(()) if state is None else state for state in mem)
        )

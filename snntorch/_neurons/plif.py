from typing import Any

import torch
from torch import Tensor

from .neuron import Neuron
from .neurons import Parameter


class PLIF(Neuron):
    r"""Leaky integrate-and-fire neuron whose time constant is learned.

    The membrane moves toward the input at a rate that a parameter :math:`w` gives:

    .. math:: U[t+1] = U[t] + \frac{1}{\tau} (X[t+1] - U[t]), \qquad \frac{1}{\tau} = \sigma(w)

    The sigmoid :math:`\sigma` keeps the time constant above one time step. As in the paper, the
    membrane is set to zero within the step in which it fires.

    :param tau: time constant :math:`\tau` at first, in time steps, greater than 1, a number or a
        tensor that broadcasts to one sample; default 2
    :param learn_tau: learn :math:`w`, and with it the time constant; default True
    :param reset_mechanism: ``"zero"`` (default), ``"subtract"`` or ``"none"``
    :param reset_delay: reset one step after the spike, or within the same step (default)
    :raises ValueError: a time constant of one step or less

    The other arguments are those of :class:`SpikingNeuron`. The state is the membrane ``mem``.

    Example::

        plif = snn.PLIF(tau=2.0)
        mem = plif.init_states()
        for step in range(num_steps):
            spk, mem = plif(x[step], mem)

    Source: W. Fang et al., "Incorporating learnable membrane time constant to enhance learning of
    spiking neural networks", ICCV 2021.
    """

    states = ("mem",)

    w: Tensor

    def __init__(
        self,
        tau: Parameter = 2.0,
        learn_tau: bool = True,
        *,
        reset_mechanism: str = "zero",
        reset_delay: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(reset_mechanism=reset_mechanism, reset_delay=reset_delay, **options)
        given = torch.as_tensor(tau, dtype=self.threshold.dtype).detach()
        if not given.is_meta and not (given > 1).all():
            raise ValueError(f"{self._snn_name}: tau={tau!r} must be greater than 1 time step")
        self.parameter("w", -(given - 1).log(), learn_tau)

    @property
    def rate(self) -> Tensor:
        """What the membrane takes over of the input at each step: ``1 / tau``."""
        return self.w.sigmoid()

    @property
    def tau(self) -> Tensor:
        """The time constant, in time steps."""
        return 1 / self.rate

    @staticmethod
    def update(x: Tensor, mem: Tensor, rate: Tensor) -> Tensor:
        """Return the new membrane before a reset."""
        return mem + rate * (x - mem)

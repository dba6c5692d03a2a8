from typing import Any

import torch
from torch import Tensor

from ..dynamics import LAPICQUE
from .neurons import LIF, Output, Parameter, Quantiser, State, States, Surrogate, brief


class Lapicque(LIF):
    r"""Leaky integrate-and-fire neuron as a circuit of a resistor and a capacitor.

    .. math:: U[t+1] = R\, \frac{1}{R C}\, T\, I_{\rm in}[t+1]
              + \Big(1 - \frac{T}{R C}\Big) U[t] - R_{\rm e}[t+1] U_{\rm thr}

    with resistance :math:`R` (ohm), capacitance :math:`C` (farad), time step :math:`T` (second)
    and reset signal :math:`R_{\rm e}[t+1] = S[t]`. With ``reset_mechanism="zero"`` the new membrane
    is set to zero where it is one.

    Two of ``beta``, ``R`` and ``C`` determine the third by :math:`\beta = e^{-T / (R C)}`; with
    ``beta`` alone, ``R`` is 1. The membrane decays by
    :math:`1 - \frac{T}{R C} = 1 + \ln \beta` per step, the first-order approximation of
    :math:`\beta`, not by the attribute ``beta`` itself; ``print`` shows it as ``decay``.

    :param beta: :math:`e^{-T / (R C)}`, a number or a tensor that broadcasts to one sample; clamped
        to [0, 1] in use; False to take it from ``R`` and ``C``
    :param R: resistance in ohm, a number or a tensor; False for 1, or for what follows from the
        others
    :param C: capacitance in farad, a number or a tensor; False for what follows from the others
    :param time_step: duration :math:`T` of a step in seconds
    :param learn_beta: make ``beta`` a learnable parameter, which R or C, if not given, follow; with
        R and C given, C follows
    :raises ValueError: neither ``beta`` nor two of ``beta``, ``R`` and ``C`` are given; or one of
        them is not positive

    The other arguments are those of :class:`SpikingNeuron`.

    Example::

        lif = snn.Lapicque(R=5.1, C=5e-3, time_step=1e-3)
        mem = lif.init_lapicque()
        for step in range(num_steps):
            spk, mem = lif(x[step], mem)

    Source: L. Lapicque, "Recherches quantitatives sur l'excitation electrique des nerfs traitee
    comme une polarisation", Journal de Physiologie et de Pathologie Generale 9 (1907) 620-635.
    """

    states = ("mem",)
    _snn_model = LAPICQUE

    def __init__(
        self,
        beta: Parameter = False,
        R: Parameter = False,
        C: Parameter = False,
        time_step: Parameter = 1,
        threshold: Parameter = 1.0,
        spike_grad: Surrogate = None,
        surrogate_disable: bool = False,
        init_hidden: bool = False,
        inhibition: bool = False,
        learn_beta: bool = False,
        learn_threshold: bool = False,
        reset_mechanism: str = "subtract",
        state_quant: Quantiser = False,
        output: bool = False,
        **options: Any,
    ) -> None:
        given = {n for n, v in (("beta", beta), ("R", R), ("C", C)) if v is not False}
        if given != {"beta"} and len(given) != 2:
            raise ValueError(
                f"Lapicque: beta={beta!r}, R={R!r}, C={C!r}; give beta, or two of the three"
            )
        super().__init__(
            1.0 if beta is False else beta,
            threshold=threshold,
            spike_grad=spike_grad,
            surrogate_disable=surrogate_disable,
            init_hidden=init_hidden,
            inhibition=inhibition,
            learn_beta=learn_beta,
            learn_threshold=learn_threshold,
            reset_mechanism=reset_mechanism,
            state_quant=state_quant,
            output=output,
            **options,
        )
        for name, value in (("time_step", time_step), ("R", R), ("C", C)):
            self._snn_register(name, 1.0 if value is False else value, False)
        for name, value in (("beta", self.beta), ("R", self.R), ("C", self.C)):
            if not value.is_meta and (value <= 0).any():
                raise ValueError(f"Lapicque: {name}={value} must be positive")
        self._snn_dependent = "R" if given == {"beta", "C"} else "C"
        if "beta" not in given:
            decay = torch.exp(-self.time_step / (self.R * self.C))
            # One dimension at least, as in files of 1.0.0.
            self._snn_register("beta", torch.atleast_1d(decay.detach()), learn_beta)
        else:
            self._snn_register(self._snn_dependent, self._snn_from_beta(), False)
        # Where one of the others is trained, the dependent one is worked out at every step.
        trained = any(getattr(self, name).requires_grad for name in given)
        self.learn_beta = learn_beta or ("beta" in given and trained)

    def _snn_from_beta(self) -> Tensor:
        """Return R or C, whichever depends on the decay rate."""
        other = self.C if self._snn_dependent == "R" else self.R
        return self.time_step / (other * torch.log(1 / self.beta.clamp(0, 1)))

    def __getattr__(self, name: str) -> Any:
        if self.__dict__.get("learn_beta") and name == self._snn_dependent:
            return self._snn_from_beta()
        return super().__getattr__(name)

    def _save_to_state_dict(self, *args: Any) -> None:
        self._buffers[self._snn_dependent] = getattr(self, self._snn_dependent).detach()
        super()._save_to_state_dict(*args)

    def extra_repr(self) -> str:
        """Return the parameters as ``print(net)`` shows them, and the decay of a step."""
        return f"{super().extra_repr()}, decay={brief(self._snn_values()[-1])}"

    def _snn_values(self) -> States:
        if self.learn_beta:
            rate = -torch.log(self.beta.clamp(0, 1))
            return self.R, rate / self.time_step, self.time_step, 1 - rate
        RC = self.R * self.C
        return self.R, 1 / RC, self.time_step, 1 - self.time_step / RC

    def forward(self, input_: Tensor, mem: State = None, *more: State) -> Output:
        """Advance by one time step.

        :param input_: input current ``[B, ...]`` in ampere
        :param mem: membrane potential in volt that broadcasts to the input's shape; default the
            last call's, or zeros
        :returns: ``spk, mem`` of the input's shape; ``spk`` alone with ``init_hidden=True``
            unless ``output=True``
        """
        return self._snn_call(input_, mem, *more)

    init_lapicque = LIF.init_states

from typing import Any

from torch import Tensor

from ..dynamics import set_where
from .neuron import Fire, Neuron
from .neurons import Parameter

# Above this exponent the upswing, which is at least a hundred million times the slope factor,
# carries the membrane over any threshold within one step; limiting it there keeps it finite.
_STEEPEST = 20.0


def _upswing(mem: Tensor, v_rheobase: Tensor, slope_factor: Tensor) -> Tensor:
    return slope_factor * ((mem - v_rheobase) / slope_factor).clamp(max=_STEEPEST).exp()


class EIF(Neuron):
    r"""Exponential integrate-and-fire neuron: spikes set off exponentially.

    .. math::

        U[t+1] = U + \frac{\delta}{\tau} \left( U_{\rm rest} - U +
        \Delta \exp\frac{U - U_{\rm T}}{\Delta} + R\, X[t+1] \right)

    Here :math:`U` is the membrane of the last step; where that fired, it is first set to
    :math:`U_{\rm reset}`. The neuron fires when the membrane exceeds the threshold, the peak of a
    spike. It starts at rest. The exponent is limited to 20, which changes no spike. A compiled
    sequence may differ from single steps in the last bit.

    The defaults are those of the paper, but for those of the threshold and the time step. To learn
    one of the arguments, give it as an ``nn.Parameter``.

    :param tau: time constant :math:`\tau` of the membrane, in ms, a number or a tensor that
        broadcasts to one sample; default 10
    :param rest: membrane at rest :math:`U_{\rm rest}`, in mV; default -65
    :param v_rheobase: largest membrane that a constant input can hold, :math:`U_{\rm T}`, in mV;
        default -59.9
    :param slope_factor: how sharply spikes set off, :math:`\Delta`, in mV; default 3.48
    :param v_reset: membrane after a spike :math:`U_{\rm reset}`, in mV; default -68
    :param R: resistance, in kiloohm cm\ :sup:`2` for an input in µA / cm\ :sup:`2`; default 10
    :param threshold: peak of a spike, in mV; default 0, which is ours
    :param dt: time step :math:`\delta`, in ms; default 0.1, which is ours

    The other arguments are those of :class:`SpikingNeuron`, without ``reset_mechanism``. The state
    is the membrane ``mem``, in mV. The refractory period of the paper, 1.7 ms, is
    ``refractory=17`` at the default time step.

    Example::

        eif = snn.EIF(refractory=17)
        mem, countdown = eif.init_states()
        for step in range(num_steps):
            spk, mem, countdown = eif(x[step], mem, countdown)

    Source: N. Fourcaud-Trocmé et al., "How spike generation mechanisms determine the neuronal
    response to fluctuating inputs", Journal of Neuroscience 23 (2003) 11628-11640.
    """

    states = ("mem",)

    tau: Tensor
    rest: Tensor
    dt: Tensor

    def __init__(
        self,
        tau: Parameter = 10.0,
        rest: Parameter = -65.0,
        v_rheobase: Parameter = -59.9,
        slope_factor: Parameter = 3.48,
        v_reset: Parameter = -68.0,
        R: Parameter = 10.0,
        *,
        threshold: Parameter = 0.0,
        dt: Parameter = 0.1,
        **options: Any,
    ) -> None:
        super().__init__(threshold=threshold, **options)
        values = {"rest": rest, "v_rheobase": v_rheobase, "slope_factor": slope_factor}
        for name, value in {"tau": tau, **values, "v_reset": v_reset, "R": R, "dt": dt}.items():
            self.parameter(name, value)

    @property
    def initial(self) -> dict[str, Parameter]:  # type: ignore[override]
        """The states before the first step."""
        return {"mem": self.rest}

    @property
    def rate(self) -> Tensor:
        """``dt / tau``."""
        return self.dt / self.tau

    @staticmethod
    def step(
        x: Tensor,
        mem: Tensor,
        rest: Tensor,
        v_rheobase: Tensor,
        slope_factor: Tensor,
        v_reset: Tensor,
        R: Tensor,
        rate: Tensor,
        threshold: Tensor,
        spike: Fire,
        fired: Fire,
    ) -> tuple[Tensor, ...]:
        """Advance by one time step."""
        reset = fired(mem - threshold)
        mem = set_where(reset, mem, v_reset)
        upswing = _upswing(mem, v_rheobase, slope_factor)
        mem = mem + rate * (rest - mem + upswing + R * x)
        return spike(mem - threshold), mem


class AdEx(Neuron):
    r"""Adaptive exponential integrate-and-fire neuron.

    A membrane as in :class:`EIF`, and an adaptation current :math:`W` that follows it and its
    spikes:

    .. math::

        U[t+1] &= U + \frac{\delta}{C} \left( g\, (U_{\rm rest} - U) +
        g\, \Delta \exp\frac{U - U_{\rm T}}{\Delta} - W + X[t+1] \right) \\
        W[t+1] &= W + \frac{\delta}{\tau} \left( a\, (U - U_{\rm rest}) - W \right)

    Here :math:`U` and :math:`W` are those of the last step; where that fired, :math:`U` is first
    set to :math:`U_{\rm reset}`, and :math:`b` is added to :math:`W`. The neuron fires when the
    membrane exceeds the threshold, the peak of a spike. It starts at rest. The exponent is limited
    to 20, which changes no spike. A compiled sequence may differ from single steps in the last bit.

    The defaults are those of the paper, but for that of the time step. To learn one of the
    arguments, give it as an ``nn.Parameter``.

    :param C: capacitance, in pF, a number or a tensor that broadcasts to one sample; default 281
    :param g: leak conductance :math:`g`, in nS; default 30
    :param rest: membrane at rest :math:`U_{\rm rest}`, in mV; default -70.6
    :param v_rheobase: where spikes set off, :math:`U_{\rm T}`, in mV; default -50.4
    :param slope_factor: how sharply they set off, :math:`\Delta`, in mV; default 2
    :param tau: time constant :math:`\tau` of the adaptation, in ms; default 144
    :param a: how strongly the adaptation follows the membrane, in nS; default 4
    :param b: what a spike adds to the adaptation, in pA; default 80.5
    :param v_reset: membrane after a spike :math:`U_{\rm reset}`, in mV; default -70.6
    :param threshold: peak of a spike, in mV; default 20
    :param dt: time step :math:`\delta`, in ms; default 0.1, which is ours

    The other arguments are those of :class:`SpikingNeuron`, without ``reset_mechanism``. The input
    is in pA; 1000 make the neuron fire. The states are the membrane ``mem``, in mV, and the
    ``adaptation``, in pA.

    Example::

        adex = snn.AdEx(tau=100.0)
        mem, adaptation = adex.init_states()
        for step in range(num_steps):
            spk, mem, adaptation = adex(x[step], mem, adaptation)

    Source: R. Brette and W. Gerstner, "Adaptive exponential integrate-and-fire model as an
    effective description of neuronal activity", Journal of Neurophysiology 94 (2005) 3637-3642.
    """

    states = ("mem", "adaptation")
    membrane = "mem"

    C: Tensor
    g: Tensor
    rest: Tensor
    tau: Tensor
    dt: Tensor

    def __init__(
        self,
        C: Parameter = 281.0,
        g: Parameter = 30.0,
        rest: Parameter = -70.6,
        v_rheobase: Parameter = -50.4,
        slope_factor: Parameter = 2.0,
        tau: Parameter = 144.0,
        a: Parameter = 4.0,
        b: Parameter = 80.5,
        v_reset: Parameter = -70.6,
        *,
        threshold: Parameter = 20.0,
        dt: Parameter = 0.1,
        **options: Any,
    ) -> None:
        super().__init__(threshold=threshold, **options)
        values = {"rest": rest, "v_rheobase": v_rheobase, "slope_factor": slope_factor}
        values |= {"tau": tau, "a": a, "b": b, "v_reset": v_reset}
        for name, value in {"C": C, "g": g, **values, "dt": dt}.items():
            self.parameter(name, value)

    @property
    def initial(self) -> dict[str, Parameter]:  # type: ignore[override]
        """The states before the first step."""
        return {"mem": self.rest}

    @property
    def leak(self) -> Tensor:
        """``dt * g / C``."""
        return self.dt * self.g / self.C

    @property
    def per_current(self) -> Tensor:
        """``dt / C``."""
        return self.dt / self.C

    @property
    def rate(self) -> Tensor:
        """``dt / tau``."""
        return self.dt / self.tau

    @staticmethod
    def step(
        x: Tensor,
        mem: Tensor,
        adaptation: Tensor,
        rest: Tensor,
        v_rheobase: Tensor,
        slope_factor: Tensor,
        a: Tensor,
        b: Tensor,
        v_reset: Tensor,
        leak: Tensor,
        per_current: Tensor,
        rate: Tensor,
        threshold: Tensor,
        spike: Fire,
        fired: Fire,
    ) -> tuple[Tensor, ...]:
        """Advance by one time step."""
        reset = fired(mem - threshold)
        mem = set_where(reset, mem, v_reset)
        adaptation = adaptation + b * reset
        upswing = _upswing(mem, v_rheobase, slope_factor)
        new = mem + leak * (rest - mem + upswing) + per_current * (x - adaptation)
        adaptation = adaptation + rate * (a * (mem - rest) - adaptation)
        return spike(new - threshold), new, adaptation

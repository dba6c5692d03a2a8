from typing import Any

from torch import Tensor

from ..dynamics import set_where
from .neuron import Fire, Neuron
from .neurons import Parameter


class QIF(Neuron):
    r"""Quadratic integrate-and-fire neuron, which fires once it is above a critical value.

    .. math::

        U[t+1] = U + \frac{\delta}{\tau} \left(
        \frac{(U - U_{\rm rest})(U - U_{\rm crit})}{U_{\rm crit} - U_{\rm rest}}
        + R\, X[t+1] \right)

    Here :math:`U` is the membrane of the last step; where that fired, it is first set to
    :math:`U_{\rm reset}`. The neuron fires when the membrane exceeds the threshold, the peak of a
    spike. It starts at rest.

    The defaults are ours, and typical of neurons of the cortex. To learn one of the arguments, give
    it as an ``nn.Parameter``.

    :param tau: time constant :math:`\tau` of the membrane near rest, in ms, a number or a tensor
        that broadcasts to one sample; default 10
    :param rest: membrane at rest :math:`U_{\rm rest}`, in mV; default -65
    :param v_critical: critical value :math:`U_{\rm crit}`, in mV; default -50
    :param v_reset: membrane after a spike :math:`U_{\rm reset}`, in mV; default -70
    :param R: resistance, in megaohm for an input in nA; default 10
    :param threshold: peak of a spike, in mV; default 30
    :param dt: time step :math:`\delta`, in ms; default 0.1

    The other arguments are those of :class:`SpikingNeuron`, without ``reset_mechanism``. The state
    is the membrane ``mem``, in mV.

    Example::

        qif = snn.QIF(tau=20.0)
        mem = qif.init_states()
        for step in range(num_steps):
            spk, mem = qif(x[step], mem)

    Source: P. E. Latham et al., "Intrinsic dynamics in neuronal networks. I. Theory", Journal of
    Neurophysiology 83 (2000) 808-827.
    """

    states = ("mem",)

    tau: Tensor
    rest: Tensor
    v_critical: Tensor
    dt: Tensor

    def __init__(
        self,
        tau: Parameter = 10.0,
        rest: Parameter = -65.0,
        v_critical: Parameter = -50.0,
        v_reset: Parameter = -70.0,
        R: Parameter = 10.0,
        *,
        threshold: Parameter = 30.0,
        dt: Parameter = 0.1,
        **options: Any,
    ) -> None:
        super().__init__(threshold=threshold, **options)
        values = {"rest": rest, "v_critical": v_critical, "v_reset": v_reset}
        for name, value in {"tau": tau, **values, "R": R, "dt": dt}.items():
            self.parameter(name, value)

    @property
    def initial(self) -> dict[str, Parameter]:  # type: ignore[override]
        """The states before the first step."""
        return {"mem": self.rest}

    @property
    def rate(self) -> Tensor:
        """``dt / tau``."""
        return self.dt / self.tau

    @property
    def curvature(self) -> Tensor:
        """``1 / (v_critical - rest)``."""
        return 1 / (self.v_critical - self.rest)

    @staticmethod
    def step(
        x: Tensor,
        mem: Tensor,
        rest: Tensor,
        v_critical: Tensor,
        v_reset: Tensor,
        R: Tensor,
        rate: Tensor,
        curvature: Tensor,
        threshold: Tensor,
        spike: Fire,
        fired: Fire,
    ) -> tuple[Tensor, ...]:
        """Advance by one time step."""
        reset = fired(mem - threshold)
        mem = set_where(reset, mem, v_reset)
        mem = mem + rate * (curvature * (mem - rest) * (mem - v_critical) + R * x)
        return spike(mem - threshold), mem

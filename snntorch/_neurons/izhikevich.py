from typing import Any

from torch import Tensor

from ..dynamics import set_where
from .neuron import Fire, Neuron
from .neurons import Parameter


class Izhikevich(Neuron):
    r"""Izhikevich's neuron: a quadratic membrane and a recovery variable, for many firing patterns.

    .. math::

        U[t+1] &= U + \delta\, (0.04\, U^2 + 5\, U + 140 - W + X[t+1]) \\
        W[t+1] &= W + \delta\, a\, (b\, U - W)

    Here :math:`U` and :math:`W` are those of the last step; where that fired, :math:`U` is first
    set to :math:`c`, and :math:`d` is added to :math:`W`. The neuron fires when the membrane
    exceeds the threshold, which is the peak of a spike. Before the first step :math:`U = -65` and
    :math:`W = b\, U`.

    The defaults are those of regular spiking; the paper lists other patterns. To learn one of the
    arguments, give it as an ``nn.Parameter``.

    :param a: rate of the recovery, per ms, a number or a tensor that broadcasts to one sample;
        default 0.02
    :param b: how strongly the recovery follows the membrane; default 0.2
    :param c: membrane after a spike, in mV; default -65
    :param d: what a spike adds to the recovery; default 8
    :param threshold: peak of a spike, in mV; default 30
    :param dt: time step :math:`\delta`, in ms; default 0.5, the step by which the paper's program
        advances the membrane

    The other arguments are those of :class:`SpikingNeuron`, without ``reset_mechanism``. The states
    are the membrane ``mem``, in mV, and the ``recovery``. An input of 10 makes it fire steadily.

    Example::

        neuron = snn.Izhikevich(a=0.1, b=0.2, c=-65.0, d=2.0)  # fast spiking
        mem, recovery = neuron.init_states()
        for step in range(num_steps):
            spk, mem, recovery = neuron(x[step], mem, recovery)

    Source: E. M. Izhikevich, "Simple model of spiking neurons", IEEE Transactions on Neural
    Networks 14 (2003) 1569-1572.
    """

    states = ("mem", "recovery")
    membrane = "mem"

    b: Tensor

    def __init__(
        self,
        a: Parameter = 0.02,
        b: Parameter = 0.2,
        c: Parameter = -65.0,
        d: Parameter = 8.0,
        *,
        threshold: Parameter = 30.0,
        dt: Parameter = 0.5,
        **options: Any,
    ) -> None:
        super().__init__(threshold=threshold, **options)
        for name, value in {"a": a, "b": b, "c": c, "d": d, "dt": dt}.items():
            self.parameter(name, value)

    @property
    def initial(self) -> dict[str, Parameter]:  # type: ignore[override]
        """The states before the first step."""
        return {"mem": -65.0, "recovery": -65.0 * self.b}

    @staticmethod
    def step(
        x: Tensor,
        mem: Tensor,
        recovery: Tensor,
        a: Tensor,
        b: Tensor,
        c: Tensor,
        d: Tensor,
        dt: Tensor,
        threshold: Tensor,
        spike: Fire,
        fired: Fire,
    ) -> tuple[Tensor, ...]:
        """Advance by one time step."""
        reset = fired(mem - threshold)
        mem = set_where(reset, mem, c)
        recovery = recovery + d * reset
        new = mem + dt * (0.04 * mem * mem + 5 * mem + 140 - recovery + x)
        recovery = recovery + dt * a * (b * mem - recovery)
        return spike(new - threshold), new, recovery

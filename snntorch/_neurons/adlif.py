from typing import Any

from torch import Tensor

from .neuron import Fire, Neuron
from .neurons import Parameter


class AdLIF(Neuron):
    r"""Leaky integrate-and-fire neuron with an adaptation current.

    The adaptation :math:`W` follows the membrane and its spikes, and is taken off the input:

    .. math::

        U[t+1] &= \alpha (U[t] - R[t+1] U_{\rm thr}) + (1 - \alpha)(X[t+1] - W[t]) \\
        W[t+1] &= \beta W[t] + a U[t] + b S[t]

    The reset :math:`R[t+1] = S[t]` carries no gradient; the spikes in the adaptation do.

    The states stay bounded at any bounded input if both eigenvalues of the linear part are inside
    the unit circle, that is, for :math:`\alpha < 1` and :math:`\beta < 1`, if

    .. math:: -(1 - \beta) < a < \frac{1 - \alpha \beta}{1 - \alpha}

    Below this range a negative membrane falls without end, exponentially; above it, the membrane
    oscillates ever more. No value is refused, since short sequences can be trained all the same.
    The upper bound is at least 1. With the paper's :math:`\beta` the lower one is between -0.033
    and -0.008, so that most negative :math:`a` of the paper are below it: for long sequences choose
    :math:`a \ge 0`.

    None of the arguments has a default: the paper draws them at random for each neuron, from the
    ranges that are given here, and learns them.

    :param alpha: decay rate :math:`\alpha` of the membrane per time step, clamped to [0, 1] in use,
        a number or a tensor that broadcasts to one sample; in the paper from :math:`e^{-1/5}` to
        :math:`e^{-1/25}`
    :param beta: decay rate :math:`\beta` of the adaptation, with the same range and shapes; in the
        paper from :math:`e^{-1/30}` to :math:`e^{-1/120}`
    :param a: how strongly the adaptation follows the membrane; in the paper from -1 to 1, see the
        range above
    :param b: what each spike adds to the adaptation, in units of the membrane; in the paper from 0
        to 2
    :param learn_alpha: make the decay rate of the membrane a learnable parameter
    :param learn_beta: make the decay rate of the adaptation a learnable parameter
    :param learn_a: make ``a`` a learnable parameter
    :param learn_b: make ``b`` a learnable parameter

    The other arguments are those of :class:`SpikingNeuron`, without ``reset_mechanism``. The states
    are the spikes ``spk`` of the last step, the membrane ``mem`` and the ``adaptation``.

    Example::

        adlif = snn.AdLIF(alpha=0.9, beta=0.98, a=0.5, b=1.0)
        spk, mem, adaptation = adlif.init_states()
        for step in range(num_steps):
            spk, mem, adaptation = adlif(x[step], spk, mem, adaptation)

    Source: A. Bittar and P. N. Garner, "A surrogate gradient spiking baseline for speech command
    recognition", Frontiers in Neuroscience 16 (2022) 865897.
    """

    states = ("spk", "mem", "adaptation")
    membrane = "mem"

    alpha: Tensor
    beta: Tensor

    def __init__(
        self,
        alpha: Parameter,
        beta: Parameter,
        a: Parameter,
        b: Parameter,
        *,
        learn_alpha: bool = False,
        learn_beta: bool = False,
        learn_a: bool = False,
        learn_b: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.parameter("alpha", alpha, learn_alpha)
        self.parameter("beta", beta, learn_beta)
        self.parameter("a", a, learn_a)
        self.parameter("b", b, learn_b)

    @property
    def mem_decay(self) -> Tensor:
        """``alpha`` in [0, 1]."""
        return self.alpha.clamp(0, 1)

    @property
    def adaptation_decay(self) -> Tensor:
        """``beta`` in [0, 1]."""
        return self.beta.clamp(0, 1)

    @staticmethod
    def step(
        x: Tensor,
        spk: Tensor,
        mem: Tensor,
        adaptation: Tensor,
        mem_decay: Tensor,
        adaptation_decay: Tensor,
        a: Tensor,
        b: Tensor,
        threshold: Tensor,
        spike: Fire,
        fired: Fire,
    ) -> tuple[Tensor, ...]:
        """Advance by one time step."""
        reset = fired(mem - threshold)
        drive = (1 - mem_decay) * (x - adaptation)
        adaptation = adaptation_decay * adaptation + a * mem + b * spk
        mem = mem_decay * (mem - reset * threshold) + drive
        return spike(mem - threshold), mem, adaptation


class SEAdLIF(AdLIF):
    r"""Leaky integrate-and-fire neuron with an adaptation current, by the symplectic Euler method.

    Unlike in :class:`AdLIF`, the adaptation :math:`W` follows the new membrane, which keeps
    oscillations stable. The membrane is updated to :math:`\hat{U}`, fires, and is set to zero
    within the same step:

    .. math::

        \hat{U}[t+1] &= \alpha U[t] + (1 - \alpha)(X[t+1] - W[t]) \\
        S[t+1] &= \Theta(\hat{U}[t+1] - U_{\rm thr}) \\
        U[t+1] &= (1 - S[t+1])\, \hat{U}[t+1] \\
        W[t+1] &= \beta W[t] + (1 - \beta)(a U[t+1] + b S[t+1])

    Below the threshold it decays to rest, for :math:`\alpha < 1` and :math:`\beta < 1`, if

    .. math:: -1 < a < \frac{(1 + \alpha)(1 + \beta)}{(1 - \alpha)(1 - \beta)}

    :param alpha: decay rate :math:`\alpha` of the membrane per time step, clamped to [0, 1] in use,
        a number or a tensor that broadcasts to one sample; in the paper from :math:`e^{-1/5}` to
        :math:`e^{-1/25}`
    :param beta: decay rate :math:`\beta` of the adaptation, with the same range and shapes; in the
        paper from :math:`e^{-1/60}` to :math:`e^{-1/300}`
    :param a: how strongly the adaptation follows the membrane, not negative. Only the part
        :math:`1 - \beta` of it acts at each step, so that it may be much larger than 1
    :param b: the same for the spikes, in units of the membrane

    The flags to learn them are those of :class:`AdLIF`, and the other arguments those of
    :class:`SpikingNeuron`, without ``reset_mechanism``. The states are the membrane ``mem`` after
    the reset and the ``adaptation``.

    Example::

        adlif = snn.SEAdLIF(alpha=0.9, beta=0.99, a=30.0, b=60.0)
        mem, adaptation = adlif.init_states()
        for step in range(num_steps):
            spk, mem, adaptation = adlif(x[step], mem, adaptation)

    Source: M. Baronig et al., "Advancing spatio-temporal processing through adaptation in spiking
    neural networks", arXiv:2408.07517 (2024).
    """

    states = ("mem", "adaptation")  # type: ignore[assignment]

    @staticmethod
    def step(  # type: ignore[override]
        x: Tensor,
        mem: Tensor,
        adaptation: Tensor,
        mem_decay: Tensor,
        adaptation_decay: Tensor,
        a: Tensor,
        b: Tensor,
        threshold: Tensor,
        spike: Fire,
    ) -> tuple[Tensor, ...]:
        """Advance by one time step."""
        mem = mem_decay * mem + (1 - mem_decay) * (x - adaptation)
        spk = spike(mem - threshold)
        mem = mem * (1 - spk)
        adaptation = adaptation_decay * adaptation + (1 - adaptation_decay) * (a * mem + b * spk)
        return spk, mem, adaptation

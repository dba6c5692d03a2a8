from typing import Any

from torch import Tensor

from .neuron import Fire, Neuron
from .neurons import Parameter


class RF(Neuron):
    r"""Resonate-and-fire neuron: a damped oscillator that fires.

    Its two states turn around each other :math:`\omega` radians per unit of time, so that it
    responds most to an input at that frequency. There is no reset.

    .. math::

        U[t+1] &= U[t] + \delta\, (b\, U[t] - \omega V[t] + X[t+1]) \\
        V[t+1] &= V[t] + \delta\, (\omega U[t] + b\, V[t]) \\
        S[t+1] &= \Theta(U[t+1] - U_{\rm thr})

    The oscillation grows without end if :math:`b` is above :math:`(-1 + \sqrt{1 - (\delta
    \omega)^2}) / \delta`. :class:`BRF` stays below that by itself.

    :param omega: angular frequency :math:`\omega`, in radians per unit of time, below ``1 / dt``, a
        number or a tensor that broadcasts to one sample. The paper draws it at random for each
        neuron, from 5 to 10 and other ranges
    :param b: how fast the oscillation decays, per unit of time, negative; default -1
    :param learn_omega: make the frequency a learnable parameter
    :param learn_b: make ``b`` a learnable parameter
    :param dt: time step :math:`\delta`, in units of time; default 0.01

    The other arguments are those of :class:`SpikingNeuron`, without ``reset_mechanism``. The states
    are the membrane ``mem``, :math:`U`, and the ``imag`` part :math:`V` of the oscillation.

    Example::

        rf = snn.RF(omega=10.0)
        mem, imag = rf.init_states()
        for step in range(num_steps):
            spk, mem, imag = rf(x[step], mem, imag)

    Source: S. Higuchi et al., "Balanced resonate-and-fire neurons", ICML 2024; the model is that of
    E. M. Izhikevich, "Resonate-and-fire neurons", Neural Networks 14 (2001) 883-894.
    """

    states = ("mem", "imag")
    membrane = "mem"

    def __init__(
        self,
        omega: Parameter,
        b: Parameter = -1.0,
        *,
        learn_omega: bool = False,
        learn_b: bool = False,
        dt: Parameter = 0.01,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.parameter("omega", omega, learn_omega)
        self.parameter("b", b, learn_b)
        self.parameter("dt", dt)

    @staticmethod
    def step(
        x: Tensor,
        mem: Tensor,
        imag: Tensor,
        omega: Tensor,
        b: Tensor,
        dt: Tensor,
        threshold: Tensor,
        spike: Fire,
    ) -> tuple[Tensor, ...]:
        """Advance by one time step."""
        new = mem + dt * (b * mem - omega * imag + x)
        imag = imag + dt * (omega * mem + b * imag)
        return spike(new - threshold), new, imag


class BRF(Neuron):
    r"""Balanced resonate-and-fire neuron: an oscillator that stays bounded and rests after a spike.

    The two states oscillate as in :class:`RF`. Each spike adds to a third, :math:`Q`, which raises
    the threshold and damps the oscillation:

    .. math::

        B[t] &= p(\omega) - |b| - Q[t], \qquad
        p(\omega) = \frac{-1 + \sqrt{1 - (\delta \omega)^2}}{\delta} \\
        U[t+1] &= U[t] + \delta\, (B[t] U[t] - \omega V[t] + X[t+1]) \\
        V[t+1] &= V[t] + \delta\, (\omega U[t] + B[t] V[t]) \\
        S[t+1] &= \Theta(U[t+1] - U_{\rm thr} - Q[t]) \\
        Q[t+1] &= \gamma Q[t] + S[t+1]

    At the rate :math:`p(\omega)` the discretized oscillation neither grows nor decays.

    :param omega: angular frequency :math:`\omega`, in radians per unit of time, between ``-1 / dt``
        and ``1 / dt``, a number or a tensor that broadcasts to one sample. The paper draws it at
        random for each neuron, from 5 to 10 and other ranges
    :param b_offset: how much faster than :math:`p(\omega)` the oscillation decays, :math:`b`, per
        unit of time; its sign does not matter. The paper draws it at random, from 2 to 3 and other
        ranges; default 1, which is ours
    :param learn_omega: make the frequency a learnable parameter
    :param learn_b_offset: make the offset a learnable parameter
    :param gamma: decay rate :math:`\gamma` of :math:`Q` per time step; default 0.9
    :param dt: time step :math:`\delta`, in units of time; default 0.01

    The other arguments are those of :class:`SpikingNeuron`, without ``reset_mechanism``. The states
    are the membrane ``mem``, :math:`U`, the ``imag`` part :math:`V` of the oscillation, and ``q``.

    Example::

        brf = snn.BRF(omega=5 + 5 * torch.rand(100), learn_omega=True)
        mem, imag, q = brf.init_states()
        for step in range(num_steps):
            spk, mem, imag, q = brf(x[step], mem, imag, q)

    Source: S. Higuchi et al., "Balanced resonate-and-fire neurons", ICML 2024.
    """

    states = ("mem", "imag", "q")
    membrane = "mem"

    omega: Tensor
    b_offset: Tensor
    dt: Tensor

    def __init__(
        self,
        omega: Parameter,
        b_offset: Parameter = 1.0,
        *,
        learn_omega: bool = False,
        learn_b_offset: bool = False,
        gamma: Parameter = 0.9,
        dt: Parameter = 0.01,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.parameter("omega", omega, learn_omega)
        self.parameter("b_offset", b_offset, learn_b_offset)
        self.parameter("gamma", gamma)
        self.parameter("dt", dt)

    @property
    def damping(self) -> Tensor:
        """How fast the oscillation decays while ``q`` is zero, per unit of time, negative."""
        boundary = (-1 + (1 - (self.dt * self.omega) ** 2).sqrt()) / self.dt
        return boundary - self.b_offset.abs()

    @staticmethod
    def step(
        x: Tensor,
        mem: Tensor,
        imag: Tensor,
        q: Tensor,
        damping: Tensor,
        omega: Tensor,
        gamma: Tensor,
        dt: Tensor,
        threshold: Tensor,
        spike: Fire,
    ) -> tuple[Tensor, ...]:
        """Advance by one time step."""
        b = damping - q
        new = mem + dt * (b * mem - omega * imag + x)
        imag = imag + dt * (omega * mem + b * imag)
        spk = spike(new - threshold - q)
        return spk, new, imag, gamma * q + spk

from typing import Any

from torch import Tensor

from .neuron import Fire, Neuron
from .neurons import Parameter


class ALIF(Neuron):
    r"""Leaky integrate-and-fire neuron whose threshold rises with each spike.

    The adaptation :math:`A` counts recent spikes and adds to the threshold. With the reset signal
    :math:`R[t+1] = S[t]`,

    .. math::

        U[t+1] &= \alpha U[t] + X[t+1] - R[t+1] U_{\rm thr} \\
        A[t+1] &= \rho A[t] + S[t] \\
        S[t+1] &= \Theta(U[t+1] - U_{\rm thr} - \gamma A[t+1])

    The reset carries no gradient; the spikes in the adaptation do.

    :param alpha: decay rate :math:`\alpha` of the membrane per time step, clamped to [0, 1] in use,
        a number or a tensor that broadcasts to one sample. The paper has :math:`e^{-1/20}`, for 20
        ms and steps of 1 ms
    :param rho: decay rate :math:`\rho` of the adaptation, with the same range and shapes. The paper
        has values from :math:`e^{-1/200}` to :math:`e^{-1/2000}`
    :param gain: how much the threshold rises, :math:`\gamma`, in units of the membrane per spike;
        default 0.184
    :param learn_alpha: make the decay rate of the membrane a learnable parameter
    :param learn_rho: make the decay rate of the adaptation a learnable parameter
    :param learn_gain: make the gain a learnable parameter

    The other arguments are those of :class:`SpikingNeuron`, without ``reset_mechanism``. The states
    are the spikes ``spk`` of the last step, the membrane ``mem`` and the ``adaptation``.

    Example::

        alif = snn.ALIF(alpha=0.95, rho=0.995)
        spk, mem, adaptation = alif.init_states()
        for step in range(num_steps):
            spk, mem, adaptation = alif(x[step], spk, mem, adaptation)

    Source: G. Bellec et al., "A solution to the learning dilemma for recurrent networks of spiking
    neurons", Nature Communications 11 (2020) 3625; introduced in "Long short-term memory and
    learning-to-learn in networks of spiking neurons", NeurIPS 2018.
    """

    states = ("spk", "mem", "adaptation")
    membrane = "mem"

    alpha: Tensor
    rho: Tensor

    def __init__(
        self,
        alpha: Parameter,
        rho: Parameter,
        gain: Parameter = 0.184,
        *,
        learn_alpha: bool = False,
        learn_rho: bool = False,
        learn_gain: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.parameter("alpha", alpha, learn_alpha)
        self.parameter("rho", rho, learn_rho)
        self.parameter("gain", gain, learn_gain)

    @property
    def mem_decay(self) -> Tensor:
        """``alpha`` in [0, 1]."""
        return self.alpha.clamp(0, 1)

    @property
    def adaptation_decay(self) -> Tensor:
        """``rho`` in [0, 1]."""
        return self.rho.clamp(0, 1)

    @staticmethod
    def step(
        x: Tensor,
        spk: Tensor,
        mem: Tensor,
        adaptation: Tensor,
        mem_decay: Tensor,
        adaptation_decay: Tensor,
        gain: Tensor,
        threshold: Tensor,
        spike: Fire,
        fired: Fire,
    ) -> tuple[Tensor, ...]:
        """Advance by one time step."""
        reset = fired(mem - threshold - gain * adaptation)
        mem = mem_decay * mem + x - reset * threshold
        adaptation = adaptation_decay * adaptation + spk
        return spike(mem - threshold - gain * adaptation), mem, adaptation

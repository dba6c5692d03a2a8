from typing import Any

from torch import Tensor

from ..dynamics import ALPHA
from .neurons import LIF, Output, Parameter, Quantiser, State, States, Surrogate


class Alpha(LIF):
    r"""Neuron whose membrane responds to an input by a difference of two exponentials.

    The input current :math:`X` charges an excitatory and an inhibitory current, and the membrane
    is their scaled sum, which approximates the alpha function of the spike response model:

    .. math::

        I_{\rm exc}[t+1] &= \alpha I_{\rm exc}[t] + X[t+1] \\
        I_{\rm inh}[t+1] &= \beta I_{\rm inh}[t] - X[t+1] \\
        U[t+1] &= \tau (I_{\rm exc}[t+1] + I_{\rm inh}[t+1]), \qquad
        \tau = \frac{\ln \alpha}{\ln \beta - \ln \alpha} + 1

    With ``reset_mechanism="zero"``, the default here, all three states are set to zero where
    :math:`R[t+1] = S[t]` is one. With ``"subtract"`` the excitatory current loses a threshold, the
    inhibitory one is set to zero, and the membrane loses :math:`-I_{\rm inh}[t]`: these are the
    numbers of release 1.0.0, kept so that its results can be reproduced.

    :param alpha: decay rate :math:`\alpha` of the excitatory current per time step, clamped to
        [0, 1] in use, a number or a tensor that broadcasts to one sample; greater than ``beta``
    :param beta: decay rate :math:`\beta` of the inhibitory current, in the same range
    :param learn_alpha: make ``alpha`` a learnable parameter
    :param learn_beta: make ``beta`` a learnable parameter
    :raises ValueError: ``alpha`` not greater than ``beta``

    The other arguments are those of :class:`SpikingNeuron`.

    Example::

        lif = snn.Alpha(alpha=0.9, beta=0.8)
        syn_exc, syn_inh, mem = lif.init_alpha()
        for step in range(num_steps):
            spk, syn_exc, syn_inh, mem = lif(x[step], syn_exc, syn_inh, mem)

    Source: W. Gerstner, "Time structure of the activity in neural network models", Physical
    Review E 51 (1995) 738-758.
    """

    states = ("syn_exc", "syn_inh", "mem")
    _snn_model = ALPHA
    _snn_taken_off = {"subtract": "_base_state_reset_sub_function"}  # noqa: RUF012

    alpha: Tensor
    syn_inh: Tensor

    def __init__(
        self,
        alpha: Parameter,
        beta: Parameter,
        threshold: Parameter = 1.0,
        spike_grad: Surrogate = None,
        surrogate_disable: bool = False,
        init_hidden: bool = False,
        inhibition: bool = False,
        learn_alpha: bool = False,
        learn_beta: bool = False,
        learn_threshold: bool = False,
        reset_mechanism: str = "zero",
        state_quant: Quantiser = False,
        output: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(
            beta,
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
        self._snn_register("alpha", alpha, learn_alpha)
        if not self.alpha.is_meta and (self.alpha <= self.beta).any():
            raise ValueError(f"Alpha: alpha={alpha!r} must be greater than beta={beta!r}")

    def _snn_values(self) -> States:
        alpha, (beta,) = self.alpha.clamp(0, 1), super()._snn_values()
        return alpha, beta, alpha.log() / (beta.log() - alpha.log()) + 1

    def _base_state_reset_sub_function(self, input_: Tensor) -> States:
        """Return what a reset by subtraction takes off the new states."""
        _, syn_inh, _ = self._snn_update(input_, self._snn_old())
        return self.threshold, syn_inh, -self.syn_inh

    def forward(
        self,
        input_: Tensor,
        syn_exc: State = None,
        syn_inh: State = None,
        mem: State = None,
        *more: State,
    ) -> Output:
        """Advance by one time step.

        :param input_: input current ``[B, ...]``
        :param syn_exc: excitatory current that broadcasts to the input's shape; default the last
            call's, or zeros
        :param syn_inh: inhibitory current, by default as ``syn_exc``
        :param mem: membrane potential, by default as ``syn_exc``; it decides over the reset only
        :returns: ``spk, syn_exc, syn_inh, mem`` of the input's shape; ``spk`` alone with
            ``init_hidden=True`` unless ``output=True``
        """
        return self._snn_call(input_, syn_exc, syn_inh, mem, *more)

    init_alpha = LIF.init_states

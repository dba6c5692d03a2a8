from typing import Any

from torch import Tensor

from ..dynamics import SYNAPTIC
from .neurons import LIF, Output, Parameter, Quantiser, State, States, Surrogate


class Synaptic(LIF):
    r"""Second-order leaky integrate-and-fire neuron with a synaptic current.

    The input current :math:`X` charges a synaptic current, which charges the membrane:

    .. math::

        I_{\rm syn}[t+1] &= \alpha I_{\rm syn}[t] + X[t+1] \\
        U[t+1] &= \beta U[t] + I_{\rm syn}[t+1] - R[t+1] U_{\rm thr}

    With ``reset_mechanism="zero"`` the new membrane is set to zero where :math:`R[t+1] = S[t]` is
    one; the synaptic current goes on. With ``reset_delay=False`` the membrane is reset within the
    step of the spike.

    :param alpha: decay rate :math:`\alpha` of the synaptic current per time step, clamped to
        [0, 1] in use, a number or a tensor that broadcasts to one sample
    :param beta: decay rate :math:`\beta` of the membrane, in the same range
    :param learn_alpha: make ``alpha`` a learnable parameter
    :param learn_beta: make ``beta`` a learnable parameter
    :param reset_delay: reset one step after the spike (default), or within the same step

    The other arguments are those of :class:`SpikingNeuron`.

    Example::

        lif = snn.Synaptic(alpha=0.9, beta=0.8)
        syn, mem = lif.init_synaptic()
        for step in range(num_steps):
            spk, syn, mem = lif(x[step], syn, mem)

    Source: W. Gerstner, W. M. Kistler, R. Naud, L. Paninski, "Neuronal Dynamics", Cambridge
    University Press (2014), chapter 1.
    """

    states = ("syn", "mem")
    _snn_model = SYNAPTIC
    _snn_taken_off = {"zero": "_base_state_reset_zero"}  # noqa: RUF012

    alpha: Tensor

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
        reset_mechanism: str = "subtract",
        state_quant: Quantiser = False,
        output: bool = False,
        reset_delay: bool = True,
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
        self.reset_delay = reset_delay

    def _snn_values(self) -> States:
        return self.alpha.clamp(0, 1), *super()._snn_values()

    def forward(self, input_: Tensor, syn: State = None, mem: State = None, *more: State) -> Output:
        """Advance by one time step.

        :param input_: input current ``[B, ...]``
        :param syn: synaptic current that broadcasts to the input's shape; default the last
            call's, or zeros
        :param mem: membrane potential, by default as ``syn``
        :returns: ``spk, syn, mem`` of the input's shape; ``spk`` alone with ``init_hidden=True``
            unless ``output=True``
        """
        return self._snn_call(input_, syn, mem, *more)

    init_synaptic = LIF.init_states

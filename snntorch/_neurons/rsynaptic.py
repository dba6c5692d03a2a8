from typing import Any

from torch import Tensor

from ..dynamics import ONE_TO_ONE_SYNAPTIC, RECURRENT_SYNAPTIC
from .neurons import Output, Parameter, Quantiser, State, States, Surrogate
from .recurrent import RecurrentLIF
from .recurrent import RecurrentOneToOne as RecurrentOneToOne  # code for 1.0.0 finds it here


class RSynaptic(RecurrentLIF):
    r"""Second-order leaky integrate-and-fire neuron whose spikes come back as input.

    .. math::

        I_{\rm syn}[t+1] &= \alpha I_{\rm syn}[t] + X[t+1] + V(S[t]) \\
        U[t+1] &= \beta U[t] + I_{\rm syn}[t+1] - R[t+1] U_{\rm thr}

    where :math:`V` is a weight for each neuron, a linear layer, or a convolution. With
    ``reset_mechanism="zero"`` the new membrane is set to zero where :math:`R[t+1] = S[t]` is one;
    the synaptic current goes on. With ``reset_delay=False`` the membrane is reset within the step
    of the spike.

    :param alpha: decay rate :math:`\alpha` of the synaptic current per time step, clamped to
        [0, 1] in use, a number or a tensor that broadcasts to one sample
    :param learn_alpha: make ``alpha`` a learnable parameter

    The other arguments are those of :class:`RLeaky`.

    Example::

        lif = snn.RSynaptic(alpha=0.9, beta=0.8, linear_features=10)
        spk, syn, mem = lif.init_rsynaptic()
        for step in range(num_steps):
            spk, syn, mem = lif(x[step], spk, syn, mem)

    Source: F. Zenke, S. Ganguli, "SuperSpike: Supervised Learning in Multilayer Spiking Neural
    Networks", Neural Computation 30 (2018) 1514-1541.
    """

    states = ("spk", "syn", "mem")
    _snn_dense, _snn_one_to_one = RECURRENT_SYNAPTIC, ONE_TO_ONE_SYNAPTIC
    _snn_taken_off = {"zero": "_base_state_reset_zero"}  # noqa: RUF012

    alpha: Tensor

    def __init__(
        self,
        alpha: Parameter,
        beta: Parameter,
        V: Parameter = 1.0,
        all_to_all: bool = True,
        linear_features: int | None = None,
        conv2d_channels: int | None = None,
        kernel_size: int | tuple[int, int] | None = None,
        threshold: Parameter = 1.0,
        spike_grad: Surrogate = None,
        surrogate_disable: bool = False,
        init_hidden: bool = False,
        inhibition: bool = False,
        learn_alpha: bool = False,
        learn_beta: bool = False,
        learn_threshold: bool = False,
        learn_recurrent: bool = True,
        reset_mechanism: str = "subtract",
        state_quant: Quantiser = False,
        output: bool = False,
        reset_delay: bool = True,
        *,
        learn_V: bool | None = None,
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
        learn = learn_recurrent if learn_V is None else learn_V
        self._snn_feed_back(V, all_to_all, linear_features, conv2d_channels, kernel_size, learn)
        self.reset_delay = reset_delay
        self._snn_register("alpha", alpha, learn_alpha)

    def _snn_values(self) -> States:
        return self.alpha.clamp(0, 1), *super()._snn_values()

    def forward(
        self, input_: Tensor, spk: State = None, syn: State = None, mem: State = None, *more: State
    ) -> Output:
        """Advance by one time step.

        :param input_: input current ``[B, ...]``
        :param spk: spikes of the last step that broadcast to the input's shape; default the last
            call's, or zeros
        :param syn: synaptic current, by default as ``spk``
        :param mem: membrane potential, by default as ``spk``
        :returns: ``spk, syn, mem`` of the input's shape; ``spk`` alone with ``init_hidden=True``
            unless ``output=True``
        """
        return self._snn_call(input_, spk, syn, mem, *more)

    init_rsynaptic = RecurrentLIF.init_states

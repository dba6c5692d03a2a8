from typing import Any

from torch import Tensor

from ..dynamics import ONE_TO_ONE_LEAKY, RECURRENT_LEAKY
from .neurons import Output, Parameter, Quantiser, State, Surrogate
from .recurrent import RecurrentLIF
from .recurrent import RecurrentOneToOne as RecurrentOneToOne  # code for 1.0.0 finds it here


class RLeaky(RecurrentLIF):
    r"""First-order leaky integrate-and-fire neuron whose spikes come back as input.

    .. math:: U[t+1] = \beta U[t] + X[t+1] + V(S[t]) - R[t+1] U_{\rm thr}

    where :math:`V` is a weight for each neuron, a linear layer, or a convolution. With
    ``reset_mechanism="zero"`` the new membrane is set to zero where :math:`R[t+1] = S[t]` is one.
    With ``reset_delay=False`` the membrane is reset within the step of the spike.

    :param beta: decay rate :math:`\beta` per time step, clamped to [0, 1] in use, a number or a
        tensor that broadcasts to one sample
    :param V: weight of the one-to-one feedback, a number or a tensor that broadcasts to one
        sample; used with ``all_to_all=False`` only
    :param all_to_all: feed the spikes of all neurons back to all, through the layer ``recurrent``;
        with False each neuron feeds back to itself alone
    :param linear_features: number of neurons, for a feedback by ``nn.Linear``
    :param conv2d_channels: number of channels, for a feedback by ``nn.Conv2d`` that keeps the size
        of the image
    :param kernel_size: size of that convolution's kernel, an int or a pair
    :param learn_beta: make ``beta`` a learnable parameter
    :param learn_recurrent: make the weights of the feedback learnable
    :param reset_delay: reset one step after the spike (default), or within the same step
    :param learn_V: an older name of ``learn_recurrent``
    :raises TypeError: the size of the feedback is missing, is given twice, or is given for
        one-to-one feedback

    The other arguments are those of :class:`SpikingNeuron`.

    Example::

        lif = snn.RLeaky(beta=0.9, linear_features=10)
        spk, mem = lif.init_rleaky()
        for step in range(num_steps):
            spk, mem = lif(x[step], spk, mem)

    Source: F. Zenke, S. Ganguli, "SuperSpike: Supervised Learning in Multilayer Spiking Neural
    Networks", Neural Computation 30 (2018) 1514-1541.
    """

    states = ("spk", "mem")
    _snn_dense, _snn_one_to_one = RECURRENT_LEAKY, ONE_TO_ONE_LEAKY

    def __init__(
        self,
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

    def forward(self, input_: Tensor, spk: State = None, mem: State = None, *more: State) -> Output:
        """Advance by one time step.

        :param input_: input current ``[B, ...]``
        :param spk: spikes of the last step that broadcast to the input's shape; default the last
            call's, or zeros
        :param mem: membrane potential, by default as ``spk``
        :returns: ``spk, mem`` of the input's shape; ``spk`` alone with ``init_hidden=True``
            unless ``output=True``
        """
        return self._snn_call(input_, spk, mem, *more)

    init_rleaky = RecurrentLIF.init_states

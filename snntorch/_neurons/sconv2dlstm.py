import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .._engine.feedback import crop, same_padding
from .neurons import Output, Parameter, Quantiser, SpikingNeuron, State, States, Surrogate
from .slstm import SpikingLSTM


class SConv2dLSTM(SpikingLSTM):
    r"""Spiking convolutional long short-term memory for images.

    .. math::

        i[t+1] &= \sigma(W_{ii} \star X[t+1] + W_{hi} \star U[t] + b_i) \\
        f[t+1] &= \sigma(W_{if} \star X[t+1] + W_{hf} \star U[t] + b_f) \\
        g[t+1] &= \tanh(W_{ig} \star X[t+1] + W_{hg} \star U[t] + b_g) \\
        o[t+1] &= \sigma(W_{io} \star X[t+1] + W_{ho} \star U[t] + b_o) \\
        I_{\rm syn}[t+1] &= f[t+1] \odot I_{\rm syn}[t] + i[t+1] \odot g[t+1] \\
        U[t+1] &= o[t+1] \odot \tanh(I_{\rm syn}[t+1]) - R[t+1] U_{\rm thr}

    where :math:`\star` is a convolution that keeps the size of the image. By default there is no
    reset. With ``reset_mechanism="zero"`` the new membrane is set to zero where
    :math:`R[t+1] = S[t]` is one. With pooling, the pooled membrane fires; the states keep the size
    of the image, and the reset goes by the membrane before pooling.

    :param in_channels: number of input channels
    :param out_channels: number of channels of the neurons
    :param kernel_size: size of the kernel, an int or a pair
    :param bias: whether the convolution has a bias
    :param max_pool: size of a max pooling of the membrane before it fires, an int or a pair; 0 for
        none
    :param avg_pool: size of an average pooling; 0 for none
    :raises ValueError: both kinds of pooling

    The other arguments are those of :class:`SpikingNeuron`.

    Example::

        lstm = snn.SConv2dLSTM(in_channels=1, out_channels=8, kernel_size=3, max_pool=2)
        syn, mem = lstm.init_sconv2dlstm()
        for step in range(num_steps):
            spk, syn, mem = lstm(x[step], syn, mem)

    Source: X. Shi et al., "Convolutional LSTM Network: A Machine Learning Approach for
    Precipitation Nowcasting", NeurIPS (2015).
    """

    _snn_places, _snn_dim = (0, 1, 3, 2), -3

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        bias: bool = True,
        max_pool: int | tuple[int, int] = 0,
        avg_pool: int | tuple[int, int] = 0,
        threshold: Parameter = 1.0,
        spike_grad: Surrogate = None,
        surrogate_disable: bool = False,
        init_hidden: bool = False,
        inhibition: bool = False,
        learn_threshold: bool = False,
        reset_mechanism: str = "none",
        state_quant: Quantiser = False,
        output: bool = False,
    ) -> None:
        if max_pool and avg_pool:
            raise ValueError(
                f"SConv2dLSTM: max_pool={max_pool} and avg_pool={avg_pool}; give one of them"
            )
        super().__init__(
            threshold=threshold,
            spike_grad=spike_grad,
            surrogate_disable=surrogate_disable,
            init_hidden=init_hidden,
            inhibition=inhibition,
            learn_threshold=learn_threshold,
            reset_mechanism=reset_mechanism,
            state_quant=state_quant,
            output=output,
        )
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size, self.bias = kernel_size, bias
        self.max_pool, self.avg_pool = max_pool, avg_pool
        channels, padding = in_channels + out_channels, same_padding(kernel_size)
        self.conv = nn.Conv2d(channels, 4 * out_channels, kernel_size, padding=padding, bias=bias)

    def _snn_state_shape(self, x: Tensor) -> torch.Size:
        return torch.Size((*x.shape[:-3], self.out_channels, *x.shape[-2:]))

    def _snn_drive(self, x: Tensor, all_biases: bool = True) -> Tensor:
        weight, bias = self.conv.weight[:, : self.in_channels], self.conv.bias
        return crop(F.conv2d(x, weight, bias, padding=self.conv.padding), x)

    def _snn_add_product(self, drive: Tensor, mem: Tensor) -> Tensor:
        weight = self.conv.weight[:, self.in_channels :]
        return drive + crop(F.conv2d(mem, weight, padding=self.conv.padding), mem)

    def _snn_gates(self, x: Tensor, mem: Tensor) -> Tensor:
        return crop(self.conv(torch.cat((x, mem), dim=-3)), x)

    def _snn_observed(self, mem: Tensor) -> Tensor:
        if self.max_pool:
            return F.max_pool2d(mem, self.max_pool)
        return F.avg_pool2d(mem, self.avg_pool) if self.avg_pool else mem

    def _snn_above(self, new: States, threshold: Tensor) -> Tensor:
        return self._snn_observed(new[-1]) - threshold

    def forward(self, input_: Tensor, syn: State = None, mem: State = None) -> Output:
        """Advance by one time step.

        :param input_: image ``[B, in_channels, H, W]``
        :param syn: cell state that broadcasts to ``[B, out_channels, H, W]``; default the last
            call's, or zeros
        :param mem: membrane potential, by default as ``syn``
        :returns: ``spk, syn, mem``; the states ``[B, out_channels, H, W]``, the spikes too, or
            pooled; ``spk`` alone with ``init_hidden=True`` unless ``output=True``
        """
        return self._snn_call(input_, syn, mem)

    init_sconv2dlstm = SpikingNeuron.init_states

import torch
from torch import Tensor, nn

from .neurons import Output, Parameter, Quantiser, State, Surrogate
from .stateleaky import StateLeaky


class LinearLeaky(StateLeaky):
    r"""A linear layer followed by :class:`StateLeaky`, over a whole sequence.

    .. math::

        U[t] = \sum_{j=0}^{t} e^{-j/\tau} (W X[t-j] + b), \qquad S[t] = \Theta(U[t] - U_{\rm thr})

    :param beta: decay rate per time step, clamped to [0, 1], a number or a tensor with one value,
        or one for each of the ``out_features``
    :param in_features: number of inputs
    :param out_features: number of neurons
    :param bias: whether the linear layer has a bias
    :param device: where the parameters are made
    :param dtype: their type

    The other arguments are those of :class:`StateLeaky`; the weights are those of ``nn.Linear``, in
    the attribute ``linear``.

    Example::

        layer = snn.LinearLeaky(beta=0.9, in_features=784, out_features=100)
        spk, mem = layer(x)  # x: [T, B, 784]

    Source: as for :class:`StateLeaky`.
    """

    def __init__(
        self,
        beta: Parameter,
        in_features: int,
        out_features: int,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        threshold: Parameter = 1.0,
        spike_grad: Surrogate = None,
        surrogate_disable: bool = False,
        learn_beta: bool = False,
        learn_threshold: bool = False,
        state_quant: Quantiser = False,
        output: bool = True,
        graded_spikes_factor: Parameter = 1.0,
        learn_graded_spikes_factor: bool = False,
        kernel_truncation_steps: int | None = None,
    ) -> None:
        super().__init__(
            beta,
            out_features,
            threshold=threshold,
            spike_grad=spike_grad,
            surrogate_disable=surrogate_disable,
            learn_beta=learn_beta,
            learn_threshold=learn_threshold,
            state_quant=state_quant,
            output=output,
            graded_spikes_factor=graded_spikes_factor,
            learn_graded_spikes_factor=learn_graded_spikes_factor,
            kernel_truncation_steps=kernel_truncation_steps,
        )
        self.to(device=device, dtype=dtype)
        self.linear = nn.Linear(in_features, out_features, bias, device, dtype)

    def forward(self, input_: Tensor, mem: State = None) -> Output:
        """Run over a whole sequence.

        :param input_: input ``[T, B, ..., in_features]``
        :param mem: membrane potential before the first step, which broadcasts to
            ``[B, ..., out_features]``; default zeros, see :meth:`StateLeaky.forward`
        :returns: ``spk, mem``, each ``[T, B, ..., out_features]``; ``mem`` alone with
            ``output=False``
        :raises ValueError: as :meth:`StateLeaky.forward`
        """
        return super().forward(self.linear(self._snn_as_sequence(input_)), mem)

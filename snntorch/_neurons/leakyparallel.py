import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .._torch import is_compiling
from ..dynamics import leak
from .neurons import Parameter, State, Surrogate
from .sequence import WholeSequence


class _Weights(nn.Module):
    """The weights of an ``nn.RNN`` by their names, since torch.compile takes no ``nn.RNN``."""

    weight_ih_l0: Tensor
    weight_hh_l0: Tensor

    def __init__(self, rnn: nn.RNN) -> None:
        super().__init__()
        for name, weight in rnn.named_parameters():
            self.register_parameter(name, weight)

    @property
    def biases(self) -> list[nn.Parameter]:
        return [weight for name, weight in self.named_parameters() if name.startswith("bias")]


class LeakyParallel(WholeSequence):
    r"""A linear layer followed by rectified leaky neurons without reset, over a whole sequence.

    It is a recurrent network of rectified linear units, whose hidden state is the membrane:

    .. math::

        U[t] &= \max(0,\; W X[t] + b + V U[t-1]) \\
        S[t] &= \Theta(U[t] - U_{\rm thr})

    where :math:`V` is diagonal, with the decay rates :math:`\beta` on it. The membrane is never
    negative, and is not reset by a spike: the numbers are not those of :class:`Leaky`.

    :param input_size: number of inputs
    :param hidden_size: number of neurons
    :param beta: what :math:`V` starts from, clamped to [0, 1], a number or a tensor with one value
        for each neuron; default None, at random within :math:`\pm 1 / \sqrt{\rm hidden\_size}`
    :param bias: whether there are the two biases of ``nn.RNN``, whose sum is :math:`b`
    :param dropout: probability that an output is set to zero in training, where the others are
        divided by the rest; default 0
    :param learn_beta: make :math:`V` learnable
    :param weight_hh_enable: let each neuron feed back to all: :math:`V` is a full matrix, whose row
        *i* starts from the *i*-th ``beta``
    :param device: where the parameters are made
    :param dtype: their type
    :raises ValueError: ``beta`` has another number of values, or ``dropout`` is not a probability

    The other arguments are those of :class:`SpikingNeuron`. The weights are named as in ``nn.RNN``,
    in the attribute ``rnn``, with :math:`V` as ``weight_hh_l0``; ``beta`` keeps the values given.

    Example::

        layer = snn.LeakyParallel(input_size=784, hidden_size=100, beta=0.9)
        spk = layer(x)  # x: [T, B, 784]

    Source: Q. V. Le, N. Jaitly, G. E. Hinton, "A Simple Way to Initialize Recurrent Networks of
    Rectified Linear Units", arXiv:1504.00941 (2015).
    """

    _snn_least_dim = 2

    beta: Tensor

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        beta: Parameter | None = None,
        bias: bool = True,
        threshold: Parameter = 1.0,
        dropout: float = 0.0,
        spike_grad: Surrogate = None,
        surrogate_disable: bool = False,
        learn_beta: bool = False,
        learn_threshold: bool = False,
        graded_spikes_factor: Parameter = 1.0,
        learn_graded_spikes_factor: bool = False,
        weight_hh_enable: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        if not 0 <= dropout <= 1:
            raise ValueError(f"LeakyParallel: dropout={dropout} must be between 0 and 1")
        super().__init__(
            threshold,
            spike_grad,
            surrogate_disable,
            learn_threshold=learn_threshold,
            graded_spikes_factor=graded_spikes_factor,
            learn_graded_spikes_factor=learn_graded_spikes_factor,
        )
        self.register_buffer("reset_mechanism_val", self.reset_mechanism_val, persistent=False)
        self.register_buffer("beta", None)
        if beta is not None:
            # A Parameter too: it only gives the weights their first values.
            self._snn_register("beta", beta.detach() if isinstance(beta, Tensor) else beta, False)
            self.beta = self.beta.reshape(-1).clamp(0, 1)
            if len(self.beta) not in (1, hidden_size):
                raise ValueError(
                    f"LeakyParallel: beta has {len(self.beta)} values; it needs one, or one for "
                    f"each of the {hidden_size} neurons"
                )
        self.to(device=device, dtype=dtype)
        self.input_size, self.hidden_size, self.dropout = input_size, hidden_size, dropout
        self.rnn = _Weights(nn.RNN(input_size, hidden_size, bias=bias, device=device, dtype=dtype))
        self._snn_diagonal = False
        self.rnn.weight_hh_l0.requires_grad_(learn_beta)
        if beta is not None:
            with torch.no_grad():
                self.rnn.weight_hh_l0.copy_(self.beta[:, None])
        if not weight_hh_enable:
            self.weight_hh_enable()

    def weight_hh_enable(self) -> None:
        """Let each neuron feed back to itself alone: what is off the diagonal is set to zero, and
        stays so."""
        self._snn_diagonal = True
        with torch.no_grad():
            self.rnn.weight_hh_l0.copy_(self.grad_hook(self.rnn.weight_hh_l0))

    def grad_hook(self, grad: Tensor) -> Tensor:
        """Return a gradient of the feedback without what is off the diagonal.

        :param grad: ``[hidden_size, hidden_size]``
        :returns: a diagonal matrix of the same shape
        """
        return grad.diagonal().diag_embed()

    def forward(self, input_: Tensor, mem: State = None) -> Tensor:
        """Run over a whole sequence.

        :param input_: input ``[T, B, input_size]``, or ``[T, input_size]``
        :param mem: membrane potential before the first step, which broadcasts to
            ``[B, hidden_size]``; default zeros. The last one is kept in the attribute ``mem``
        :returns: spikes ``[T, B, hidden_size]``, or ``[T, hidden_size]``
        :raises ValueError: the input has no time, or ``mem`` has another shape
        """
        x = self._snn_as_sequence(input_)
        first = self._snn_first(mem, x, torch.Size((*x.shape[1:-1], self.hidden_size)))
        traced = torch.jit.is_tracing() or is_compiling()
        trace = (
            self._snn_stepped(x, first)
            if self._snn_diagonal and not traced
            else self._snn_rnn(x, first)
        )
        self._snn_remember((trace[-1].clone(),))
        return F.dropout(self.fire(trace), self.dropout, self.training)

    def _snn_stepped(self, x: Tensor, mem: Tensor) -> Tensor:
        """Run neuron by neuron, which is faster than a product with a diagonal matrix."""
        biases = self.rnn.biases
        bias = biases[0] + biases[1] if biases else None
        current = self._snn_as_current(F.linear(x, self.rnn.weight_ih_l0, bias))
        # The diagonal, in operations that an IPU has.
        decay, trace = self.rnn.weight_hh_l0.flatten()[:: self.hidden_size + 1], []
        for step in current.unbind():
            mem = leak(step, mem, decay).relu()
            trace.append(mem)
        return torch.stack(trace)

    def _snn_rnn(self, x: Tensor, first: Tensor) -> Tensor:
        """Run as one operation of torch, which a traced graph keeps for any length."""
        rows = x if x.dim() == 3 else x.reshape(len(x), -1, self.input_size)
        feedback = self.rnn.weight_hh_l0
        feedback = self.grad_hook(feedback) if self._snn_diagonal else feedback
        weights = [self.rnn.weight_ih_l0, feedback, *self.rnn.biases]
        first = first.reshape(1, -1, self.hidden_size).to(x.dtype)
        how = len(weights) > 2, 1, 0.0, self.training, False, False
        trace = self._snn_as_current(torch.rnn_relu(rows, first, weights, *how)[0])
        return trace if rows is x else trace.reshape(*x.shape[:-1], self.hidden_size)

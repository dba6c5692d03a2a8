from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .._torch import touched
from ..dynamics import LSTM, LSTM_CELL, Model
from .neurons import Output, Parameter, Quantiser, SpikingNeuron, State, States, Surrogate

if TYPE_CHECKING:
    from .._engine.problem import Step


class SpikingLSTM(SpikingNeuron):
    """Parent of the spiking LSTMs: a cell state ``syn``, and a hidden state ``mem`` that fires."""

    states = ("syn", "mem")
    _snn_model = LSTM
    _snn_taken_off = {"zero": "_base_state_reset_zero"}  # noqa: RUF012

    _snn_places: ClassVar[tuple[int, ...]]
    """Where the input, forget, candidate and output gates are among the four."""
    _snn_dim: ClassVar[int]
    """The dimension in which they are side by side."""
    _snn_gates: Callable[[Tensor, Tensor], Tensor]
    """What input and membrane give to the four gates."""
    _snn_drive: Callable[..., Tensor]
    """What the input alone gives to them, and with ``all_biases`` every bias."""
    _snn_add_product: Callable[[Tensor, Tensor], Tensor]
    """That, and what the membrane gives to them, without a bias."""

    def _snn_opened(self, gates: Tensor) -> States:
        """Return the activations of the input, forget, candidate and output gates."""
        four = gates.chunk(4, self._snn_dim)
        into, forget, candidate, out = (four[place] for place in self._snn_places)
        return into.sigmoid(), forget.sigmoid(), candidate.tanh(), out.sigmoid()

    def _snn_inputs(self, x: Tensor, old: States) -> States:
        return self._snn_opened(self._snn_gates(x, old[-1]))

    def _snn_projection(self, x: Tensor) -> tuple[Tensor, Step]:
        """Return what the input gives to the gates at all steps, and the step that takes this."""
        drive = self._snn_drive(x.reshape(-1, *x.shape[self._snn_dim :]), all_biases=True)

        def step(drive: Tensor, old: States) -> tuple[Tensor, States]:
            gates = self._snn_add_product(drive, old[-1])
            return self._snn_advance(x.dtype, self._snn_opened(gates), old)

        return drive.view(*x.shape[: self._snn_dim], *drive.shape[1:]), step


class SLSTM(SpikingLSTM):
    r"""Spiking long short-term memory: an LSTM cell whose hidden state fires.

    .. math::

        i[t+1] &= \sigma(W_{ii} X[t+1] + b_{ii} + W_{hi} U[t] + b_{hi}) \\
        f[t+1] &= \sigma(W_{if} X[t+1] + b_{if} + W_{hf} U[t] + b_{hf}) \\
        g[t+1] &= \tanh(W_{ig} X[t+1] + b_{ig} + W_{hg} U[t] + b_{hg}) \\
        o[t+1] &= \sigma(W_{io} X[t+1] + b_{io} + W_{ho} U[t] + b_{ho}) \\
        I_{\rm syn}[t+1] &= f[t+1] \odot I_{\rm syn}[t] + i[t+1] \odot g[t+1] \\
        U[t+1] &= o[t+1] \odot \tanh(I_{\rm syn}[t+1]) - R[t+1] U_{\rm thr}

    By default there is no reset. With ``reset_mechanism="zero"`` the new membrane is set to zero
    where :math:`R[t+1] = S[t]` is one.

    :param input_size: number of inputs
    :param hidden_size: number of neurons
    :param bias: whether the gates have biases

    The other arguments are those of :class:`SpikingNeuron`. The weights are those of
    ``nn.LSTMCell``, in the attribute ``lstm_cell``.

    Example::

        lstm = snn.SLSTM(input_size=784, hidden_size=100, threshold=0.1)
        syn, mem = lstm.init_slstm()
        for step in range(num_steps):
            spk, syn, mem = lstm(x[step], syn, mem)

    Source: S. Hochreiter, J. Schmidhuber, "Long Short-Term Memory", Neural Computation 9 (1997)
    1735-1780.
    """

    _snn_places, _snn_dim = (0, 1, 2, 3), -1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
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
        self.input_size, self.hidden_size, self.bias = input_size, hidden_size, bias
        self.lstm_cell = nn.LSTMCell(input_size, hidden_size, bias)

    def _snn_state_shape(self, x: Tensor) -> torch.Size:
        return torch.Size((*x.shape[:-1], self.hidden_size))

    def _snn_drive(self, x: Tensor, all_biases: bool = False) -> Tensor:
        cell = self.lstm_cell
        both = all_biases and self.bias
        return F.linear(x, cell.weight_ih, cell.bias_ih + cell.bias_hh if both else cell.bias_ih)

    def _snn_add_product(self, drive: Tensor, mem: Tensor) -> Tensor:
        weight = self.lstm_cell.weight_hh
        if mem.dim() != 2:
            return drive + F.linear(mem, weight)
        return torch.addmm(drive, mem, weight.t())

    def _snn_gates(self, x: Tensor, mem: Tensor) -> Tensor:
        cell = self.lstm_cell
        return self._snn_drive(x) + F.linear(mem, cell.weight_hh, cell.bias_hh)

    @property
    def _snn_model(self) -> Model:  # type: ignore[override]
        return LSTM_CELL if touched(self.lstm_cell) else LSTM

    def _snn_inputs(self, x: Tensor, old: States) -> States:
        if touched(self.lstm_cell):
            mem, syn = self.lstm_cell(x, old[::-1])
            return syn, mem
        return super()._snn_inputs(x, old)

    def forward(self, input_: Tensor, syn: State = None, mem: State = None) -> Output:
        """Advance by one time step.

        :param input_: input ``[B, input_size]``
        :param syn: cell state that broadcasts to ``[B, hidden_size]``; default the last call's, or
            zeros
        :param mem: membrane potential, by default as ``syn``
        :returns: ``spk, syn, mem``, each ``[B, hidden_size]``; ``spk`` alone with
            ``init_hidden=True`` unless ``output=True``
        """
        return self._snn_call(input_, syn, mem)

    init_slstm = SpikingNeuron.init_states

from __future__ import annotations

from math import isqrt

import torch
from torch import Tensor, nn

from .neurons import State
from .sequence import WholeSequence, linear_scan


class AssociativeLeaky(WholeSequence):
    r"""Leaky neurons on a matrix: an associative memory that spikes, over a whole sequence.

    The input is projected to values, keys and decay rates. The outer product of value and key
    charges a matrix of membranes, each column of which leaks at the rate of its key:

    .. math::

        v[t] &= W_v X[t] + b_v, \qquad k[t] = W_k X[t] + b_k, \qquad
        \alpha[t] = \sigma(W_\alpha X[t] + b_\alpha) \\
        U_{ij}[t] &= \alpha_j[t]\, U_{ij}[t-1] + v_i[t]\, k_j[t] \\
        S[t] &= \Theta(U[t] - U_{\rm thr})

    There is no reset. With ``use_q_projection`` the spikes are read out by a query,
    :math:`S[t]\, Q[t]`, where :math:`Q[t]` is the projection :math:`W_q X[t] + b_q` as a matrix
    ``[d_key, d_value]``.

    The recurrence is exact at any length and takes time in proportion to it.

    :param in_dim: number of inputs
    :param d_value: number of values, the rows of :math:`U`
    :param d_key: number of keys, the columns of :math:`U`
    :param num_spiking_neurons: ``d_value * d_key``
    :param use_q_projection: read the spikes out by a query
    :raises ValueError: ``num_spiking_neurons`` is not ``d_value * d_key``

    Threshold, surrogate and graded spikes factor have the defaults of :class:`SpikingNeuron`.

    Example::

        layer = snn.AssociativeLeaky(in_dim=64, d_value=8, d_key=8, num_spiking_neurons=64)
        out = layer(x)  # x: [T, B, 64], out: [T, B, 64]

    Source: S. Yang, B. Wang, Y. Shen, R. Panda, Y. Kim, "Gated Linear Attention Transformers with
    Hardware-Efficient Training", ICML (2024).
    """

    def __init__(
        self,
        in_dim: int,
        d_value: int,
        d_key: int,
        num_spiking_neurons: int,
        use_q_projection: bool = True,
    ) -> None:
        if num_spiking_neurons != d_value * d_key:
            raise ValueError(
                f"AssociativeLeaky: num_spiking_neurons={num_spiking_neurons} must be d_value * "
                f"d_key = {d_value * d_key}"
            )
        super().__init__()
        self.d_value, self.d_key = d_value, d_key
        self.num_spiking_neurons, self.use_q_projection = num_spiking_neurons, use_q_projection
        self.to_v = nn.Linear(in_dim, d_value)
        self.to_k = nn.Linear(in_dim, d_key)
        self.to_alpha = nn.Linear(in_dim, d_key)
        self.to_q = nn.Linear(in_dim, d_value * d_key) if use_q_projection else None

    @classmethod
    def from_num_spiking_neurons(
        cls, in_dim: int, num_spiking_neurons: int, use_q_projection: bool = True
    ) -> AssociativeLeaky:
        """Build a layer with as many values as keys.

        :param in_dim: number of inputs
        :param num_spiking_neurons: the square of the number of values and keys
        :param use_q_projection: read the spikes out by a query
        :returns: the layer
        :raises ValueError: ``num_spiking_neurons`` is not a square number
        """
        side = isqrt(num_spiking_neurons)
        if side * side != num_spiking_neurons:
            raise ValueError(
                f"AssociativeLeaky: num_spiking_neurons={num_spiking_neurons} must be the square "
                "of an integer; else give d_value and d_key"
            )
        return cls(in_dim, side, side, num_spiking_neurons, use_q_projection)

    def forward(self, x: Tensor, mem: State = None) -> Tensor:
        """Run over a whole sequence.

        :param x: input ``[T, B, in_dim]``
        :param mem: matrix of membrane potentials to start from, which broadcasts to
            ``[B, d_value, d_key]``; default zeros. The last one is kept in the attribute ``mem``
        :returns: spikes ``[T, B, d_value * d_key]``, rows first; with a query what it reads,
            ``[T, B, d_value * d_value]``
        :raises ValueError: ``x`` has no time, or ``mem`` another shape
        """
        x = self._snn_as_sequence(x)
        # Under autocast the projections come in half precision, but states stay float32.
        value, key = self._snn_as_current(self.to_v(x)), self._snn_as_current(self.to_k(x))
        decay = self._snn_as_current(self.to_alpha(x)).sigmoid()
        first = self._snn_first(mem, value, torch.Size((*x.shape[1:-1], self.d_value, self.d_key)))
        charge = value.unsqueeze(-1) * key.unsqueeze(-2)
        trace = linear_scan(decay.unsqueeze(-2), charge, first)
        self._snn_remember((trace[-1].clone(),))
        spk = self.fire(trace)
        if self.to_q is None:
            return spk.flatten(-2)
        query = self._snn_as_current(self.to_q(x)).unflatten(-1, (self.d_key, self.d_value))
        return (spk @ query).flatten(-2)

import warnings
from typing import Any

import torch
from torch import Tensor, nn

from ..dynamics import LEAKY
from .neurons import LIF, Output, Parameter, Quantiser, State, States, Surrogate
from .sequence import WholeSequence, linear_scan


class StateLeaky(WholeSequence, LIF):
    r"""Leaky neuron without reset, over a whole sequence.

    Without a reset the membrane is a sum of past inputs, which needs no loop over time:

    .. math::

        U[t] = \sum_{j=0}^{t} e^{-j/\tau} X[t-j], \qquad S[t] = \Theta(U[t] - U_{\rm thr}),
        \qquad \tau = \frac{1}{1 - \beta}

    The membrane decays by :math:`e^{-1/\tau} = e^{\beta - 1}` per time step, which is more than
    :math:`\beta`: 0.905 for 0.9. What is learned is :math:`\tau`; ``beta`` is worked out from it.

    Time steps run in chunks side by side, or under ``torch.no_grad()`` on the CPU in one compiled
    pass; both are exact and take time in proportion to :math:`T`. ``kernel_truncation_steps``
    :math:`= K` cuts the sum off after its first :math:`K` terms.

    :param beta: decay rate :math:`\beta` per time step, clamped to [0, 1], a number or a tensor
        with one value, or one for each channel
    :param channels: number of neurons, the last dimension of the input
    :param learn_beta: make the time constant ``tau`` a learnable parameter; below 1 it acts as 1
    :param state_quant: callable that quantises the membrane before it fires; the quantised values
        do not enter the recurrence
    :param output: return spikes and membrane (default), or with False the membrane alone
    :param kernel_truncation_steps: number of time steps :math:`K` that an input is remembered;
        default None, all
    :raises ValueError: ``beta`` has another number of values, or ``kernel_truncation_steps`` is
        less than 1

    The other arguments are those of :class:`SpikingNeuron`. There is no inhibition.

    Example::

        lif = snn.StateLeaky(beta=0.9, channels=100)
        spk, mem = lif(x)  # x: [T, B, 100]

    Source: W. Fang et al., "Parallel Spiking Neurons with High Efficiency and Ability to Learn
    Long-term Dependencies", NeurIPS (2023).
    """

    _snn_model = LEAKY

    tau: Tensor

    def __init__(
        self,
        beta: Parameter,
        channels: int,
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
        if kernel_truncation_steps is not None and kernel_truncation_steps < 1:
            raise ValueError(
                f"{self._snn_name}: kernel_truncation_steps={kernel_truncation_steps} must be "
                "at least 1, or None for no truncation"
            )
        super().__init__(
            beta,
            threshold=threshold,
            spike_grad=spike_grad,
            surrogate_disable=surrogate_disable,
            learn_beta=learn_beta,
            learn_threshold=learn_threshold,
            state_quant=state_quant,
            output=output,
            graded_spikes_factor=graded_spikes_factor,
            learn_graded_spikes_factor=learn_graded_spikes_factor,
        )
        scaled = isinstance(graded_spikes_factor, Tensor) or graded_spikes_factor != 1
        fires = spike_grad is not None or surrogate_disable or learn_threshold
        if not output and (fires or scaled or learn_graded_spikes_factor):
            warnings.warn(
                f"{self._snn_name}: spike-related settings are unused when output=False, which "
                "returns the membrane alone",
                stacklevel=2,
            )
        if self.tau.shape not in ((), (1,), (channels,)):
            raise ValueError(
                f"{self._snn_name}: beta of shape {tuple(self.tau.shape)} must have one value, "
                f"or one for each of the {channels} channels"
            )
        self.channels, self.kernel_truncation_steps = channels, kernel_truncation_steps

    # The time constant is what is kept and learned ---------------------------------------------

    def _snn_register(self, name: str, value: Parameter, learn: bool) -> None:
        if name != "beta":
            super()._snn_register(name, value, learn)
        elif isinstance(value, Tensor) and value.requires_grad:  # trained from outside
            own: Any = self._parameters if isinstance(value, nn.Parameter) else self._buffers
            own["beta"] = value
        else:
            super()._snn_register("tau", value, learn)
            with torch.no_grad():
                self.tau.copy_(_time_constant(self.tau))

    @property
    def _snn_given(self) -> Tensor | None:
        """A ``beta`` that is trained from outside, if that is what the neuron was made with."""
        return self._parameters.get("beta", self._buffers.get("beta"))

    @property
    def beta(self) -> Tensor:  # type: ignore[override]
        r"""The decay rate :math:`1 - 1/\tau`."""
        given = self._snn_given
        return 1 - 1 / self.tau if given is None else given

    def __getattr__(self, name: str) -> Any:
        if name == "tau" and (given := self._snn_given) is not None:
            return _time_constant(given)
        return super().__getattr__(name)

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        destination[f"{prefix}beta"] = self.beta.detach()
        destination[f"{prefix}tau"] = self.tau.detach()

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *args: Any) -> None:
        if self._snn_given is not None:
            tau = state_dict.pop(f"{prefix}tau", None)
            if tau is not None:
                state_dict.setdefault(f"{prefix}beta", 1 - 1 / tau)
        elif (beta := state_dict.pop(f"{prefix}beta", None)) is not None:
            state_dict.setdefault(f"{prefix}tau", _time_constant(beta))
        super()._load_from_state_dict(state_dict, prefix, *args)

    def _snn_values(self) -> States:
        return (torch.exp(-1 / self.tau.clamp(min=1)),)

    # Running -----------------------------------------------------------------------------------

    def forward(self, input_: Tensor, mem: State = None) -> Output:
        """Run over a whole sequence.

        :param input_: input current ``[T, B, ..., channels]``
        :param mem: membrane potential before the first step, which broadcasts to
            ``[B, ..., channels]``; default zeros. To go on from an earlier call, pass the last
            ``mem[-1]`` that it returned, or the attribute ``mem``, which is not quantised
        :returns: ``spk, mem`` of the input's shape; ``mem`` alone with ``output=False``
        :raises ValueError: the input has no time or another number of channels, ``mem`` has
            another shape or is given in spite of ``kernel_truncation_steps``
        """
        x = self._snn_as_sequence(input_)
        if x.shape[-1] != self.channels:
            raise ValueError(
                f"{self._snn_name}: the input of shape {tuple(x.shape)} has {x.shape[-1]} "
                f"channels; it needs {self.channels} in its last dimension"
            )
        steps = self.kernel_truncation_steps
        if mem is not None and steps is not None:
            raise ValueError(
                f"{self._snn_name}: with kernel_truncation_steps={steps} a membrane does not "
                "tell what "
                "is to be forgotten; start from zeros, or build the neuron without truncation"
            )
        first = self._snn_first(mem, x, x.shape[1:])
        if self._snn_changed_part() and mem is not None:
            raise ValueError(
                f"{self._snn_name}: overrides {self._snn_own_part} and so starts from zeros; "
                "leave mem out"
            )
        spk, trace, last = self._snn_fused(x, first) or self._snn_in_torch(x, first)
        self._snn_remember((last,))
        return (spk, trace) if self.output else trace

    def _snn_fused(self, x: Tensor, first: Tensor) -> States | None:
        """Return spikes, membrane and the last one, if a backend is faster than torch."""
        from .._engine import backends  # not before a kernel is needed

        # A kernel is differentiated once; its own operations, as often as in 1.0.0.
        if torch.is_grad_enabled() and backends.explicit() is None:
            return None
        if self.kernel_truncation_steps is not None:
            return None
        if self.state_quant or self._snn_own_part:
            return None
        stated = self._snn_problem(x, len(x), False, (first,))
        if backends.choose(stated)[0] == backends.reference.NAME:
            return None
        solution = backends.solve(stated)
        return solution.spikes, *(solution.traces or ()), *solution.states

    def _snn_in_torch(self, x: Tensor, first: Tensor) -> States:
        trace = self._base_state_function(x) if self._snn_own_part else self._snn_trace(x, first)
        last = trace[-1].clone()
        trace = self.state_quant(trace) if callable(self.state_quant) else trace
        return self.fire(trace), trace, last

    def _base_state_function(self, input_: Tensor) -> Tensor:
        """Return the membrane over a whole sequence, from zeros."""
        return self._snn_trace(input_, torch.zeros_like(input_[0]))

    def _snn_trace(self, x: Tensor, first: Tensor) -> Tensor:
        (decay,) = self._snn_values()
        if self.kernel_truncation_steps is None:
            decay = decay.reshape(*[1] * (x.dim() - decay.dim()), *decay.shape)
            return linear_scan(decay, x, first)
        return _windowed(x, decay, min(self.kernel_truncation_steps, len(x)))

    def fire_inhibition(self, batch_size: int, mem: Tensor) -> Tensor:
        """Not for this neuron."""
        raise NotImplementedError(f"{self._snn_name} has no inhibition; Leaky has")

    def mem_reset(self, mem: Tensor) -> Tensor:
        """Not for this neuron."""
        raise NotImplementedError(f"{self._snn_name} has no reset; Leaky has")


def _time_constant(beta: Tensor) -> Tensor:
    return 1 / (1 - beta.clamp(0, 1)).clamp(min=1e-12)


def _windowed(x: Tensor, decay: Tensor, steps: int) -> Tensor:
    """Sum the newest inputs, weighted by powers of the decay: each window from its two halves."""
    if steps == 1:
        return x
    half = steps // 2
    out = _windowed(x, decay, half)
    out = out + decay**half * _delayed(out, half)
    return x + decay * _delayed(out, 1) if steps % 2 else out


def _delayed(x: Tensor, steps: int) -> Tensor:
    return torch.cat((torch.zeros_like(x[:steps]), x[:-steps]))

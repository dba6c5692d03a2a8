r"""One time step of every neuron model, as a function of tensors.

A step maps the input, the old states and the parameters to spikes and new states. Everything else
is derived from it: single steps, the reference loop, and compiled kernels with their gradients. The
order of operations is part of the definition: it fixes the last bit.

A :class:`Model` is what distinguishes one neuron from another: an update of its states, and what a
reset does to them. :meth:`Model.dynamics` composes the two with firing, in one place for all
models.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from ._registry import Registry
from .surrogate import heaviside_step

# A tensor, or a traced number.
Num = Any
Nums = tuple[Num, ...]


@dataclass(frozen=True, eq=False)
class Dynamics:
    """A complete step of a neuron, firing and reset included.

    :param step: ``step(*inputs, *states, *parameters, spike=..., fired=..., save=...)`` returns
        the spikes and the new states. ``spike(u)`` fires where ``u`` is positive, with the
        surrogate's derivative; ``fired(u)`` is the same without a derivative; ``save(value)``
        returns a value that a backward pass should read from memory rather than work out again
    :param inputs: names of what is given anew at each step, ``_x`` first
    :param states: names of the states
    :param parameters: names of the parameters, each a number or one for each neuron
    :param recurrent: whether the first state is the spikes of the last step
    :param name: tells the library's own steps apart in the user's folder of kernels
    """

    step: Callable[..., Nums]
    inputs: tuple[str, ...]
    states: tuple[str, ...]
    parameters: tuple[str, ...]
    recurrent: bool = False
    name: str | None = None
    key: str = field(init=False)
    """Under which it is registered."""

    def __post_init__(self) -> None:
        step = self.step
        name = self.name or f"{step.__module__}.{getattr(step, '__qualname__', 'step')}"
        object.__setattr__(self, "key", REGISTERED.add(name, self))


REGISTERED: Registry[Dynamics] = Registry()

_RESETS = [(reset, delay) for reset in ("subtract", "zero", "none") for delay in (True, False)]


@dataclass(frozen=True, eq=False)
class Model:
    """What distinguishes one neuron model from another.

    :param states: names of the states in the order of the call
    :param parameters: names of what the update takes after the states
    :param update: ``update(*inputs, *states, *parameters)`` returns the new states before any
        reset, without the spikes
    :param step: replaces the update and everything below but ``recurrent``: a step with its own
        firing and reset: ``step(*inputs, *states, *parameters, threshold=..., spike=...,
        fired=...)`` returns the spikes and the new states
    :param inputs: names of what the update takes before the states
    :param recurrent: whether the first state is the spikes of the last step
    :param membrane: which of the states fires, counted from the last one, -1
    :param subtract: ``subtract(new, old, fired, threshold)`` returns the new states after a reset
        by subtraction, all without the spikes; default, the membrane loses a threshold
    :param zero: the same for the reset to zero; default, the membrane is set to zero
    :param zero_first: whether a delayed reset to zero clears the old membrane, before the update
    :param overdrive: ``overdrive(states, threshold)`` returns by how much a neuron is above its
        threshold; default, the membrane minus the threshold
    :param name: tells the library's models apart in the user's folder of kernels
    """

    states: tuple[str, ...]
    parameters: tuple[str, ...]
    update: Callable[..., Nums] | None = None
    step: Callable[..., Nums] | None = None
    inputs: tuple[str, ...] = ("x",)
    recurrent: bool = False
    membrane: int = -1
    subtract: Callable[[Nums, Nums, Num, Num], Nums] | None = None
    zero: Callable[[Nums, Nums, Num, Num], Nums] | None = None
    zero_first: bool = False
    overdrive: Callable[[Nums, Num], Num] | None = None
    name: str | None = None

    def __post_init__(self) -> None:
        # Ready-made, since torch.compile looks them up.
        steps = {
            (*rule, refractory): self._compose(*rule, refractory)
            for rule in _RESETS
            for refractory in (False, True)
        }
        object.__setattr__(self, "_steps", steps)

    def dynamics(self, reset: str, delay: bool, refractory: bool = False) -> Dynamics:
        """Return the complete step with a reset mechanism.

        :param reset: ``"subtract"``, ``"zero"`` or ``"none"``
        :param delay: reset one step after the spike, or within the same step
        :param refractory: with a refractory period: one more state, the ``countdown`` of steps
            that are left, and one more parameter, the ``period``
        """
        return self._steps[reset, bool(delay), refractory]  # type: ignore[attr-defined]

    def reset(self, mechanism: str, new: Nums, old: Nums, fired: Num, threshold: Num) -> Nums:
        """Return new states after a reset, all without the spikes.

        :param old: the states of the step before
        :param fired: where to reset
        """
        own = self.subtract if mechanism == "subtract" else self.zero
        if own is not None:
            return own(new, old, fired, threshold)
        mem = new[self.membrane]
        return self._with(new, mem - fired * (threshold if mechanism == "subtract" else mem))

    def _with(self, states: Nums, mem: Num) -> Nums:
        """Put a membrane in its place."""
        place = len(states) + self.membrane
        return *states[:place], mem, *states[place + 1 :]

    def above(self, states: Nums, threshold: Num) -> Num:
        """Return by how much a neuron is above its threshold."""
        if self.overdrive is not None:
            return self.overdrive(states, threshold)
        return states[self.membrane] - threshold

    def _compose(self, reset: str, delay: bool, refractory: bool) -> Dynamics:
        step = self._whole() if self.step is not None else self._composed(reset, delay)
        return Dynamics(
            self._refractory(step) if refractory else step,
            tuple(f"_{name}" for name in self.inputs),
            (*self.states, "countdown") if refractory else self.states,
            (*self.parameters, "threshold", "factor", *(("period",) if refractory else ())),
            self.recurrent,
            self.name and f"{self.name} {reset} {delay} {refractory}",
        )

    def _composed(self, reset: str, delay: bool) -> Callable[..., Nums]:
        """Compose update, reset and firing.

        The step takes, beside what is said in :class:`Dynamics`, ``quantize(state)`` for each new
        state, and an ``above(states, threshold)`` that replaces the model's.
        """
        given, held = len(self.inputs), len(self.inputs) + len(self.states)
        late, now = delay and reset != "none", not delay and reset != "none"
        first = late and reset == "zero" and self.zero_first
        update: Any = self.update

        def step(
            *args: Num,
            spike: Callable[[Num], Num],
            fired: Callable[[Num], Num],
            save: Callable[[Num], Num] | None = None,
            quantize: Callable[[Num], Num] | None = None,
            above: Callable[[Nums, Num], Num] | None = None,
        ) -> Nums:
            old, threshold = args[given:held], args[-2]
            if late:
                mem = old[self.membrane]
                signal = fired(mem.detach() - threshold)
                if first:
                    old = self._with(old, mem - signal * mem)
            new = update(*args[:given], *old, *args[held:-2])
            own = old[1:] if self.recurrent else old
            if late and not first:
                new = self.reset(reset, new, own, signal, threshold)
            if quantize is not None:
                new = tuple(map(quantize, new))
            spk = spike((above or self.above)(new, threshold))
            if now:
                # Here the reset is part of the step, and its gradient goes through the surrogate.
                new = tuple(map(save, new)) if save else new
                new = self.reset(reset, new, own, spk, threshold)
            spk = spk * args[-1]
            return (spk, spk, *new) if self.recurrent else (spk, *new)

        return step

    def _whole(self) -> Callable[..., Nums]:
        """Return the model's own step, with the factor that spikes are multiplied by."""

        def step(
            *args: Num,
            spike: Callable[[Num], Num],
            fired: Callable[[Num], Num],
            save: Callable[[Num], Num] | None = None,
            quantize: Callable[[Num], Num] | None = None,
            above: Callable[[Nums, Num], Num] | None = None,
        ) -> Nums:
            how = {"threshold": args[-2], "spike": spike, "fired": fired}
            spk, *states = self.step(*args[:-2], **how)  # type: ignore[misc]
            new = states if quantize is None else map(quantize, states)
            spk = spk * args[-1]
            return (spk, spk, *new) if self.recurrent else (spk, *new)

        return step

    def _refractory(self, step: Callable[..., Nums]) -> Callable[..., Nums]:
        """Return a step with a refractory period: its last state counts down, and its last
        parameter is the period."""
        given, held = len(self.inputs), len(self.inputs) + len(self.states)

        def refractory(*args: Num, spike: Callable[[Num], Num], **how: Any) -> Nums:
            old, left, rest, period = args[given:held], args[held], args[held + 1 : -1], args[-1]
            left = left.detach()
            ready = 1 - heaviside_step(left)
            new_spikes = []

            def spike_if_ready(u: Num) -> Num:
                new_spikes.append(spike(u) * ready)
                return new_spikes[-1]

            inputs = (each * ready for each in args[:given])
            outs = step(*inputs, *old, *rest, spike=spike_if_ready, **how)
            if len(new_spikes) != 1:
                raise TypeError(
                    f"the step of a neuron with a refractory period calls spike "
                    f"{len(new_spikes)} times; it must call it once"
                )
            now = heaviside_step(new_spikes[0].detach())
            return *outs, now * period + (1 - now) * (left - (1 - ready))

        return refractory


@cache
def with_feedback(model: Model, dense: bool) -> Model:
    """Return a recurrent model: the spikes of the last step add to the input.

    :param dense: by a layer between the steps, which gives another input, ``feedback``; else each
        neuron to itself, by a weight ``V``
    """
    inner: Any = model.step or model.update

    def run(x: Num, *rest: Num, **how: Any) -> Nums:
        if dense:
            feedback, spk, *rest = rest  # type: ignore[assignment]
        else:
            spk, *rest, V = rest  # type: ignore[assignment]
            feedback = V * spk
        spikes = (spk,) if model.recurrent else ()
        return inner(x + feedback, *spikes, *rest, **how)

    own: dict[str, Any] = {"step" if model.step else "update": run}
    return replace(
        model,
        states=model.states if model.recurrent else ("spk", *model.states),
        inputs=(*model.inputs, "feedback") if dense else model.inputs,
        parameters=model.parameters if dense else (*model.parameters, "V"),
        recurrent=True,
        name=model.name and f"{model.name} {'dense' if dense else 'one to one'}",
        **own,
    )


# The models ----------------------------------------------------------------------------------


def leak(x: Num, mem: Num, beta: Num) -> Num:
    """Decay and add: what most updates are made of."""
    return beta * mem + x


def set_where(fired: Num, mem: Num, value: Num) -> Num:
    """Set the membrane to a value where the neuron fired, exactly: ``mem - fired * (mem - value)``
    would round."""
    return mem * (1 - fired) + value * fired


def _leaky(x: Num, mem: Num, beta: Num) -> Nums:
    return (leak(x, mem, beta),)


def _recurrent_leaky(x: Num, feedback: Num, spk: Num, mem: Num, beta: Num) -> Nums:
    return (leak(x, mem, beta) + feedback,)


def _synaptic(x: Num, syn: Num, mem: Num, alpha: Num, beta: Num) -> Nums:
    syn = leak(x, syn, alpha)
    return syn, leak(syn, mem, beta)


def _recurrent_synaptic(
    x: Num, feedback: Num, spk: Num, syn: Num, mem: Num, alpha: Num, beta: Num
) -> Nums:
    syn = leak(x, syn, alpha) + feedback
    return syn, leak(syn, mem, beta)


def _delta_leaky(x: Num, mem: Num, mem_prev: Num, beta: Num) -> Nums:
    """The old membrane is kept beside the new one."""
    return leak(x, mem, beta), mem


def _change(states: Nums, threshold: Num) -> Num:
    mem, mem_prev = states
    return abs(mem - mem_prev) - threshold


def _alpha(x: Num, exc: Num, inh: Num, mem: Num, alpha: Num, beta: Num, tau: Num) -> Nums:
    """The new membrane does not depend on the old one: the memory is in the two currents."""
    exc = leak(x, exc, alpha)
    inh = leak(-x, inh, beta)
    return exc, inh, tau * (exc + inh)


def _alpha_subtract(new: Nums, old: Nums, fired: Num, threshold: Num) -> Nums:
    """The excitatory current loses a threshold, the inhibitory one all, the membrane what the
    inhibitory current had been."""
    exc, inh, mem = new
    return exc - fired * threshold, inh - fired * inh, mem + fired * old[1]


def _zero_all(new: Nums, old: Nums, fired: Num, threshold: Num) -> Nums:
    """Set all states to zero."""
    return tuple(state - fired * state for state in new)


def _lapicque(x: Num, mem: Num, R: Num, conductance: Num, time_step: Num, decay: Num) -> Nums:
    """``conductance`` is 1 / (R C), ``decay`` is 1 - time_step / (R C)."""
    return (x * R * conductance * time_step + decay * mem,)


def _lstm(into: Num, forget: Num, candidate: Num, out: Num, syn: Num, mem: Num) -> Nums:
    """The gates come activated."""
    syn = forget * syn + into * candidate
    return syn, out * syn.tanh()


def _given(new_syn: Num, new_mem: Num, syn: Num, mem: Num) -> Nums:
    """What a whole cell gives."""
    return new_syn, new_mem


def _one_to_one(name: str, model: Model) -> Model:
    """Return the recurrent model in which each neuron feeds back to itself, by a weight ``V``."""

    def update(x: Num, spk: Num, *rest: Num) -> Nums:
        *states_and_parameters, V = rest
        return model.update(x, V * spk, spk, *states_and_parameters)  # type: ignore[misc]

    parameters = (*model.parameters, "V")
    return replace(model, name=name, parameters=parameters, inputs=("x",), update=update)


LEAKY = Model(("mem",), ("beta",), _leaky, zero_first=True, name="leaky")
LAPICQUE = Model(("mem",), ("R", "conductance", "time_step", "decay"), _lapicque, name="lapicque")
SYNAPTIC = Model(("syn", "mem"), ("alpha", "beta"), _synaptic, name="synaptic")
ALPHA = Model(
    ("syn_exc", "syn_inh", "mem"),
    ("alpha", "beta", "tau"),
    _alpha,
    subtract=_alpha_subtract,
    zero=_zero_all,
    name="alpha",
)
DELTA_LEAKY = Model(
    ("mem", "mem_prev"),
    ("beta",),
    _delta_leaky,
    membrane=-2,
    overdrive=_change,
    name="delta_leaky",
)
LSTM = Model(("syn", "mem"), (), _lstm, inputs=("into", "forget", "candidate", "out"), name="lstm")
LSTM_CELL = Model(("syn", "mem"), (), _given, inputs=("new_syn", "new_mem"), name="lstm_cell")
RECURRENT_LEAKY = Model(
    ("spk", "mem"),
    ("beta",),
    _recurrent_leaky,
    inputs=("x", "feedback"),
    recurrent=True,
    name="recurrent_leaky",
)
RECURRENT_SYNAPTIC = Model(
    ("spk", "syn", "mem"),
    ("alpha", "beta"),
    _recurrent_synaptic,
    inputs=("x", "feedback"),
    recurrent=True,
    name="recurrent_synaptic",
)
ONE_TO_ONE_LEAKY = _one_to_one("one_to_one_leaky", RECURRENT_LEAKY)
ONE_TO_ONE_SYNAPTIC = _one_to_one("one_to_one_synaptic", RECURRENT_SYNAPTIC)

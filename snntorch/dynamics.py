r"""One time step of every neuron model, as a function of tensors.

A step maps the input, the old states and the parameters to spikes and new states. Everything else
is derived from it: single steps, the reference loop, and compiled kernels with their gradients. The
order of operations is part of the definition: it fixes the last bit.

A :class:`Model` is what distinguishes one neuron from another: an update of its states, and what a
reset does to them. :func:`advance` composes the two with firing, in one place for all models.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

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
    :param inputs: names of what is given anew at each step, ``x`` first
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


def subtract(new: Nums, old: Nums, fired: Num, threshold: Num) -> Nums:
    """Take a threshold off the membrane, the last state."""
    return *new[:-1], new[-1] - fired * threshold


def zero(new: Nums, old: Nums, fired: Num, threshold: Num) -> Nums:
    """Set the membrane to zero."""
    return *new[:-1], new[-1] - fired * new[-1]


def zero_all(new: Nums, old: Nums, fired: Num, threshold: Num) -> Nums:
    """Set all states to zero."""
    return tuple(state - fired * state for state in new)


_RESETS = [(reset, delay) for reset in ("subtract", "zero", "none") for delay in (True, False)]


@dataclass(frozen=True, eq=False)
class Model:
    """What distinguishes one neuron model from another.

    :param name: tells the library's models apart in the user's folder of kernels
    :param update: ``update(*inputs, *states, *parameters)`` returns the new states before any
        reset, without the spikes
    :param states: names of the states in the order of the call
    :param parameters: names of what the update takes after the states
    :param inputs: names of what it takes before them
    :param recurrent: whether the first state is the spikes of the last step
    :param subtract: ``subtract(new, old, fired, threshold)`` returns the new states after a reset
        by subtraction; all without the spikes
    :param zero: the same for the reset to zero
    :param zero_first: whether a delayed reset to zero clears the old membrane, before the update
    :param membrane: which of the states fires
    :param overdrive: ``overdrive(states, threshold)`` returns by how much a neuron is above its
        threshold; default, the membrane minus the threshold
    """

    name: str
    update: Callable[..., Nums]
    states: tuple[str, ...]
    parameters: tuple[str, ...]
    inputs: tuple[str, ...] = ("x",)
    recurrent: bool = False
    subtract: Callable[[Nums, Nums, Num, Num], Nums] = subtract
    zero: Callable[[Nums, Nums, Num, Num], Nums] = zero
    zero_first: bool = False
    membrane: int = -1
    overdrive: Callable[[Nums, Num], Num] = lambda states, threshold: states[-1] - threshold

    def reset(self, mechanism: str, new: Nums, old: Nums, fired: Num, threshold: Num) -> Nums:
        """Return new states after a reset."""
        return getattr(self, mechanism)(new, old, fired, threshold)

    def __post_init__(self) -> None:
        # Ready-made, since torch.compile looks them up.
        steps = {(reset, delay): self._compose(reset, delay) for reset, delay in _RESETS}
        object.__setattr__(self, "_steps", steps)

    def dynamics(self, reset: str, delay: bool) -> Dynamics:
        """Return the complete step with a reset mechanism.

        :param reset: ``"subtract"``, ``"zero"`` or ``"none"``
        :param delay: reset one step after the spike, or within the same step
        """
        return self._steps[reset, bool(delay)]  # type: ignore[attr-defined]

    def _compose(self, reset: str, delay: bool) -> Dynamics:
        inputs, states = len(self.inputs), len(self.inputs) + len(self.states)

        def step(*args: Num, **how: Any) -> Nums:
            *own, threshold, factor = args[states:]

            def update(old: Nums) -> Nums:
                return self.update(*args[:inputs], *old, *own)

            old = args[inputs:states]
            _, spk, new = advance(self, update, old, threshold, factor, reset, delay, **how)
            return (spk, spk, *new) if self.recurrent else (spk, *new)

        names = (*self.parameters, "threshold", "factor")
        name = f"{self.name} {reset} {delay}"
        return Dynamics(step, self.inputs, self.states, names, self.recurrent, name)


def _itself(value: Num) -> Num:
    return value


def advance(
    model: Model,
    update: Callable[[Nums], Nums],
    old: Nums,
    threshold: Num,
    factor: Num,
    reset: str,
    delay: bool,
    *,
    spike: Callable[[Num], Num],
    fired: Callable[[Num], Num],
    save: Callable[[Num], Num] = _itself,
    quantize: Callable[[Num], Num] | None = None,
    overdrive: Callable[[Nums, Num], Num] | None = None,
) -> tuple[Num, Num, Nums]:
    """Advance by one time step: update, reset, fire.

    :param update: ``update(old)`` returns the new states before any reset
    :param old: the old states
    :param factor: what spikes are multiplied by
    :param quantize: quantizes each new state
    :param overdrive: in place of the model's
    :returns: the spikes before and after they are multiplied, and the new states without them
    """
    overdrive = overdrive or model.overdrive
    late = reset != "none" and delay
    own = old[1:] if model.recurrent else old
    if late:
        signal = fired(own[model.membrane] - threshold)
    if late and reset == "zero" and model.zero_first:
        new = update((*old[:-1], old[-1] - signal * old[-1]))
    else:
        new = update(old)
        if late:
            new = model.reset(reset, new, own, signal, threshold)
    if quantize is not None:
        new = tuple(map(quantize, new))
    spk = spike(overdrive(new, threshold))
    if reset != "none" and not delay:
        # Here the reset is part of the step, and its gradient goes through the surrogate.
        new = model.reset(reset, tuple(map(save, new)), own, spk, threshold)
    return spk, spk * factor, new


# The models ----------------------------------------------------------------------------------


def leak(x: Num, mem: Num, beta: Num) -> Num:
    """Decay and add: what most updates are made of."""
    return beta * mem + x


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


def _lapicque(x: Num, mem: Num, R: Num, conductance: Num, time_step: Num, decay: Num) -> Nums:
    """``conductance`` is 1 / (R C), ``decay`` is 1 - time_step / (R C)."""
    return (x * R * conductance * time_step + decay * mem,)


def _lstm(into: Num, forget: Num, candidate: Num, out: Num, syn: Num, mem: Num) -> Nums:
    """The gates come activated."""
    syn = forget * syn + into * candidate
    return syn, out * syn.tanh()


def one_to_one(name: str, model: Model) -> Model:
    """Return a recurrent model in which each neuron feeds back to itself alone, by a weight V."""

    def update(x: Num, spk: Num, *rest: Num) -> Nums:
        *states_and_parameters, V = rest
        return model.update(x, V * spk, spk, *states_and_parameters)

    return Model(name, update, model.states, (*model.parameters, "V"), recurrent=True)


LEAKY = Model("leaky", _leaky, ("mem",), ("beta",), zero_first=True)
LAPICQUE = Model("lapicque", _lapicque, ("mem",), ("R", "conductance", "time_step", "decay"))
SYNAPTIC = Model("synaptic", _synaptic, ("syn", "mem"), ("alpha", "beta"))
ALPHA = Model(
    "alpha",
    _alpha,
    ("syn_exc", "syn_inh", "mem"),
    ("alpha", "beta", "tau"),
    subtract=_alpha_subtract,
    zero=zero_all,
)
DELTA_LEAKY = Model(
    "delta_leaky", _delta_leaky, ("mem", "mem_prev"), ("beta",), membrane=0, overdrive=_change
)
LSTM = Model("lstm", _lstm, ("syn", "mem"), (), ("into", "forget", "candidate", "out"))
RECURRENT_LEAKY = Model(
    "recurrent_leaky",
    _recurrent_leaky,
    ("spk", "mem"),
    ("beta",),
    ("x", "feedback"),
    recurrent=True,
)
RECURRENT_SYNAPTIC = Model(
    "recurrent_synaptic",
    _recurrent_synaptic,
    ("spk", "syn", "mem"),
    ("alpha", "beta"),
    ("x", "feedback"),
    recurrent=True,
)
ONE_TO_ONE_LEAKY = one_to_one("one_to_one_leaky", RECURRENT_LEAKY)
ONE_TO_ONE_SYNAPTIC = one_to_one("one_to_one_synaptic", RECURRENT_SYNAPTIC)

"""Neurons whose states and equations are given as functions."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor

from .neuron import Neuron, check_states
from .neurons import Output, Parameter, State, Surrogate

Named = dict[str, Tensor]


class CustomNeuron(Neuron):
    """Parent of the neurons that :func:`neuron_from_equations` makes.

    :param threshold: firing threshold, in units of the state that fires, a number or a tensor that
        broadcasts to one sample; default 1
    :param spike_grad: surrogate gradient in any form of :mod:`snntorch.surrogate`; default
        :func:`~snntorch.surrogate.atan`
    :raises TypeError: ``reset_mechanism`` or ``reset_delay``, which such a neuron does not have

    The other arguments are those of :class:`SpikingNeuron`.
    """

    def __init__(
        self, threshold: Parameter = 1.0, spike_grad: Surrogate = None, **options: Any
    ) -> None:
        super().__init__(threshold=threshold, spike_grad=spike_grad, **options)

    def forward(self, input_: Tensor, *states: State, **named: State) -> Output:
        """Advance by one time step.

        :param input_: input current ``[B, ...]``
        :param states: all states in the order of ``states``, or by name, each broadcasting to the
            input's shape; or none, for those of the last call, or before the first step
        :returns: the spikes and the new states, each of the input's shape; the spikes alone with
            ``init_hidden=True`` unless ``output=True``
        :raises TypeError: some of the states, too many, or an unknown one; or states with
            ``init_hidden=True``
        """
        given, names = len(states) + len(named), self._snn_state_names
        if given not in (0, len(names)) and not self.init_hidden:
            raise TypeError(
                f"{self._snn_name} has {len(names)} state{'s' * (len(names) > 1)} "
                f"({', '.join(names)}), but {given} {'was' if given == 1 else 'were'} given; pass "
                "all of them, or none to go on from the last call"
            )
        return super().forward(input_, *states, **named)


def neuron_from_equations(
    name: str,
    state_names: Sequence[str],
    update_fn: Callable[[Named, Tensor], Named],
    spike_state: str | None = None,
    reset_fn: Callable[[Named, Tensor, Tensor], Named] | None = None,
    init_values: Mapping[str, Parameter] | None = None,
) -> type[CustomNeuron]:
    r"""Make a class of neurons from the equations of its states.

    In each time step, the states are updated, the neuron fires where ``spike_state`` is above the
    threshold, and is reset in the same step:

    .. math::

        s' &= {\rm update\_fn}(s[t-1],\, I[t]) \\
        S[t] &= \Theta(s'_{\rm spike\_state} - U_{\rm thr}) \\
        s[t] &= {\rm reset\_fn}(s',\, S[t],\, U_{\rm thr})

    This is the neuron of Izhikevich (2003) [1]_, in steps of 1 ms::

        def update(states, current):
            v, u = states["v"], states["u"]
            dv = 0.04 * v**2 + 5 * v + 140 - u + current
            du = 0.02 * (0.2 * v - u)
            return {"v": v + dv, "u": u + du}

        def reset(states, spk, threshold):
            v, u = states["v"], states["u"]
            fired = spk.detach().bool()
            return {
                "v": torch.where(fired, torch.full_like(v, -65.0), v),
                "u": torch.where(fired, u + 8.0, u),
            }

        Izhikevich = snn.neuron_from_equations(
            "Izhikevich",
            state_names=("v", "u"),
            update_fn=update,
            spike_state="v",
            reset_fn=reset,
            init_values={"v": -65.0, "u": -13.0},
        )

        neuron = Izhikevich(threshold=30.0)
        spk, v, u = neuron(current)
        spk, v, u = neuron(current, v, u)

    The class is a subclass of :class:`CustomNeuron`: ``Izhikevich(threshold=1.0, spike_grad=None,
    ...)`` takes the options of every neuron except ``reset_mechanism`` and ``reset_delay``.
    Assign it to a variable of the same name, so that its neurons can be pickled.

    The spikes that ``reset_fn`` gets carry the surrogate gradient, so the gradient of a reset goes
    through them; so does that of the default reset. Use ``spk.detach()`` for a reset without a
    gradient. ``graded_spikes_factor`` scales the spikes after the reset.

    :func:`unroll` compiles the equations if they treat each neuron by itself, in arithmetic,
    powers, comparisons, ``torch.where``, ``clamp``, ``exp`` and the like. It runs others step by
    step in PyTorch; :func:`explain` says why. The functions run as they are at the first call of
    ``unroll``: do not let them depend on variables that change later. For learnable parameters,
    write a subclass of :class:`Neuron`.

    :param name: name of the class
    :param state_names: names of the states, in the order of the call
    :param update_fn: ``update_fn(states, input)`` returns the states after the update. It takes and
        returns a dict of tensors by name; so does ``reset_fn``
    :param spike_state: the state that fires; default, the first of ``state_names``
    :param reset_fn: ``reset_fn(states, spk, threshold)`` returns the states after the reset;
        default, ``spike_state`` loses the threshold where it fired
    :param init_values: the states before the first step and after a reset of the network, by name:
        numbers, or tensors that broadcast to one sample; default zero
    :returns: the class. Its neurons are called as ``spk, *states = neuron(input, *states)``
    :raises TypeError: an argument of another type. When a neuron is called: a function that does
        not return a dict of tensors
    :raises ValueError: a name that cannot be used; a ``spike_state`` or a name in ``init_values``
        that is not a state. When a neuron is called: a function that returns too few or too many
        states

    .. [1] E. M. Izhikevich (2003) Simple model of spiking neurons. IEEE Transactions on Neural
        Networks 14, 1569-1572.
    """
    if not isinstance(name, str):
        raise TypeError(f"name={name!r} must be a string, the name of the class")
    if not name.isidentifier():
        raise ValueError(f"name={name!r} must be an identifier, the name of the class")
    if isinstance(state_names, str) or not isinstance(state_names, Sequence):
        raise TypeError(f"{name}: state_names={state_names!r} must be a tuple of names")
    names = tuple(state_names)
    if not names:
        raise ValueError(f"{name}: state_names={state_names!r} must name at least one state")
    check_states(name, names, spikes=False)
    for argument, function in (("update_fn", update_fn), ("reset_fn", reset_fn)):
        if not callable(function) and (function is not None or argument == "update_fn"):
            raise TypeError(f"{name}: {argument}={function!r} must be a function")
    fires = names[0] if spike_state is None else spike_state
    if fires not in names:
        raise ValueError(f"{name}: spike_state={spike_state!r} must be one of {_listed(names)}")
    if init_values is not None and not isinstance(init_values, Mapping):
        raise TypeError(f"{name}: init_values={init_values!r} must be a dict of values by state")
    initial = dict(init_values or {})
    for each, value in initial.items():
        if each not in names:
            raise ValueError(
                f"{name}: init_values has a value for {each!r}; it must be one of {_listed(names)}"
            )
        if isinstance(value, bool) or not isinstance(value, int | float | Tensor):
            raise TypeError(f"{name}: init_values[{each!r}]={value!r} must be a number or a tensor")

    def step(x: Tensor, *old: Tensor, threshold: Tensor, spike: Callable[[Tensor], Tensor]) -> Any:
        new = _checked(name, "update_fn", names, update_fn(dict(zip(names, old, strict=True)), x))
        spk = spike(new[fires] - threshold)
        if reset_fn is None:
            new[fires] = new[fires] - spk * threshold
        else:
            new = _checked(name, "reset_fn", names, reset_fn(new, spk, threshold))
        return spk, *(new[each] for each in names)

    # What snn.Neuron reads; the input comes by position, and so has any name that no state has.
    positional, keyword = inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.KEYWORD_ONLY
    arguments = [inspect.Parameter(each, positional) for each in ("_input", *names)]
    arguments += [inspect.Parameter(each, keyword) for each in ("threshold", "spike")]
    step.__signature__ = inspect.Signature(arguments)  # type: ignore[attr-defined]
    space = {
        "__doc__": f"A neuron with the states {', '.join(names)}, made by "
        ":func:`snntorch.neuron_from_equations`.",
        # As namedtuple does, so that pickle finds a class by its name.
        "__module__": sys._getframe(1).f_globals.get("__name__", "__main__"),
        "states": names,
        "membrane": fires,
        "initial": initial,
        "step": staticmethod(step),
    }
    return type(name, (CustomNeuron,), space)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names))


def _checked(name: str, function: str, names: Sequence[str], found: Any) -> Named:
    """Return what a function gave, if that is a tensor for each state and nothing else."""
    if not isinstance(found, Mapping):
        raise TypeError(
            f"{name}: {function} returned a {type(found).__name__}; expected a dict of the states "
            f"{_listed(names)}"
        )
    missing = [each for each in names if each not in found]
    extra = [each for each in found if each not in names]
    if missing or extra:
        wrong = f"did not return {_listed(missing)}" if missing else ""
        wrong += " and " if missing and extra else ""
        wrong += f"returned {_listed(extra)}" if extra else ""
        raise ValueError(f"{name}: {function} {wrong}; expected the states {_listed(names)}")
    for each, value in found.items():
        if not isinstance(value, Tensor):
            raise TypeError(
                f"{name}: {function} returned a {type(value).__name__} for {each!r}; expected a "
                "tensor"
            )
    return dict(found)

"""The base of users' own neurons: states, parameters and a step, from which the rest follows."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, NoReturn

import torch
from torch import Tensor

from ..dynamics import Model
from .neurons import Output, Parameter, Quantiser, SpikingNeuron, State, States, Surrogate
from .states import is_ours

Fire = Callable[[Tensor], Tensor]  # what a step fires by

# What a step may take after the parameters.
_FIRING = ("threshold", "spike", "fired")
_TAKEN = (*_FIRING, "spk", "countdown", "graded_spikes_factor", "reset_mechanism", "V")


class Neuron(SpikingNeuron):
    r"""Base class for your own neuron: name its states and parameters, and write one time step.

    This is all of an adaptive leaky integrate-and-fire neuron::

        class AdaptiveLIF(snn.Neuron):
            states = ("mem", "adaptation")

            def __init__(self, beta, rho, gain, **options):
                super().__init__(**options)
                self.parameter("beta", beta)
                self.parameter("rho", rho)
                self.parameter("gain", gain, learn=True)

            @staticmethod
            def step(x, mem, adaptation, beta, rho, gain, threshold, spike, fired):
                reset = fired(mem - threshold - gain * adaptation)
                adaptation = rho * adaptation + (1 - rho) * reset
                mem = beta * mem + x - reset * threshold
                return spike(mem - threshold - gain * adaptation), mem, adaptation

    It is called as every neuron, ``spk, mem, adaptation = neuron(x, mem, adaptation)``, and has
    what every neuron has: ``init_hidden``, surrogate gradients, inhibition, a refractory period,
    recurrent connections, compiled sequences in :func:`~snntorch.unroll` with their gradients.

    ``step(x, *states, *parameters, threshold, spike, fired)`` is a static method of tensors. It
    takes the states in the order of ``states``, then parameters by their names: each is the
    attribute of that name, which :meth:`parameter` made, or a property computes from those. After
    them come, if it names them, ``threshold``, ``spike(u)``, which fires where ``u`` is positive
    and carries the surrogate gradient, and ``fired(u)``, the same without a gradient. It calls
    ``spike`` once, and returns the spikes and all new states.

    A step that needs the spikes of the step before names them ``spk``, first among the states. It
    does not return them a second time.

    Instead of the step, a neuron may define ``update(x, *states, *parameters)`` only, which returns
    the new states. It then fires and is reset as :class:`Leaky` is, by ``reset_mechanism`` and
    ``reset_delay``. With several states, ``membrane`` names the one that fires.

    Compiled sequences need a step that treats each neuron by itself, in plain operations on
    tensors; :func:`~snntorch.explain` names an operation that they do not have, and the step then
    runs in PyTorch. :func:`snntorch.testing.check_neuron` checks a neuron.

    :param threshold: firing threshold, in units of the membrane, a number or a tensor that
        broadcasts to one sample; default 1
    :param reset_mechanism: for a neuron with ``update``: ``"subtract"`` (default), ``"zero"`` or
        ``"none"``
    :param reset_delay: for a neuron with ``update``: reset one step after the spike (default), or
        within the same step
    :raises TypeError: the arguments of ``step`` or ``update`` are not as above, when the class is
        made; or ``reset_mechanism`` or ``reset_delay`` is given to a neuron with a ``step``

    The other arguments are those of :class:`SpikingNeuron`.
    """

    membrane: ClassVar[str | None] = None
    """Name of the state that fires; with a ``step``, only the property ``reset`` reads it."""

    initial: Mapping[str, Parameter] = {}
    """Values of states before the first step, by name: numbers, or tensors that broadcast to one
    sample; default zero. May be set for the class or in the constructor."""

    step: ClassVar[Callable[..., Any] | None] = None
    update: ClassVar[Callable[..., Any] | None] = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        own = vars(cls)
        if not own.keys() & {"states", "step", "update", "membrane"}:
            return
        check_states(cls.__name__, cls.states)
        cls._snn_take_states()
        if cls.step is not None or cls.update is not None:
            cls._snn_model = cls._snn_modeled()
            cls._snn_resets = cls._snn_model.step is None

    @classmethod
    def _snn_modeled(cls) -> Model:
        """Return the model that the class describes."""
        # Of step and update, the one that is defined last counts.
        definer = next(each for each in cls.__mro__ if vars(each).keys() & {"step", "update"})
        given = [kind for kind in ("step", "update") if vars(definer).get(kind) is not None]
        if len(given) != 1:
            raise TypeError(f"{cls.__name__} defines both step and update; define one of them")
        (kind,) = given
        if not isinstance(vars(definer)[kind], staticmethod):
            raise TypeError(f"{cls.__name__}: {kind} must be a @staticmethod, without self")
        function: Any = getattr(cls, kind)
        arguments = list(inspect.signature(function).parameters)
        states, held = cls.states, 1 + len(cls.states)
        recurrent = states[:1] == ("spk",)
        firing = [name for name in arguments if name in _FIRING and kind == "step"]
        parameters = tuple(arguments[held : len(arguments) - len(firing)])
        if tuple(arguments[1:held]) != states or set(arguments[held + len(parameters) :]) != {
            *firing
        }:
            raise TypeError(
                f"{cls.__name__}: {kind}({', '.join(arguments)}) must take "
                f"{', '.join(('x', *states, '...'))}: the input, "
                f"the states in the order of states={states!r}, the parameters"
                + (f", and then of {', '.join(_FIRING)} what it needs" * (kind == "step"))
            )
        named = cls.membrane is not None or (kind == "update" and len(states) - recurrent > 1)
        if named and cls.membrane not in states[recurrent:]:
            raise TypeError(
                f"{cls.__name__}: membrane={cls.membrane!r} must name the one of "
                f"states={states[recurrent:]!r} that fires"
            )
        expected = (*("spikes",) * (kind == "step"), *states[recurrent:])
        name = f"{cls.__module__}.{cls.__qualname__}" if is_ours(cls) else None

        def run(*args: Any, **how: Any) -> tuple[Any, ...]:
            outs = function(*args, **{name: how[name] for name in firing})
            outs = tuple(outs) if isinstance(outs, tuple | list) else (outs,)
            if len(outs) != len(expected):
                raise TypeError(
                    f"{cls.__name__}: {kind} returned {len(outs)} values; expected "
                    f"{len(expected)}: {', '.join(expected)}"
                )
            return outs

        place = states.index(cls.membrane or states[-1]) - len(states)
        how: dict[str, Any] = {kind: run}
        return Model(states, parameters, recurrent=recurrent, membrane=place, name=name, **how)

    def __init__(
        self,
        *,
        threshold: Parameter = 1.0,
        spike_grad: Surrogate = None,
        surrogate_disable: bool = False,
        init_hidden: bool = False,
        inhibition: bool = False,
        learn_threshold: bool = False,
        reset_mechanism: str | None = None,
        reset_delay: bool | None = None,
        state_quant: Quantiser = False,
        output: bool = False,
        graded_spikes_factor: Parameter = 1.0,
        learn_graded_spikes_factor: bool = False,
        **options: Any,
    ) -> None:
        if not hasattr(self, "_snn_model"):
            raise TypeError(f"{self._snn_name} has neither a step nor an update; define one")
        for name, value in (("reset_mechanism", reset_mechanism), ("reset_delay", reset_delay)):
            if value is not None and not self._snn_resets:
                raise TypeError(
                    f"{self._snn_name}: {name}={value!r}, but its step is reset in its own way; "
                    "leave it out"
                )
        super().__init__(
            threshold=threshold,
            spike_grad=spike_grad,
            surrogate_disable=surrogate_disable,
            init_hidden=init_hidden,
            inhibition=inhibition,
            learn_threshold=learn_threshold,
            reset_mechanism=reset_mechanism or ("subtract" if self._snn_resets else "none"),
            state_quant=state_quant,
            output=output,
            graded_spikes_factor=graded_spikes_factor,
            learn_graded_spikes_factor=learn_graded_spikes_factor,
            **options,
        )
        if reset_delay is not None:
            self.reset_delay = reset_delay

    def parameter(self, name: str, value: Parameter, learn: bool = False) -> None:
        """Make a parameter of the neuron, an attribute that moves with it and is saved with it.

        :param name: the name that the step calls it by
        :param value: a number, or a tensor that broadcasts to one sample. A tensor that requires a
            gradient is used as it is; any other is copied
        :param learn: make it a learnable parameter; default False
        :raises ValueError: a name that is in use
        :raises TypeError: a value that is neither a number nor a tensor
        """
        if not str(name).isidentifier() or hasattr(self, name):
            raise ValueError(
                f"{self._snn_name}: parameter name={name!r} must be an identifier that is not yet "
                "an attribute of the neuron"
            )
        self._snn_register(name, value, learn)

    def _snn_values(self) -> States:
        names = type(self)._snn_model.parameters
        return tuple(self._snn_as_value(getattr(self, name)) for name in names)

    def _snn_as_value(self, value: Any) -> Tensor:
        return value if isinstance(value, Tensor) else torch.as_tensor(value).to(self.threshold)

    def _snn_at_rest(self, name: str, like: Tensor, shape: torch.Size) -> Tensor:
        value = self.initial.get(name)
        if value is None:
            return like.new_zeros(shape)
        if 0 in shape:  # before the first call: it fits any batch
            return like.new_empty(shape)
        return torch.as_tensor(value).to(like).expand(shape).clone()

    def _snn_overridden_step(self, x: Tensor, old: States) -> NoReturn:
        raise TypeError(
            f"{self._snn_name}: {self._snn_own_part} belongs to neurons that are overridden in "
            "parts, such as subclasses of Leaky; put what it does into step"
        )

    def forward(self, input_: Tensor, *states: State, **named: State) -> Output:
        """Advance by one time step.

        :param input_: input current ``[B, ...]``
        :param states: the states in the order of ``states``, each broadcasting to the input's
            shape; default the last call's, or those before the first step. May be passed by name
        :returns: the spikes and the new states, each of the input's shape; the spikes alone with
            ``init_hidden=True`` unless ``output=True``
        :raises TypeError: an unknown state, or too many
        """
        if named:
            states = self._snn_by_name(states, named)
        return self._snn_call(input_, *states)

    def _snn_by_name(self, states: tuple[State, ...], named: dict[str, State]) -> tuple[State, ...]:
        rest = self._snn_state_names[len(states) :]
        for name in named:
            if name not in rest:
                raise TypeError(
                    f"{self._snn_name}: {name!r} is not a state that is left to be given; those "
                    f"are {', '.join(rest) or 'none'}"
                )
        return (*states, *(named.get(name) for name in rest))


def check_states(owner: str, names: Any, spikes: bool = True) -> None:
    """Raise unless these can be the names of a neuron's states.

    :param owner: the name of its class
    :param spikes: whether the first may be the spikes of the last step
    """
    if not isinstance(names, tuple) or not all(isinstance(name, str) for name in names):
        raise TypeError(f"{owner}: states={names!r} must be a tuple of names")
    for name in names[spikes and names[:1] == ("spk",) :]:
        bad = not name.isidentifier() or name.startswith("_") or name in _TAKEN
        if bad or hasattr(Neuron, name) or names.count(name) > 1:
            raise ValueError(
                f"{owner}: {name!r} in states={names!r} cannot be the name of a state; "
                "choose a name that occurs once and is not an attribute of snn.Neuron"
            )

"""The base classes of all neurons: parameters, firing, reset, and the call."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

from .._checks import check_count
from .._engine.choice import may_be_fused
from .._torch import autocast_on, found, is_exported, is_recorded, recording, sizes
from ..dynamics import Dynamics, Model, with_feedback
from ..surrogate import SpikeGrad, as_spike_function, heaviside_step, no_surrogate
from .overrides import Overridable
from .states import BEFORE, RESET, OptionalState

if TYPE_CHECKING:
    from .._engine.problem import Problem

# Type aliases.
States = tuple[Tensor, ...]
Parameter = float | Tensor
Surrogate = Any  # any form that surrogate.as_spike_function takes
Quantiser = Callable[[Tensor], Tensor] | bool
State = Tensor | None
Output = Tensor | States


class SpikingNeuron(Overridable):
    r"""Parent of every spiking neuron: threshold, firing, reset and hidden states.

    A neuron fires when its membrane potential :math:`U` exceeds its threshold,

    .. math:: S[t] = \Theta(U[t] - U_{\rm thr}),

    and is reset by one of these mechanisms, where :math:`R[t] = S[t-1]`:

    * ``"subtract"``: the threshold is taken off, :math:`U[t] \gets U[t] - R[t] U_{\rm thr}`;
    * ``"zero"``: the membrane starts again from zero (what exactly is set to zero is part of each
      model, see its documentation);
    * ``"none"``: nothing happens; the neuron is a leaky integrator with spikes.

    The delayed signal :math:`R` carries no gradient. A neuron with ``reset_delay=False`` is reset
    by :math:`S[t]` instead, which carries the surrogate gradient into the membrane.

    States are plain tensors. They move with ``.to()``, and are in no ``state_dict``, pickle or
    copy: a copied or loaded neuron starts reset. A call without states carries on from the last
    call's. New states have the device and dtype of the input; under autocast they stay float32.

    The arguments below are shared by all neurons.

    :param threshold: firing threshold :math:`U_{\rm thr}`, in units of the membrane, a number or
        a tensor that broadcasts to one sample; default 1
    :param spike_grad: surrogate gradient in any form of :mod:`snntorch.surrogate`; default
        :func:`~snntorch.surrogate.atan`
    :param surrogate_disable: fire without any surrogate, so that spikes carry no gradient
    :param init_hidden: keep the states inside the neuron and return spikes only, as
        ``nn.Sequential`` needs
    :param inhibition: let only the neuron with the highest membrane of each sample fire; those
        that are held back are reset as if they had fired (with ``reset_delay=False`` only the
        one that fires is reset)
    :param learn_threshold: make the threshold a learnable parameter
    :param reset_mechanism: ``"subtract"``, ``"zero"`` or ``"none"``; may be set later
    :param state_quant: callable that quantises every new state, see
        :func:`~snntorch.functional.state_quant`; False for none
    :param output: with ``init_hidden=True``, return the states too
    :param graded_spikes_factor: what spikes are multiplied by
    :param learn_graded_spikes_factor: make that factor a learnable parameter
    :param refractory: for so many steps after a spike a neuron takes no input and does not fire;
        default 0. Its states go on without input; where they are above the threshold meanwhile,
        they are reset as ever. A weight by which a neuron feeds back to itself alone still acts.
        With a refractory period the neuron has one more state, the last:
        the ``countdown`` of steps that are left
    :param recurrent: feed the spikes of each step back into the input of the next: through a layer
        that keeps the shape, such as ``nn.Linear(100, 100)`` or ``nn.Conv2d(8, 8, 3, padding=1)``,
        or each neuron to itself by a weight, a number or a tensor that broadcasts to one sample.
        Such a neuron has one more state, the first: the spikes ``spk`` of the last step. Default:
        no feedback
    :raises ValueError: an unknown reset mechanism or surrogate name
    :raises TypeError: an argument of another type
    """

    reset_dict: ClassVar[dict[str, int]] = {"subtract": 0, "zero": 1, "none": 2}
    """The number by which ``state_dict`` stores each reset mechanism."""

    reset_delay: bool = True

    # A subclass may use these names for something else.
    spk = OptionalState("spk")
    countdown = OptionalState("countdown")

    V: Tensor
    recurrent: nn.Module
    threshold: Tensor
    graded_spikes_factor: Tensor
    reset_mechanism_val: Tensor

    def __init__(
        self,
        threshold: Parameter = 1.0,
        spike_grad: Surrogate = None,
        surrogate_disable: bool = False,
        init_hidden: bool = False,
        inhibition: bool = False,
        learn_threshold: bool = False,
        reset_mechanism: str = "subtract",
        state_quant: Quantiser = False,
        output: bool = False,
        graded_spikes_factor: Parameter = 1.0,
        learn_graded_spikes_factor: bool = False,
        *,
        refractory: int = 0,
        recurrent: nn.Module | Parameter | None = None,
    ) -> None:
        super().__init__()
        self._snn_parameter_names: tuple[str, ...] = ()
        if state_quant and not callable(state_quant):
            raise TypeError(
                f"{self._snn_name}: state_quant={state_quant!r} is not callable; pass False or "
                "what functional.quant.state_quant(...) returns"
            )
        self.spike_grad = no_surrogate if surrogate_disable else spike_grad
        self.surrogate_disable, self.state_quant = surrogate_disable, state_quant
        self.init_hidden, self.output, self.inhibition = init_hidden, output, inhibition
        self._snn_register("threshold", threshold, learn_threshold)
        self._snn_register("graded_spikes_factor", graded_spikes_factor, learn_graded_spikes_factor)
        self.register_buffer("reset_mechanism_val", torch.zeros((), dtype=torch.long))
        self.reset_mechanism = reset_mechanism
        self.refractory = check_count("refractory", refractory, 0)
        if self.refractory:
            self._snn_state_names = (*self._snn_state_names, "countdown")
        self._snn_feedback: str | None = None
        if recurrent is not None:
            self._snn_connect(recurrent)
        self._snn_begin()

    def _snn_connect(self, recurrent: nn.Module | Parameter) -> None:
        """Feed the spikes of each step back into the next."""
        if isinstance(recurrent, nn.Module):
            self._snn_feedback = "dense"
            self.recurrent = recurrent
        else:
            self._snn_feedback = "one to one"
            self._snn_register("V", recurrent, False)
        if not self._snn_model.recurrent:
            self._snn_state_names = ("spk", *self._snn_state_names)

    def _snn_begin(self) -> None:
        if self._snn_feedback is not None:
            dense = self._snn_feedback == "dense"
            self._snn_model = with_feedback(type(self)._snn_model, dense)
        super()._snn_begin()

    # Parameters ------------------------------------------------------------------------------

    def _snn_register(self, name: str, value: Parameter, learn: bool) -> None:
        """Make ``value`` a parameter or a buffer of the neuron.

        A tensor that requires a gradient is used as it is, so that whoever made it trains it. Any
        other is copied.
        """
        if value is None or isinstance(value, str | bool):
            raise TypeError(f"{self._snn_name}: {name}={value!r}; expected a number or a tensor")
        if not isinstance(value, Tensor) or not value.is_floating_point():
            value = torch.as_tensor(value, dtype=torch.get_default_dtype())
        if learn and not isinstance(value, nn.Parameter):
            value = nn.Parameter(value.detach().clone())
        elif not (isinstance(value, nn.Parameter) or value.requires_grad):
            value = value.clone()
        if isinstance(value, nn.Parameter):
            self.register_parameter(name, value)
        else:
            self.register_buffer(name, value)
        self._snn_parameter_names = (*self._snn_parameter_names, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in self._snn_state_names and (recorder := recording()) is not None:
            recorder.changed(self)  # the steps so far are to see the old value
        super().__setattr__(name, as_spike_function(value) if name == "spike_grad" else value)

    @property
    def reset_mechanism(self) -> str:
        """``"subtract"``, ``"zero"`` or ``"none"``; may be set at any time."""
        return self._reset_mechanism

    @reset_mechanism.setter
    def reset_mechanism(self, mechanism: str) -> None:
        if mechanism not in self.reset_dict:
            raise ValueError(
                f"{self._snn_name}: reset_mechanism={mechanism!r} must be one of "
                f"{', '.join(map(repr, self.reset_dict))}"
            )
        self._reset_mechanism = mechanism
        self.reset_mechanism_val.fill_(self.reset_dict[mechanism])

    def _load_from_state_dict(self, *args: Any) -> None:
        state_dict, prefix = args[:2]
        for name in self._snn_state_names:
            if state_dict.pop(f"{prefix}{name}", None) is not None:
                warnings.warn(
                    f"{self._snn_name}: {prefix}{name} of the state_dict is not loaded; states "
                    "are not saved any more, and the neuron starts reset",
                    stacklevel=2,
                )
        number = state_dict.get(f"{prefix}reset_mechanism_val")
        numbers = {number: mechanism for mechanism, number in self.reset_dict.items()}
        if number is not None and not number.is_meta and int(number) not in numbers:
            raise ValueError(
                f"{self._snn_name}: {prefix}reset_mechanism_val={int(number)} in the state_dict "
                f"must be one of {', '.join(f'{n} ({m})' for n, m in numbers.items())}"
            )
        super()._load_from_state_dict(*args)
        if not self.reset_mechanism_val.is_meta:
            self.reset_mechanism = numbers[int(self.reset_mechanism_val)]

    def extra_repr(self) -> str:
        """Return the parameters as ``print(net)`` shows them."""
        parts = [f"reset_mechanism={self.reset_mechanism!r}"] if self._snn_resets else []
        for name in (*self._parameters, *self._buffers):
            value = getattr(self, name)
            if value is not None and value.is_floating_point() and name != "graded_spikes_factor":
                parts.append(f"{name}={brief(value)}")
        return ", ".join(sorted(parts))

    def _snn_initial_state(self, name: str, *sizes: int) -> Tensor:
        return self._snn_at_rest(name, self.threshold, torch.Size(sizes))

    def _snn_at_rest(self, name: str, like: Tensor, shape: torch.Size) -> Tensor:
        """Return a state before the first step."""
        return like.new_zeros(shape)

    def _snn_keeps_spikes(self) -> bool:
        return self._snn_model.recurrent

    # Firing and reset ------------------------------------------------------------------------

    def fire(self, mem: Tensor) -> Tensor:
        """Return the spikes of a membrane potential.

        :param mem: membrane potential, any shape that the threshold broadcasts to
        :returns: spikes of the same shape, times the graded spikes factor
        """
        return self.spike_grad(mem - self.threshold) * self.graded_spikes_factor

    def fire_inhibition(self, batch_size: int, mem: Tensor) -> Tensor:
        """Return the spikes of a membrane potential, at most one in each sample.

        :param batch_size: number of samples, the first dimension of ``mem``
        :param mem: membrane potential ``[batch_size, ...]``
        :returns: spikes of the same shape: those of the neuron with the highest membrane above
            its threshold, times the graded spikes factor
        """
        overdrive = (mem - self.threshold).reshape(batch_size, -1)
        return self._snn_winners(overdrive).reshape(mem.shape) * self.graded_spikes_factor

    def _snn_winners(self, overdrive: Tensor) -> Tensor:
        if not overdrive.numel():
            return self.spike_grad(overdrive)
        flat = overdrive.reshape(_samples(overdrive), -1)
        first = flat.argmax(dim=1, keepdim=True)
        winner = torch.zeros_like(flat).scatter(1, first, 1.0)
        return (self.spike_grad(flat) * winner).reshape(overdrive.shape)

    def mem_reset(self, mem: Tensor) -> Tensor:
        """Return the reset signal of a membrane potential: 1 above the threshold, else 0.

        :param mem: membrane potential, any shape that the threshold broadcasts to
        :returns: 1 where the neuron is to be reset, 0 elsewhere, without gradient
        """
        return self._snn_fired(mem.detach() - self.threshold)

    # One time step ---------------------------------------------------------------------------

    def _snn_state_shape(self, x: Tensor) -> torch.Size:
        return x.shape

    @property
    def reset(self) -> Tensor:
        """The reset signal of the last step, from the membrane before it: 1 where the neuron was
        reset, 0 elsewhere."""
        kept = self._snn_kept()
        before = kept[BEFORE]
        if kept[RESET] is None and before is not None:
            kept[RESET] = self.mem_reset(before)
        signal = kept[RESET]
        if signal is None:
            raise AttributeError(f"{self._snn_name} has made no step since it was made or unrolled")
        return signal

    @reset.setter
    def reset(self, signal: Tensor) -> None:
        self._snn_kept()[RESET] = signal

    def _snn_observed(self, mem: Tensor) -> Tensor:
        """Return the membrane that decides over spikes."""
        return mem

    def _snn_firing_threshold(self) -> Tensor:
        return self.threshold

    def _snn_above(self, new: States, threshold: Tensor) -> Tensor:
        """Return by how much the new states are above the threshold."""
        return self._snn_model.above(new, threshold)

    def _snn_fired(self, overdrive: Tensor) -> Tensor:
        overdrive = overdrive.detach()
        if isinstance(self.spike_grad, SpikeGrad):
            return heaviside_step(overdrive)
        return self.spike_grad(overdrive).detach()

    def _snn_inputs(self, x: Tensor, old: States) -> tuple[Tensor, ...]:
        """Return what the model takes before the states."""
        if self._snn_feedback != "dense":
            return (x,)
        feedback = self.recurrent(old[0])
        if sizes(feedback.shape) != sizes(x.shape):
            raise ValueError(
                f"{self._snn_name}: recurrent={self.recurrent} returns the shape "
                f"{tuple(feedback.shape)} for spikes of shape {tuple(x.shape)}; it must keep the "
                "shape"
            )
        return x, feedback

    def _snn_values(self) -> States:
        """Return what the model takes after the states, but for the weight of a feedback."""
        return ()

    def _snn_model_parameters(self) -> States:
        values = self._snn_values()
        return (*values, self.V) if self._snn_feedback == "one to one" else values

    def _snn_update(self, x: Tensor, states: States) -> States:
        """Return the new states before any reset."""
        arguments = *self._snn_inputs(x, states), *states, *self._snn_model_parameters()
        return self._snn_model.update(*arguments)  # type: ignore[misc]

    def _snn_dynamics(self) -> Dynamics:
        """Return the complete step, as the neuron is set up."""
        return self._snn_composed(self._snn_model)

    def _snn_composed(self, model: Model) -> Dynamics:
        """Return the complete step of a model, with the neuron's reset."""
        reset = self._reset_mechanism if self._snn_resets else "none"
        return model.dynamics(reset, self.reset_delay, self.refractory > 0)

    def _snn_parameters(self) -> States:
        """Return what the complete step takes after the states."""
        firing = self._snn_firing_threshold(), self.graded_spikes_factor
        if not self.refractory:
            return *self._snn_model_parameters(), *firing
        period = self.threshold.new_full((), float(self.refractory))
        return *self._snn_model_parameters(), *firing, period

    def _snn_step(self, x: Tensor, old: States) -> tuple[Tensor, States]:
        """Advance by one time step; return spikes and new states."""
        if may_be_fused(x) and self._snn_is_elementwise():
            from .._engine.backends import solve_step

            parameters = self._snn_parameters()
            outs = solve_step(self._snn_dynamics(), x, old, parameters, self.spike_grad)
            if outs is not None:
                return outs[0], outs if self._snn_model.recurrent else outs[1:]
        return self._snn_plain_step(x, old)

    def _snn_is_elementwise(self) -> bool:
        """Tell whether each neuron takes its step by itself, by rules that kernels may know."""
        return self._snn_model.inputs == ("x",) and not (
            self.inhibition or self.state_quant or self._snn_changed_part()
        )

    def _snn_plain_step(self, x: Tensor, old: States) -> tuple[Tensor, States]:
        """Do the same by PyTorch's operations alone."""
        if self._snn_changed_part():
            return self._snn_overridden_step(x, old)
        return self._snn_advance(x.dtype, self._snn_inputs(x, old), old)

    def _snn_advance(
        self, dtype: torch.dtype, inputs: tuple[Tensor, ...], old: States
    ) -> tuple[Tensor, States]:
        """Advance by one time step from the model's inputs."""
        spk, *new = self._snn_dynamics().step(
            *inputs,
            *old,
            *self._snn_parameters(),
            spike=self._snn_winners if self.inhibition else self.spike_grad,
            fired=self._snn_fired,
            quantize=self.state_quant or None,
            above=self._snn_above,
        )
        # A network goes on in the type of its input, whatever that of a parameter or a state.
        spk = spk if spk.dtype == dtype else spk.to(dtype)
        return spk, (spk, *new[1:]) if self._snn_model.recurrent else tuple(new)

    def _snn_spikes(self, new: States) -> States:
        """Return the spikes of new states, before and after they are scaled."""
        name = "fire_inhibition" if self.inhibition else "fire"
        if name in self._snn_overridden:
            mem = self._snn_observed(new[self._snn_model.membrane])
            size = (_samples(mem),) if self.inhibition else ()
            spk = getattr(self, name)(*size, mem)
            return spk, spk
        above = self._snn_above(new, self._snn_firing_threshold())
        spk = self._snn_winners(above) if self.inhibition else self.spike_grad(above)
        return spk, spk * self.graded_spikes_factor

    # Many time steps -------------------------------------------------------------------------

    _snn_projection: ClassVar[Any] = None

    def _snn_recurrence(self) -> tuple[nn.Module | None, States]:
        """Return the layer of a product at each step, and its weights."""
        if "feedback" not in self._snn_model.inputs:
            return None, ()
        return self.recurrent, tuple(self.recurrent.parameters())

    def _snn_problem(self, x: Tensor, num_steps: int, static: bool, states: States) -> Problem:
        """State what a backend is to solve; ``x`` and ``states`` are of their final shape."""
        from .._engine.problem import Problem  # not before there is one

        recurrent, weights = self._snn_recurrence()
        elementwise = self._snn_projection is None
        return Problem(
            x=x,
            static=static,
            num_steps=num_steps,
            states=states,
            step=self._snn_plain_step,
            only_spikes=self.init_hidden and not self.output,
            dynamics=self._snn_dynamics() if elementwise else None,
            parameters=self._snn_parameters() if elementwise else (),
            spike_grad=self.spike_grad,
            inhibition=self.inhibition,
            state_quant=self.state_quant,
            recurrent=recurrent,
            weights=weights,
            projection=self._snn_projection,
        )

    def _snn_pose(self, input_: Tensor, num_steps: int, static: bool) -> Problem:
        """State what a backend is to solve from the newest states on."""
        x = self._snn_as_current(input_)
        shape = self._snn_state_shape(x if static else x[0])
        self._snn_check_parameters(shape)
        states = tuple(self._snn_fitting(name, None, x, shape) for name in self._snn_state_names)
        return self._snn_problem(x, num_steps, static, states)

    def _snn_call(self, input_: Tensor, *given: State) -> Output:
        """Run one step from the given states, or the kept ones, or zeros, and keep the new."""
        if (recorder := recording()) is not None:
            recorded = recorder.neuron(self, input_, given)
            if recorded is not NotImplemented:
                return recorded
        x, old = self._snn_started(input_, given)
        spk, new = self._snn_step(x, old)
        model = self._snn_model
        self._snn_remember(new, old[len(model.states) + model.membrane])
        return spk if self.init_hidden and not self.output else self._snn_packed(spk, new)

    def _snn_started(self, input_: Tensor, given: tuple[State, ...]) -> tuple[Tensor, States]:
        """Return the input and the states of a step, each of its final shape."""
        x = self._snn_as_current(input_)
        shape = self._snn_state_shape(x)
        if self.init_hidden and any(state is not None for state in given):
            raise TypeError(
                f"{self._snn_name}: states ({', '.join(self._snn_state_names)}) were passed with "
                "init_hidden=True; leave them out, or build the neuron with init_hidden=False"
            )
        self._snn_check_parameters(shape)
        names = self._snn_state_names
        if len(given) != len(names):
            given = self._snn_filled(given)
        old: States = ()
        for name, state in zip(names, given, strict=True):
            old = *old, self._snn_fitting(name, state, x, shape)
        return x, old

    def _snn_filled(self, given: tuple[State, ...]) -> tuple[State, ...]:
        """Return as many states as the neuron has, None where one is not given."""
        names = self._snn_state_names
        if len(given) > len(names):
            one = len(names) == 1
            raise TypeError(
                f"{self._snn_name} has {len(names)} state{'s' * (not one)} ({', '.join(names)}), "
                f"but {len(given)} were given"
                + f"; a single state is a tensor, not a tuple, so pass {names[0]}, not *{names[0]}"
                * one
            )
        return (*given, *(None,) * (len(names) - len(given)))

    def _snn_packed(self, spk: Tensor, states: States) -> Any:
        """Return what a call returns that gives spikes and states."""
        return spk, *states[self._snn_model.recurrent :]

    def _snn_as_current(self, input_: Tensor) -> Tensor:
        """Return the input as a floating point tensor."""
        if type(input_) is Tensor and input_.dtype is torch.float32 and not input_.is_nested:
            return input_  # as in most calls
        input_ = getattr(input_, "value", input_)  # of a QuantTensor of brevitas
        if isinstance(input_, torch.fx.Proxy):
            raise TypeError(
                f"{self._snn_name}: torch.fx.symbolic_trace cannot trace a neuron, whose step "
                "depends on shapes; make neurons leaves of your Tracer (is_leaf_module), or use "
                "torch.export"
            )
        if not isinstance(input_, Tensor):
            raise TypeError(
                f"{self._snn_name}: the input is a {type(input_).__name__}, not a tensor; a layer "
                "before it that returns spikes and states needs init_hidden=True and output=False"
            )
        if input_.is_complex() or input_.is_nested:
            kind = "nested" if input_.is_nested else str(input_.dtype)
            raise TypeError(
                f"{self._snn_name}: the input is {kind}; it must be a dense tensor of real numbers"
            )
        if not input_.is_floating_point():
            return input_.to(self.threshold.dtype)
        if input_.dtype in (torch.float16, torch.bfloat16) and autocast_on(input_.device.type):
            # A membrane kept in half precision changes spikes.
            return input_.float()
        return input_

    def _snn_check_parameters(self, shape: torch.Size) -> None:
        """Raise if a parameter does not broadcast to the states' shape."""
        if torch.jit.is_tracing():
            return
        for name in self._snn_parameter_names:
            value = self._parameters.get(name, self._buffers.get(name))
            if value is None or value.numel() == 1:
                continue
            try:
                value.expand(shape)
            except RuntimeError:
                raise ValueError(
                    f"{self._snn_name}: {name} of shape {tuple(value.shape)} does not broadcast to "
                    f"the shape {tuple(shape)} of the membrane; it needs one value, or one for "
                    "each neuron in the last dimensions"
                ) from None

    def _snn_fitting(self, name: str, given: State, x: Tensor, shape: torch.Size) -> Tensor:
        """Return a state to start from, of the given shape."""
        state = self._snn_newest(name) if given is None else given
        recorded = is_recorded()
        if type(state) is Tensor and not recorded:
            if state.shape == shape and not state.is_inference():
                return state  # as in most calls
        elif given is None and is_exported() and not self._snn_reset_on_record:
            warnings.warn(
                f"{self._snn_name}: the recorded graph has no memory: state {name} starts from its "
                "present value at every call. Build the neuron with init_hidden=False and pass "
                "states in and out, or trace snn.Unroll(net), which runs a whole sequence",
                stacklevel=2,
            )
        if state is None:
            return self._snn_at_rest(name, x, shape)
        if not isinstance(state, Tensor):
            raise TypeError(
                f"{self._snn_name}: state {name} is a {type(state).__name__}, not a tensor; "
                "pass what the neuron returned or its init method gives, one tensor for each state"
            )
        if not recorded and state.is_inference() and not torch.is_inference_mode_enabled():
            state = state.clone()  # autograd can take a copy
        own = sizes(state.shape)
        if own == sizes(shape):
            return state
        if 0 in own or (given is None and not found(state)):
            return self._snn_at_rest(name, x, shape)
        if given is not None or self._snn_by_hand:
            try:
                return (state.to(x).reshape(()) if state.numel() == 1 else state).expand(shape)
            except RuntimeError:
                pass
        shapes = f"{self._snn_name}: state {name} of shape {tuple(own)}"
        if given is not None and (recorded or found(state)):
            raise ValueError(
                f"{shapes} does not broadcast to the shape {tuple(shape)} that the input calls "
                "for; pass one value for each neuron, or for each neuron of each sample"
            )
        if given is None and not self.__dict__.get("_warned"):
            self.__dict__["_warned"] = True
            warnings.warn(
                f"{shapes} does not fit the shape {tuple(shape)} of this input, and the neuron "
                "starts anew. Reset it between sequences with utils.reset(net), and give "
                "each layer a separate neuron. This is said once for each neuron",
                stacklevel=2,
            )
        return self._snn_at_rest(name, x, shape)


def brief(value: Tensor) -> str:
    """Return one value as it is printed, and the shape of several."""
    known = value.numel() == 1 and not value.is_meta
    return f"{value.item():.4g}" if known else str(tuple(value.shape))


def _samples(mem: Tensor) -> int:
    return mem.shape[0] if mem.dim() > 1 else 1


class LIF(SpikingNeuron):
    """Parent of the leaky integrate-and-fire neurons: a membrane that decays by a rate ``beta``.

    :param beta: decay rate of the membrane per time step, clamped to [0, 1] in use, a number or a
        tensor that broadcasts to one sample
    :param learn_beta: make the decay rate a learnable parameter

    The other arguments are those of :class:`SpikingNeuron`.
    """

    beta: Tensor

    def __init__(
        self,
        beta: Parameter,
        threshold: Parameter = 1.0,
        spike_grad: Surrogate = None,
        surrogate_disable: bool = False,
        init_hidden: bool = False,
        inhibition: bool = False,
        learn_beta: bool = False,
        learn_threshold: bool = False,
        reset_mechanism: str = "subtract",
        state_quant: Quantiser = False,
        output: bool = False,
        graded_spikes_factor: Parameter = 1.0,
        learn_graded_spikes_factor: bool = False,
        **options: Any,
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
            graded_spikes_factor=graded_spikes_factor,
            learn_graded_spikes_factor=learn_graded_spikes_factor,
            **options,
        )
        self._snn_register("beta", beta, learn_beta)

    def _snn_values(self) -> States:
        return (self.beta.clamp(0, 1),)

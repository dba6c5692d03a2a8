"""Check that your own neuron keeps what every neuron of the library promises."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Collection, Iterable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_map

from . import utils
from ._engine.backends import BACKENDS
from ._engine.kernels import Spec, forward
from ._network.plan import make_plan
from ._network.unroll import unroll
from ._neurons.neurons import SpikingNeuron
from ._neurons.sequence import WholeSequence
from ._table import table
from .surrogate import heaviside_step, no_surrogate

__all__ = ["NeuronReport", "check_neuron"]


@dataclass(frozen=True)
class NeuronReport:
    """What :func:`check_neuron` found; a table when printed."""

    name: str
    """The neuron's class."""
    passed: tuple[str, ...]
    """The checks that the neuron passed."""
    refused: dict[str, str]
    """For each backend that cannot run the neuron, the reason."""
    remarks: dict[str, str]
    """For each check that was left out, or of which a part was, the reason."""

    def __str__(self) -> str:
        rows = [(self.name, "", "")]
        rows += [(check, "passed", self.remarks.get(check, "")) for check in self.passed]
        left_out = self.remarks.keys() - {*self.passed}
        rows += [(check, "left out", self.remarks[check]) for check in sorted(left_out)]
        rows += [(backend, "cannot run it", reason) for backend, reason in self.refused.items()]
        return table(rows)


@dataclass(frozen=True)
class _Case:
    """A neuron to be checked, with an input that makes it fire."""

    make: Callable[..., SpikingNeuron]
    x: Tensor
    """``[T, B, ...]``"""
    saved: dict[str, Any]
    """The ``state_dict`` of the first neuron, which all others load."""
    backends: Collection[str] | None
    refused: dict[str, str] = field(default_factory=dict)
    remarks: dict[str, str] = field(default_factory=dict)

    def neuron(self, dtype: torch.dtype | None = None, **options: bool) -> Any:
        """Return a new neuron."""
        neuron = self.make(**options)
        neuron.load_state_dict(self.saved)
        return neuron.to(self.x.device, dtype or self.x.dtype)

    def input(self, dtype: torch.dtype | None = None) -> Tensor:
        """Return a copy of the input."""
        return self.x.to(dtype=dtype or self.x.dtype, copy=True)


def _leaves(tree: Any) -> list[Tensor]:
    return tree_flatten(tree)[0]


def _ensure(condition: bool, text: str) -> None:
    if not condition:
        raise AssertionError(text)


def _same(got: Any, want: Any, names: Iterable[str], text: str, exact: bool = True) -> None:
    """Compare tensors; ``{}`` in the text stands for the name of the one that differs."""
    how: dict[str, Any] = {"rtol": 0, "atol": 0} if exact else {}
    for name, a, b in zip(names, got, want, strict=True):
        try:
            torch.testing.assert_close(a, b, **how)
        except AssertionError as error:
            raise AssertionError(f"{text.format(name)}\n{error}") from None


def _names(neuron: SpikingNeuron) -> list[str]:
    """Return the names of what a call returns."""
    return ["spikes", *(name for name in neuron._snn_state_names if name != "spk")]


def _loop(neuron: SpikingNeuron, x: Iterable[Tensor], states: Any = ()) -> tuple[list[Tensor], Any]:
    """Run step by step, from given states or those that the neuron keeps; return spikes and states
    over time, and the last states as the next call takes them."""
    torch.manual_seed(0)
    steps = []
    for x_t in x:
        out = neuron(x_t, *states)
        steps.append(_leaves(out))
        if not neuron.init_hidden:
            _ensure(isinstance(out, tuple), "a call returns one value; return spikes and states")
            states = out if "spk" in neuron._snn_state_names else out[1:]
    return [torch.stack(each) for each in zip(*steps, strict=True)], states


def _warm(neuron: SpikingNeuron, x: Tensor) -> Any:
    """Return the states after some steps, without a graph, and reset the neuron."""
    with torch.no_grad():
        _, states = _loop(neuron, x.flip(0))
    utils.reset(neuron)
    return states


def _weighted(outs: Iterable[Tensor]) -> Tensor:
    """Return the sum of all values, each with a different weight."""
    total = torch.zeros(())
    for i, out in enumerate(outs):
        weights = torch.linspace(0, 7.3 + i, out.numel(), device=out.device).cos()
        total = total + (weights.to(out.dtype).reshape(out.shape) * out).sum()
    return total


def _gradients(total: Tensor, leaves: Sequence[Tensor], **how: Any) -> list[Tensor]:
    """Return gradients, zeros where there are none."""
    grads: Sequence[Tensor | None] = [None] * len(leaves)
    if total.requires_grad:
        grads = torch.autograd.grad(total, leaves, allow_unused=True, **how)
    pairs = zip(grads, leaves, strict=True)
    return [torch.zeros_like(leaf) if grad is None else grad for grad, leaf in pairs]


def _all_parameters(neuron: SpikingNeuron) -> dict[str, Tensor]:
    """Let every parameter have a gradient, also those that are not learned."""
    named = {**dict(neuron.named_parameters()), **dict(neuron.named_buffers())}
    return {
        name: value.requires_grad_() for name, value in named.items() if value.is_floating_point()
    }


def _fire_by(function: Callable[[Tensor], Tensor], neuron: SpikingNeuron) -> None:
    neuron._modules.pop("spike_grad", None)  # else it could only be replaced by a module
    neuron.spike_grad = function


def _has_product(neuron: SpikingNeuron) -> bool:
    """Tell whether a product with a matrix is part of the step."""
    return neuron._snn_projection is not None or neuron._snn_recurrence()[0] is not None


def _rounds(neuron: SpikingNeuron) -> bool:
    """Tell whether two ways to run a neuron may differ in the last bit: by a product with a matrix,
    or by a function such as exp."""
    if _has_product(neuron):
        return True
    try:
        lines = forward(Spec("float32", neuron._snn_dynamics(), frozenset())).lines
    except Exception:  # kernels do not have the step
        return False
    return any("math." in line for line in lines)


# The checks -----------------------------------------------------------------------------------


def _arguments(case: _Case) -> None:
    """Inputs and given states stay as they are."""
    neuron, x = case.neuron(), case.input()[0]
    states = _warm(neuron, case.x)
    before = tree_map(torch.clone, _leaves((x, states)))
    with torch.no_grad():
        neuron(x, *states)
    names = ("the input", *neuron._snn_state_names)
    pairs = zip(names, _leaves((x, states)), before, strict=True)
    changed = [name for name, now, was in pairs if not torch.equal(now, was)]
    _ensure(
        not changed,
        f"a call changes {' and '.join(changed)} in place; make new tensors, such as "
        "mem = beta * mem instead of mem.mul_(beta)",
    )


def _repeat(case: _Case) -> None:
    """The same input and states give the same again."""
    neuron, x = case.neuron(), case.input()
    states = _warm(neuron, x)
    want, _ = _loop(neuron, x, states)
    got, _ = _loop(neuron, x, states)
    text = (
        "{} differ in a second run from the same states; keep nothing from call to call but the "
        "states that the step returns, and draw random numbers with torch only"
    )
    _same(got, want, _names(neuron), text)


def _order(case: _Case) -> None:
    """A call returns the spikes, and the states in the order of ``states``."""
    neuron, x = case.neuron(), case.input()[0]
    out, names = neuron(x), _names(neuron)
    outs = _leaves(out)
    expected = f"return {', '.join(names)}, each with one row for each row of the input"
    _ensure(len(outs) == len(names), f"a call returns {len(outs)} values; {expected}")
    for name, each in zip(names, outs, strict=True):
        shape = tuple(each.shape)
        fits = shape[:1] == x.shape[:1] and (
            name == "spikes" or shape == tuple(neuron._snn_state_shape(x))
        )
        _ensure(fits, f"{name} have the shape {shape} for {tuple(x.shape)}; {expected}")
        same = name == "spikes" or torch.equal(getattr(neuron, name), each)
        _ensure(same, f"the attribute {name} is not what a call returns as {name}; {expected}")
    for a, b in combinations(reads := _reads(case), 2):
        _ensure(
            not (reads[a] == {b} and reads[b] == {a}),
            f"of the old states, the new {a} depends on {b} only, and the new {b} on {a} only; "
            f"{expected}",
        )


def _reads(case: _Case) -> dict[str, set[str]]:
    """Return for each new state which old ones it is made of, apart from what spikes do."""
    neuron, x = case.neuron(torch.float64), case.input(torch.float64)
    states = _warm(neuron, x)
    _fire_by(no_surrogate, neuron)
    named = zip(neuron._snn_state_names, _leaves(states), strict=True)
    old = {
        name: state.requires_grad_() for name, state in named if name not in ("spk", "countdown")
    }
    new = dict(zip(_names(neuron), _leaves(neuron(x[0], *states)), strict=True))
    reads = {}
    for name in old:
        grads = _gradients(_weighted([new[name]]), [*old.values()], retain_graph=True)
        reads[name] = {other for other, grad in zip(old, grads, strict=True) if grad.any()}
    return reads


def _spikes(case: _Case) -> None:
    """Spikes are zeros and ones, times the graded factor."""
    neuron = case.neuron()
    outs, _ = _loop(neuron, case.input().requires_grad_())
    for name, out in zip(_names(neuron), outs, strict=True):
        _ensure(bool(out.isfinite().all()), f"{name} are not finite; pass a smaller input x=")
    spk = outs[0].detach()
    _ensure(
        bool(spk.any()),
        "it never fires; pass an input x= that makes it fire, such as the default one times 5",
    )
    _ensure(
        torch.equal(spk, (spk != 0) * neuron.graded_spikes_factor),
        f"spikes are {spk.unique()[:5].tolist()}; return what spike(...) returns, which is 0 or 1",
    )
    _ensure(
        outs[0].requires_grad or neuron.spike_grad is no_surrogate,
        "spikes have no gradient; return what spike(...) returns, or self.fire(mem) in a forward "
        "method, instead of a comparison",
    )


def _dtypes(case: _Case) -> None:
    """Everything has the type of neuron and input; integers and booleans are converted."""
    for dtype in (torch.float64, torch.bfloat16, torch.float16):
        neuron, x = case.neuron(), case.input(dtype).requires_grad_()
        neuron(case.input()[0])
        neuron.to(dtype)
        moved = [getattr(neuron, name) for name in neuron._snn_state_names]
        utils.reset(neuron)
        try:
            outs, _ = _loop(neuron, x)
            (grad,) = _gradients(_weighted(outs), [x])
        except RuntimeError as error:
            if "not implemented for" not in str(error):
                raise
            case.remarks["dtypes"] = f"{dtype}: {error}"
            continue
        for name, out in zip([*_names(neuron), "gradients"], [*outs, grad], strict=True):
            _ensure(
                out.dtype == dtype,
                f"{name} are {out.dtype} for {dtype}; make new tensors like the input, such as "
                "torch.zeros_like(x), and do not convert",
            )
        _ensure(all(state.dtype == dtype for state in moved), "states do not move by .to(dtype)")
        finite = grad.isfinite().all() or not all(out.isfinite().all() for out in outs)
        _ensure(bool(finite), f"gradients are not finite in {dtype}; pass a smaller input x=")
    neuron, spikes = case.neuron(), case.input()[0] > 0
    want = _leaves(neuron(spikes.to(case.x.dtype)))
    for dtype in (torch.bool, torch.uint8, torch.int64):
        utils.reset(neuron)
        got = _leaves(neuron(spikes.to(dtype)))
        _same(got, want, _names(neuron), f"{{}} differ for an input of {dtype}")


def _devices(case: _Case) -> None:
    """Everything is on the device of neuron and input, and no value is looked at."""
    neuron, x = case.neuron().to("meta"), case.input().to("meta")
    try:
        outs, _ = _loop(neuron, x)
    except Exception as error:
        raise AssertionError(
            f"it does not run on the device 'meta' ({type(error).__name__}: {error}); make new "
            "tensors like the input, such as torch.zeros_like(x), and use torch.where instead of "
            "looking at values"
        ) from error
    for name, out in zip(_names(neuron), outs, strict=True):
        _ensure(out.is_meta, f"{name} are on {out.device}; make new tensors like the input")


def _derivatives(case: _Case) -> None:
    """Autograd agrees with finite differences, in a step whose spikes are a smooth function."""
    neuron, sequence = case.neuron(torch.float64), case.input(torch.float64)
    states, x = _warm(neuron, sequence), sequence[0].clone()
    _fire_by(torch.tanh, neuron)
    neuron.state_quant = False
    neuron._snn_fired = lambda u: heaviside_step(u.detach())
    leaves = {"the input": x.requires_grad_()}
    for name, state in zip(neuron._snn_state_names, _leaves(states), strict=True):
        if name != "countdown":
            leaves[name] = state.requires_grad_()
    for name, value in _all_parameters(neuron).items():
        with torch.no_grad():
            value.mul_(0.99).add_(0.003)  # off the limits that it may be clamped to
        leaves[name] = value

    def first() -> Tensor:
        outs = zip(_names(neuron), _leaves(neuron(x, *states)), strict=True)
        return _weighted(out for name, out in outs if name != "countdown")

    def second() -> Tensor:
        return _weighted(_gradients(first(), [*leaves.values()], create_graph=True))

    text = (
        "the {} of the step with respect to {} is {:.6g} by autograd, and {:.6g} by finite "
        "differences; detach only what fired(...) returns, and do not leave the graph by .data, "
        ".item() or .detach()"
    )
    for order, function in (("derivative", first), ("second derivative", second)):
        found = _gradients(function(), [*leaves.values()])
        for (name, leaf), grad in zip(leaves.items(), found, strict=True):
            direction = torch.randn_like(leaf) * (leaf.detach().abs().amax() or 1)
            at, step, ends = leaf.detach().clone(), 1e-6, []
            for sign in (1, -1):
                with torch.no_grad():
                    leaf.copy_(at + sign * step * direction)
                ends.append(function().item())
            with torch.no_grad():
                leaf.copy_(at)
            by_autograd, by_hand = (grad * direction).sum().item(), (ends[0] - ends[1]) / 2 / step
            tolerance = 1e-4 * abs(by_hand) + 1e-7 * (1 + abs(ends[0]))
            close = abs(by_autograd - by_hand) <= tolerance
            _ensure(close, text.format(order, name, by_autograd, by_hand))
    try:  # with the neuron's own surrogate
        neuron = case.neuron(torch.float64)
        total = _weighted(_leaves(neuron(x, *states)))
        _gradients(_weighted(_gradients(total, [x], create_graph=True)), [x])
    except RuntimeError as error:
        case.remarks["derivatives"] = f"its surrogate has no second derivative: {error}"


def _learned(case: _Case) -> None:
    """Every learnable parameter has a gradient."""
    neuron = case.neuron()
    outs, _ = _loop(neuron, case.input())
    named = {name: value for name, value in neuron.named_parameters() if value.requires_grad}
    for name, grad in zip(named, _gradients(_weighted(outs), [*named.values()]), strict=True):
        _ensure(
            bool(grad.isfinite().all() and grad.any()),
            f"the gradient of {name} is {'zero' if grad.isfinite().all() else 'not finite'}; use "
            "the parameter in the step, or make it with learn=False",
        )


LAYOUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "an input": lambda x: x,
    "the same input at every step": lambda x: x[0],
    "an input expanded in time": lambda x: x[:1].expand_as(x),
    "an input expanded in the batch": lambda x: x[:, :1].expand_as(x),
    "an input with the batch first": lambda x: x.transpose(0, 1).contiguous().transpose(0, 1),
    "an input that is a part of another": lambda x: torch.stack((x, x), -1)[..., 0],
}


def _backends(case: _Case) -> None:
    """``unroll`` gives on every backend what the loop over the steps gives, and its gradients."""
    _compare_backends(case, case.neuron(init_hidden=True), "an input")
    for layout in LAYOUTS:
        neuron = case.neuron(torch.float64)
        _all_parameters(neuron)
        _compare_backends(case, neuron, layout)


def _compare_backends(case: _Case, neuron: SpikingNeuron, layout: str) -> None:
    dtype, steps, states = neuron.threshold.dtype, len(case.x), neuron._snn_state_names
    initial = _leaves(_warm(case.neuron(dtype), case.input(dtype)))
    named = (*neuron.named_parameters(), *neuron.named_buffers())
    parameters = {name: value for name, value in named if value.requires_grad}
    x, static = LAYOUTS[layout](case.input(dtype)), layout == "the same input at every step"
    names = [
        *_names(neuron)[: 1 if neuron.init_hidden and not neuron.output else None],
        *(f"the last {n}" for n in states),
    ]
    leaves = ["the input", *(f"the first {name}" for name in states), *parameters]

    def run(backend: str | None) -> tuple[list[Tensor], list[Tensor]]:
        leaf = x.detach().requires_grad_()
        given = [state.clone().requires_grad_() for state in initial]
        for name, state in zip(states, given, strict=True):
            setattr(neuron, name, state)
        if backend is None:
            outs, _ = _loop(neuron, [leaf] * steps if static else leaf.unbind())
        else:
            torch.manual_seed(0)
            num_steps = steps if static else None
            outs = _leaves(unroll(neuron, leaf, num_steps, reset=False, backend=backend))
        outs = [*outs, *(getattr(neuron, name) for name in states)]
        return outs, _gradients(_weighted(outs), [leaf, *given, *parameters.values()])

    (stage,) = make_plan(neuron, static)
    problem = neuron._snn_pose(x, steps, static) if stage.how == "scan" else None
    want, wanted = run(None)
    for backend, solver in BACKENDS.items():
        asked = case.backends or [
            n for n, b in BACKENDS.items() if x.device.type in b.DEVICES or n == "reference"
        ]
        if backend not in asked:
            continue
        reason = solver.refuses(problem) if problem is not None else None
        if problem is None and backend != "reference":
            reason = stage.reason or "its steps run one by one"
        if reason is not None:
            case.refused[backend] = reason
            _ensure(case.backends is None, f"backend {backend!r} cannot run it: {reason}")
            continue
        got, grads = run(backend)
        where = f"by unroll with backend={backend!r}, for {layout} in {dtype}"
        text = f"{{}} differ from those of the loop over time {where}"
        advice = (
            "; a step has to treat each neuron by itself, whatever the shape and the type of its "
            "tensors; or run it by backend='reference'"
        )
        exact = backend == "reference" or not _rounds(neuron)
        _same(got, want, names, text + advice, exact)
        for name, grad, true in zip(leaves, grads, wanted, strict=True):
            tolerance = 1e-10 if dtype == torch.float64 else 1e-5
            close = (grad - true).norm() <= tolerance * true.norm()
            _ensure(bool(close), f"the gradients of {text.format(name)}{advice}")


def _copies(case: _Case) -> None:
    """Copies start reset and compute the same."""
    neuron, x = case.neuron(), case.input()
    want, _ = _loop(neuron, x)  # the neuron now keeps states
    other = case.neuron()
    other.load_state_dict(neuron.state_dict())
    twins = {"one that loads its state_dict": other, "a copy": deepcopy(neuron)}
    try:
        twins["a pickled one"] = pickle.loads(pickle.dumps(neuron))
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        case.remarks["copies"] = f"it cannot be pickled: {error}"
    for kind, twin in twins.items():
        text = (
            f"{{}} of {kind} differ; make what the step needs by self.parameter(...), and keep "
            "states only in those named in states"
        )
        _same(_loop(twin, x)[0], want, _names(neuron), text)


def _hidden(case: _Case) -> None:
    """Hidden states give what explicit ones give, and gradients go through time."""
    neuron, x = case.neuron(), case.input().requires_grad_()
    want, _ = _loop(neuron, x)
    grads, names = _gradients(_weighted(want[:1]), [x]), _names(neuron)
    utils.reset(neuron)
    got = [torch.stack(each) for each in zip(*(_leaves(neuron(x_t)) for x_t in x), strict=True)]
    _same(got, want, names, "{} differ where a call without states goes on from those of the last")
    for output in (False, True):
        try:
            hidden = case.neuron(init_hidden=True, output=output)
        except TypeError as error:
            raise AssertionError(
                f"it does not take init_hidden and output ({error}); take **options in the "
                "constructor, and hand them to super().__init__(**options)"
            ) from error
        for way in ("step by step", "by unroll"):
            utils.reset(hidden)
            torch.manual_seed(0)
            if way == "step by step":
                got, _ = _loop(hidden, x)
            else:
                got = _leaves(unroll(hidden, x, backend="reference"))
            text = (
                "{} differ from those with explicit states, with init_hidden=True, "
                f"output={output} and {way}"
            )
            count = len(names) if hidden.output else 1
            _ensure(len(got) == count, f"a call returns {len(got)} values, not {count}")
            exact = way == "step by step" or not _rounds(neuron)
            _same(got, want[:count], names[:count], text, exact)
            got = _gradients(_weighted(got[:1]), [x])
            _same(got, grads, ["gradients"], text, exact=False)


def _reset(case: _Case) -> None:
    """``utils.reset`` starts anew, and ``utils.detach`` cuts states from the graph."""
    neuron, x = case.neuron(), case.input().requires_grad_()
    want, _ = _loop(neuron, x)
    before = [getattr(neuron, name) for name in neuron._snn_state_names]
    values = [state.detach().clone() for state in before]
    utils.detach(neuron)
    after = [getattr(neuron, name) for name in neuron._snn_state_names]
    _same(after, values, neuron._snn_state_names, "utils.detach changes {}")
    _ensure(
        not any(state.requires_grad for state in after),
        "utils.detach leaves states on the graph; keep states only in those named in states",
    )
    utils.reset(neuron)
    text = "after utils.reset, {} differ; keep states only in those named in states"
    _same(_loop(neuron, x)[0], want, _names(neuron), text)


def _samples(case: _Case) -> None:
    """No sample of a batch depends on another, and a batch is not needed."""
    neuron, x = case.neuron(), case.input()
    want, _ = _loop(neuron, x)
    text = (
        "{} of one sample differ where it {}; a step must not combine the samples of a batch, such "
        "as by a mean over all of x"
    )
    for i in range(x.shape[1]):
        alone = {"is a batch by itself": x[:, i : i + 1]}
        if not neuron.inhibition:
            alone["has no batch dimension"] = x[:, i]
        for how, part in alone.items():
            utils.reset(neuron)
            got, _ = _loop(neuron, part)
            wanted = [out[:, i].reshape(each.shape) for out, each in zip(want, got, strict=True)]
            names = _names(neuron)
            _same(got, wanted, names, text.format("{}", how), exact=not _rounds(neuron))


def _neurons(case: _Case) -> None:
    """No neuron depends on the input of another."""
    neuron, x = case.neuron(), case.input()
    if _has_product(neuron) or neuron.inhibition:
        case.remarks["neurons"] = "they depend on each other by inhibition or a layer"
        return
    want, _ = _loop(neuron, x)
    utils.reset(neuron)
    flat = x.view(*x.shape[:2], -1)
    flat[..., 0] += 3 * x.abs().amax()
    got, _ = _loop(neuron, x)
    got, want = ([out.reshape(*x.shape[:2], -1)[..., 1:] for out in outs] for outs in (got, want))
    text = (
        "{} of one neuron depend on the input of another; let a layer in recurrent= connect them, "
        "or leave this check out with skip=['neurons']"
    )
    _same(got, want, _names(neuron), text)


def _compile(case: _Case) -> None:
    """torch.compile gives the same."""
    neuron, x = case.neuron(), case.input()[:3]
    states = _warm(neuron, case.x)
    compiled: Any = torch.compile(neuron, backend="eager", fullgraph=True)
    with torch.no_grad():
        want, _ = _loop(neuron, x, states)
        steps = []
        for x_t in x:
            out = compiled(x_t, *states)
            steps.append(_leaves(out))
            states = out if "spk" in neuron._snn_state_names else out[1:]
    got = map(torch.stack, zip(*steps, strict=True))
    _same(got, want, _names(neuron), "{} differ under torch.compile", exact=False)


CHECKS: dict[str, Callable[[_Case], None]] = {
    "arguments": _arguments,
    "repeat": _repeat,
    "order": _order,
    "spikes": _spikes,
    "reset": _reset,
    "dtypes": _dtypes,
    "devices": _devices,
    "derivatives": _derivatives,
    "learned": _learned,
    "samples": _samples,
    "neurons": _neurons,
    "copies": _copies,
    "hidden": _hidden,
    "backends": _backends,
    "compile": _compile,
}
"""The checks by their names, in the order in which they run."""


def check_neuron(
    make: Callable[..., SpikingNeuron],
    shape: Sequence[int] = (5,),
    *,
    x: Tensor | None = None,
    backends: Collection[str] | None = None,
    skip: Collection[str] = (),
    compile: bool = False,
) -> NeuronReport:
    """Check that a neuron keeps what every neuron of the library promises.

    These are the checks, in their order:

    - ``arguments``: a call leaves its input and the states given to it as they are
    - ``repeat``: the same input and states give the same results again
    - ``order``: a call returns the spikes, then the states in the order of ``states``
    - ``spikes``: spikes are 0 or 1, times the graded factor; the neuron fires at least once, and
      its spikes have a gradient
    - ``reset``: ``utils.reset`` and ``utils.detach`` work
    - ``dtypes``, ``devices``: results have the type and the device of the neuron and its input
    - ``derivatives``: first and second derivatives of a step by autograd agree with finite
      differences, with a smooth function instead of the spike
    - ``learned``: each learnable parameter gets a gradient
    - ``samples``: no sample of a batch depends on another, and a batch is not needed
    - ``neurons``: no neuron depends on another, unless by inhibition or a recurrent layer
    - ``copies``: a deep copy, a pickled neuron and one that loads the ``state_dict`` start reset
      and compute the same
    - ``hidden``: ``init_hidden`` and ``output`` work, and calls without states go on from the last
    - ``backends``: on each backend :func:`~snntorch.unroll` gives the values of the loop over time,
      bit by bit unless a matrix product or convolution is part of the step, and the gradients of
      the input, the initial states and all parameters, for inputs of several layouts
    - ``compile``, if asked for: so does ``torch.compile``, in one graph

    :param make: returns a new neuron at each call: its class, or a function. It takes the options
        ``init_hidden`` and ``output``, and hands them to the neuron. The neurons may differ in
        random weights only
    :param shape: shape of one sample, without batch and time; default ``(5,)``
    :param x: input ``[T, B, ...]`` that makes the neuron fire, with at least 2 steps and 2 samples,
        of the type and on the device where the neuron is to be checked; default random numbers
        ``[16, 3, *shape]`` with a mean of 0.35 and a standard deviation of 0.9
    :param backends: names of backends that have to run the neuron; default all that can
    :param skip: names of checks to leave out
    :param compile: check ``torch.compile`` too; default False, since it takes some seconds
    :returns: what was checked, and why a backend cannot run the neuron; ``print`` shows a table
    :raises AssertionError: a check failed. The message names the neuron and the check, and says
        what to do
    :raises TypeError: ``make`` does not return a neuron that steps through time
    :raises ValueError: an unknown check or backend, or an ``x`` of another shape

    The first call for a neuron compiles its kernels, which takes some seconds.
    """
    for what, given, known in (("skip", skip, CHECKS), ("backends", backends or (), BACKENDS)):
        if isinstance(given, str) or not {*given} <= known.keys():
            names = ", ".join(map(repr, known))
            raise ValueError(f"{what}={given!r} must be a list of names out of {names}")
    first = make()
    if not isinstance(first, SpikingNeuron) or isinstance(first, WholeSequence):
        raise TypeError(
            f"make() returned a {type(first).__name__}; it must return a new neuron, derived from "
            "snn.Neuron or another neuron that takes one time step at each call"
        )
    if first.init_hidden:
        raise ValueError(
            "make() returned a neuron with init_hidden=True; only make(init_hidden=True) must"
        )
    if x is None:
        generator = torch.Generator().manual_seed(0)
        x = 0.35 + 0.9 * torch.randn((16, 3, *shape), generator=generator)
        x = x.to(first.threshold)
    if x.dim() < 2 or min(x.shape[:2]) < 2 or not x.is_floating_point():
        raise ValueError(
            f"x has the shape {tuple(x.shape)} and is {x.dtype}; it must be [T, B, ...], with at "
            "least 2 steps and 2 samples, of floating point numbers"
        )
    case = _Case(make, x.detach().contiguous(), first.state_dict(), backends)
    passed = []
    with torch.random.fork_rng([x.device] if x.is_cuda else []):
        for name, check in CHECKS.items():
            if name in skip:
                case.remarks[name] = "skipped"
            if name in skip or (name == "compile" and not compile):
                continue
            torch.manual_seed(0)
            try:
                check(case)
            except Exception as error:
                what = "" if isinstance(error, AssertionError) else f"{type(error).__name__}: "
                raise AssertionError(
                    f"{first._snn_name} fails the check {name!r}: {what}{error}"
                ) from error
            passed.append(name)
    return NeuronReport(first._snn_name, tuple(passed), case.refused, case.remarks)

"""The torch.compile backend: a few steps at a time in one compiled graph, on any device."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor

from .._torch import is_compiling
from ..dynamics import LEAKY
from . import fused
from .derive import INPUT
from .kernels import Spec, Task, whole, writes
from .problem import Problem, Solution
from .torch_source import arguments, source
from .writer import TORCH

# Where it is chosen by itself. By its name it can be chosen on every device.
NAME, DEVICES = "torch.compile", ("mps", "xpu")

# Steps in one graph, between which the states stay in registers. The time to compile grows with
# them.
BLOCK = 10
# Neurons of a layer that is worth several threads.
LARGE = 20_001


def refuses(problem: Problem) -> str | None:
    """Return why this backend cannot solve a problem, or None if it can."""
    if (reason := fused.refuses(problem) or fused.refuses_mixed(problem)) is not None:
        return reason
    if problem.dynamics is None:
        return None
    if is_compiling():
        return "torch.compile traces it step by step on this device"
    return _unavailable(problem.x.device) or _underivable(fused.spec_of(problem, TORCH))


@cache
def _unavailable(device: torch.device) -> str | None:
    """Try torch.compile on a small block; return why it cannot be used, and warn once."""
    spec = Spec("float32", LEAKY.dynamics("subtract", True), frozenset(), language=TORCH)
    try:
        from torch._dynamo import mark_dynamic  # noqa: F401  # since torch 2.1

        block = Block(whole(spec, False), False, 2)
        given = block.example(device, 3)

        def tried(*given: Tensor) -> tuple[bool, tuple[Tensor, ...]]:
            return is_compiling(), block.plain(*given)

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the compiler's own, as it is imported
            works, got = torch.compile(tried, fullgraph=True, dynamic=False)(*given)
        if not works:
            raise RuntimeError("it is switched off")
        if not all(map(torch.allclose, got, block.plain(*given))):
            raise RuntimeError("its results are wrong")
    except Exception as error:
        reason = f"torch.compile cannot be used here ({_text(error)})"
        advice = "Installing what it needs, such as a C++ compiler, makes them faster"
        fused.warn(reason, advice)
        return reason
    return None


@cache
def _underivable(spec: Spec) -> str | None:
    """Return why no block can be made from a step, or None if one can."""
    try:
        for back in (False, True):
            block = Block(whole(spec, back), back, 1)
            block.plain(*block.example(torch.device("cpu"), 3))
    except Exception as error:
        return f"its step cannot be compiled ({error})"
    return None


def _text(error: Exception) -> str:
    """Return the first line of an error, or of that which the compiler met."""
    error = getattr(error, "inner_exception", error)
    return f"{type(error).__name__}: {error}".strip().splitlines()[0]


def solve(problem: Problem) -> Solution:
    """Run a layer's sequence in compiled blocks of steps."""
    return fused.solve(problem, Run)


class Run:
    """Blocks with their tensors, ready to take time steps."""

    language = TORCH

    @staticmethod
    def laid_out(
        parameter: Tensor, depth: int, shape: torch.Size, order: list[int] | None
    ) -> Tensor:
        """Return the values of a parameter for all neurons, side by side."""
        return fused.in_order(parameter.expand(shape), order).reshape(-1)

    def __init__(self, task: Task) -> None:
        spec, backward, timed, before, kept, initial, parameters, slope, _ = task
        self.spec, self.backward, self.timed, self.before = spec, backward, timed, before
        self.kept, self.initial = kept, initial
        like = next(iter(kept.values()))
        self.shape, self.size = like.shape, like.numel()
        self.how: Any = {"dtype": getattr(torch, spec.dtype), "device": like.device}
        named = zip(spec.dynamics.parameters, parameters, strict=True)
        self.values = {f"p_{n}": p if p.numel() > 1 else p.reshape(()) for n, p in named}
        self.values |= {f"q{i}": torch.tensor(value, **self.how) for i, value in enumerate(slope)}
        self.sums = [f"sum_{p}" for p in spec.learns] if backward else []
        self.values |= {name: torch.zeros(self.size, **self.how) for name in self.sums}

    @torch.no_grad()
    def take(self, begin: int, steps: int) -> None:
        """Take the steps from ``begin`` on, forward or backward."""
        blocks, rest = divmod(steps, BLOCK)
        spans = [(begin + i * BLOCK, BLOCK) for i in range(blocks)]
        spans += [(begin + blocks * BLOCK + i, 1) for i in range(rest)]
        self.values |= {name: self._rows(each, 1)[0] for name, each in self.initial.items()}
        given = f"to_{INPUT}"
        summed = {given: self.timed[given]} if self.spec.static and given in self.timed else {}
        self.values |= {name: self._rows(each, 1)[0] for name, each in summed.items()}
        for span in reversed(spans) if self.backward else spans:
            self._take(*span)
        for name, tensor in {**self.kept, **summed}.items():
            tensor.copy_(self.values[name].view(self.shape))

    def _take(self, begin: int, steps: int) -> None:
        """Take as many steps as a block has."""
        block = _block(self.spec, self.backward, steps)
        span = slice(begin, begin + steps)
        for name, state in self.before.items():
            earlier = self.timed[name][begin - 1] if begin else state
            self.values[f"first_{name}"] = self._rows(earlier, 1)[0]
        rows = [self._rows(self._at(name, span), steps) for name in block.reads]
        outs = block(*rows, *(self.values[name] for name in block.values))
        for name, out in zip(block.writes, outs, strict=False):
            self.timed[name][span].copy_(out.view(-1, *self.shape))
        self.values |= zip(block.kept, outs[len(block.writes) :], strict=True)

    def _at(self, name: str, span: slice) -> Tensor:
        """Return some steps of what is given over time, or of the one step given for all."""
        tensor = self.timed[name]
        return tensor[span] if tensor.dim() > len(self.shape) else tensor

    def _rows(self, tensor: Tensor, steps: int) -> Tensor:
        """Return values as rows of all neurons."""
        rows = tensor.expand(steps, *self.shape).reshape(steps, self.size)
        return rows.to(self.how["dtype"]).contiguous()

    def summed(self) -> list[Tensor]:
        """Return the sums of gradients over time and, for parameters that have one value, over all
        neurons."""
        vectors = {f"sum_{name}" for name in self.spec.vectors}
        sums = [(name in vectors, self.values[name]) for name in self.sums]
        return [each if vector else each.sum().reshape(1) for vector, each in sums]


# Compiling -----------------------------------------------------------------------------------


class Block:
    """A few steps as a function of tensors, compiled for any number of neurons."""

    def __init__(self, spec: Spec, back: bool, steps: int) -> None:
        self.spec, self.steps = spec, steps
        # Over time, ``[steps, N]``, and of one step, ``[N]`` or one value.
        self.reads, self.values = arguments(spec, back)
        self.writes, self.kept = writes(spec, back)
        space: dict[str, Any] = {}
        exec(compile(source(spec, back, steps), f"<block of {spec.dynamics.key}>", "exec"), space)
        self.plain: Callable[..., tuple[Tensor, ...]] = space["scan"]
        self.compiled: Callable[..., tuple[Tensor, ...]] | None = None

    def __call__(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Run the compiled block, or what it is compiled from where the compiler fails."""
        from torch._dynamo import exc

        if tensors[0].shape[-1] == 1:  # would be compiled apart, for nothing
            return self.plain(*tensors)
        limit = getattr(exc, "FailOnRecompileLimitHit", exc.Unsupported)
        try:
            if self.compiled is None:
                # Dynamo counts compilations by code object, and each block has its own.
                self.compiled = torch.compile(self.plain, fullgraph=True, dynamic=False)
                # By the first layer that it sees, the compiler decides whether to use threads.
                self.compiled(*_dynamic(self.example(tensors[0].device, LARGE)))
            return self.compiled(*_dynamic(tensors))
        except (exc.TorchDynamoException, limit) as error:
            warnings.warn(
                f"torch.compile fails on the step of {self.spec.dynamics.key} ({_text(error)}); it "
                "runs uncompiled, which is slower. Please report the neuron; "
                "SNNTORCH_BACKEND=reference silences this warning.",
                stacklevel=2,
            )
            self.compiled = self.plain
            return self.plain(*tensors)

    def example(self, device: torch.device, neurons: int) -> list[Tensor]:
        """Return tensors that the block may be called with."""
        vectors = {f"p_{name}" for name in self.spec.vectors}
        numbers = {name for name in self.values if name.startswith(("p_", "q"))} - vectors
        shapes: list[tuple[int, ...]] = [(self.steps, neurons) for _ in self.reads]
        shapes += [() if name in numbers else (neurons,) for name in self.values]
        most = self.steps * neurons
        values = torch.linspace(0.3, 1.9, most).to(getattr(torch, self.spec.dtype)).to(device)
        return [values[: torch.Size(shape).numel()].clone().view(shape) for shape in shapes]


def _dynamic(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Return tensors without a graph, whose number of neurons a compiled block does not fix."""
    from torch._dynamo import mark_dynamic

    tensors = [tensor.detach() for tensor in tensors]
    for tensor in tensors:
        if tensor.dim():
            mark_dynamic(tensor, tensor.dim() - 1)
    return tensors


@cache
def _block(spec: Spec, back: bool, steps: int) -> Block:
    return Block(spec, back, steps)

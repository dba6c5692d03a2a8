"""What differs between releases of torch, or has no public name there."""

import inspect
import weakref
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad

from . import ipu


def is_compiling() -> bool:
    """Tell whether torch.compile or torch.export is tracing; False before torch 2.1."""
    compiler = getattr(torch, "compiler", None)
    return compiler is not None and compiler.is_compiling()


def on_ipu() -> bool:
    """Tell whether what runs is for an IPU."""
    # torch.compile cannot ask.
    return not is_compiling() and ipu.is_enabled()


def is_blind() -> bool:
    """Tell whether nobody may look at values, since they are not known yet."""
    return is_compiling() or ipu.is_enabled()


def is_written_out() -> bool:
    """Tell whether operations are recorded in a form that has no autograd functions."""
    return torch.jit.is_tracing() or on_ipu()


def is_recorded() -> bool:
    """Tell whether operations are recorded for calls with other values."""
    return is_blind() or torch.jit.is_tracing()


def is_exported() -> bool:
    """Tell whether torch.jit.trace or torch.export is recording, which keep tensors only."""
    exporting = getattr(getattr(torch, "compiler", None), "is_exporting", None)
    return torch.jit.is_tracing() or (exporting is not None and exporting())


def sizes(shape: torch.Size) -> tuple[int, ...]:
    """Return a shape as numbers, where torch.jit.trace would warn of a comparison."""
    if not torch.jit.is_tracing():
        return shape
    tracer: Any = torch._C
    state = tracer._get_tracing_state()
    tracer._set_tracing_state(None)
    try:
        return tuple(int(size) for size in shape)
    finally:
        tracer._set_tracing_state(state)


def backward_task() -> int:
    """Return the number of the backward pass that is running in this thread, or -1."""
    return torch._C._current_graph_task_id()


def checkpoint_frame() -> Any:
    """Return the non-reentrant activation checkpoint that is running or recomputed, or None."""
    hooks = torch._C._autograd._top_saved_tensors_default_hooks(True)
    if hooks is None:
        return None
    for cell in getattr(inspect.unwrap(hooks[0]), "__closure__", None) or ():
        content = cell.cell_contents
        content = content() if isinstance(content, weakref.ref) else content
        if type(content).__name__ == "_CheckpointFrame":
            return content
    return None


def alive(tensor: Tensor) -> Tensor | None:
    """Return what is left of a tensor after the transform of torch.func that it was made in: the
    tensor without that transform, or None after vmap."""
    functorch: Any = torch._C._functorch
    if not functorch.is_functorch_wrapped_tensor(tensor):
        return tensor
    while functorch.maybe_get_level(tensor) == -2:  # dead
        tensor = functorch.unwrap_if_dead(tensor)
    lives = functorch.maybe_get_level(tensor) <= (functorch.maybe_current_level() or 0)
    return tensor if lives else None


def is_traced() -> bool:
    """Tell whether something follows the operations of tensors, which a kernel is hidden from."""
    return bool(
        is_blind()
        or torch.jit.is_tracing()
        or torch._C._are_functorch_transforms_active()
        or torch._C._len_torch_dispatch_stack()
        or forward_ad._current_level >= 0
    )


def found(condition: Tensor) -> bool:
    """Tell whether a condition holds anywhere; False where nobody can look at values."""
    if is_blind() or torch.jit.is_tracing():
        return False
    try:
        return bool(condition.any())
    except RuntimeError:  # on meta tensors and under torch.func.vmap
        return False


def is_batched(tensor: Tensor) -> bool:
    """Tell whether a tensor stands for several: under vmap, or with ``is_grads_batched=True``."""
    functorch: Any = torch._C._functorch
    return functorch.is_batchedtensor(tensor) or functorch.is_legacy_batchedtensor(tensor)


def finite(x: Tensor) -> Tensor:
    """Return ``x`` with the largest numbers in the place of infinities."""
    limits = torch.finfo(x.dtype)
    return x.clamp(limits.min, limits.max)


def autocast_on(device_type: str) -> bool:
    """Tell whether autocast is on for a type of device."""
    try:
        return torch.is_autocast_enabled(device_type)
    except TypeError:  # before torch 2.4
        return torch.is_autocast_enabled() or torch.is_autocast_cpu_enabled()


HOOKS = ("forward_hooks", "forward_pre_hooks", "backward_hooks", "backward_pre_hooks")


def class_of(module: nn.Module) -> type:
    """Return a module's class, for a parametrized one that before."""
    cls = type(module)
    return cls.__bases__[0] if "parametrizations" in module._modules else cls


def touched(module: nn.Module) -> str | None:
    """Tell what was added to a module's call: hooks, or a forward of its own."""
    if "forward" in module.__dict__:
        return "its forward was replaced"
    return "has hooks" if any(getattr(module, f"_{hooks}") for hooks in HOOKS) else None

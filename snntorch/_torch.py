"""What differs between releases of torch, or has no public name there."""

import inspect
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.autograd import forward_ad
from torch.nn.modules import module as torch_module
from torch.utils import checkpoint

from . import ipu


def _never(*_: Any) -> bool:
    """Tell that what this release of torch does not have is off."""
    return False


# Whether torch.compile or torch.export is tracing; unknown before torch 2.1.
is_compiling: Callable[[], bool] = getattr(getattr(torch, "compiler", None), "is_compiling", _never)


def constant(function: Any) -> Any:
    """Make torch.compile call a function while it traces, and keep the result."""
    # torch.compiler.assume_constant_result does only this, but imports the compiler.
    function._dynamo_marked_constant = True
    return function


# Bytes of a value; dtype.itemsize is newer than the oldest release that works.
element_size: Callable[[torch.dtype], int] = torch._utils._element_size
_autograd: Any = torch._C._autograd
_pushed = threading.local()


def _push(pack: Any, unpack: Any) -> None:
    _plain_push(pack, unpack)
    _pushed.hooks = (*getattr(_pushed, "hooks", ()), (pack, unpack))


def _pop() -> None:
    _plain_pop()
    _pushed.hooks = getattr(_pushed, "hooks", ())[:-1]


def _top(ignore_is_tracing: bool) -> Any:
    return (getattr(_pushed, "hooks", None) or (None,))[-1]


saved_tensor_hooks: Callable[[bool], Any]
if hasattr(_autograd, "_top_saved_tensors_default_hooks"):
    saved_tensor_hooks = _autograd._top_saved_tensors_default_hooks
else:  # before torch 2.6, which tells it only to those who look on
    _plain_push = _autograd._push_saved_tensors_default_hooks
    _plain_pop = _autograd._pop_saved_tensors_default_hooks
    _autograd._push_saved_tensors_default_hooks, saved_tensor_hooks = _push, _top
    _autograd._pop_saved_tensors_default_hooks = _pop
modes: Callable[[], int] = torch._C._len_torch_function_stack
mode_at: Callable[[int], Any] = torch._C._get_function_stack_at


# Whether snn.compile may record: its tests pass since torch 2.4. Before torch 2.1 it could not even
# tell the memory of NumPy, which others write into.
RECORDABLE = hasattr(torch, "get_autocast_dtype")


_INTERPRETS_MODULES = "graph" in inspect.signature(fx.Interpreter).parameters


class _Interpreted(fx.GraphModule):
    def recompile(self) -> Any:
        """Do nothing: as source, a layer may have no valid name, and it is never run."""


def interpreted(module: Any) -> Any:
    """Return a module with a graph as one that ``fx.Interpreter`` takes."""
    # Before torch 2.1 it takes nothing but a GraphModule.
    return module if _INTERPRETS_MODULES else _Interpreted(module, module.graph)


# Old releases, such as torch 2.4, take nothing but tensors as buffers.
_TAKES_PROXIES = "__torch_function__" in nn.Module.__setattr__.__code__.co_consts


@contextmanager
def proxies_in_buffers() -> Iterator[None]:
    """Let modules assign fx proxies to buffers while they are traced."""
    if _TAKES_PROXIES:
        yield
        return
    plain: Any = nn.Module.__setattr__

    def assign(module: nn.Module, name: str, value: Any) -> None:
        buffers = vars(module).get("_buffers", {})
        if isinstance(value, fx.Proxy) and name in buffers:
            buffers[name] = value
        else:
            plain(module, name, value)

    patched: Any = nn.Module
    patched.__setattr__ = assign
    try:
        yield
    finally:
        patched.__setattr__ = plain


def on_ipu() -> bool:
    """Tell whether operations take the form for IPUs."""
    # torch.compile cannot trace is_enabled.
    return not is_compiling() and ipu.is_enabled()


def is_blind() -> bool:
    """Tell whether values are symbolic, so that no code may read them."""
    return is_compiling() or ipu.is_enabled()


def is_written_out() -> bool:
    """Tell whether operations are recorded in a form without autograd functions."""
    return torch.jit.is_tracing() or on_ipu()


def is_recorded() -> bool:
    """Tell whether operations are recorded for calls with other values."""
    return is_blind() or torch.jit.is_tracing()


def recording() -> Any:
    """Return the mode that records the operations of this thread for snn.compile, or None."""
    if is_compiling():
        return None
    place = modes()
    while place:
        place -= 1
        mode = mode_at(place)
        if hasattr(mode, "neuron"):
            return mode
    return None


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
    return -1 if is_compiling() else torch._C._current_graph_task_id()


class _Frame:
    """Represents a checkpoint before torch 2.1."""


def _frame_before_2_1(hooks: Any) -> Any:
    # The cache of recomputed tensors is all that both runs of a checkpoint have in their hooks.
    for hook in map(inspect.unwrap, hooks):
        if hook.__qualname__.startswith("_checkpoint_without_reentrant."):
            cells = dict(zip(hook.__code__.co_freevars, hook.__closure__, strict=True))
            if "storage" in cells:
                return vars(cells["storage"].cell_contents).setdefault("frame", _Frame())
    return None


def _frame(hooks: Any) -> Any:
    for cell in getattr(inspect.unwrap(hooks[0]), "__closure__", None) or ():
        content = cell.cell_contents
        content = content() if isinstance(content, weakref.ref) else content
        if type(content).__name__ == "_CheckpointFrame":
            return content
    return None


_frame_of = _frame if hasattr(checkpoint, "_CheckpointFrame") else _frame_before_2_1


def checkpoint_frame() -> Any:
    """Return the non-reentrant activation checkpoint that is running or recomputed, or None."""
    hooks = saved_tensor_hooks(True)
    return None if hooks is None else _frame_of(hooks)


def _level_of_the_stack() -> int:
    interpreter = torch._C._functorch.peek_interpreter_stack()
    return 0 if interpreter is None else interpreter.level()


# Before torch 2.1 it has another name.
_current_level: Callable[[], int | None] = getattr(
    torch._C._functorch, "maybe_current_level", _level_of_the_stack
)


def alive(tensor: Tensor) -> Tensor | None:
    """Return a tensor without the wrapper of a torch.func transform that has ended; None if that
    transform was vmap."""
    functorch: Any = torch._C._functorch
    if not functorch.is_functorch_wrapped_tensor(tensor):
        return tensor
    while functorch.maybe_get_level(tensor) == -2:  # dead
        tensor = functorch.unwrap_if_dead(tensor)
    lives = functorch.maybe_get_level(tensor) <= (_current_level() or 0)
    return tensor if lives else None


def in_forward_mode() -> bool:
    """Tell whether derivatives are carried forward, along with values."""
    return forward_ad._current_level >= 0


def is_traced() -> bool:
    """Tell whether a tracer, transform or mode follows tensor operations but not kernels."""
    return bool(
        is_blind()
        or torch.jit.is_tracing()
        or torch._C._are_functorch_transforms_active()
        or torch._C._len_torch_dispatch_stack()
        or in_forward_mode()
    )


def is_plain(tensor: Tensor) -> bool:
    """Tell whether a tensor is not of a subclass that changes what operations do."""
    if type(tensor) in (Tensor, nn.Parameter):
        return True
    return is_compiling() and type(tensor).__name__ == "FakeTensor"  # of torch.export


def found(condition: Tensor) -> bool:
    """Tell whether a condition holds anywhere; False where values cannot be read."""
    if is_blind() or torch.jit.is_tracing():
        return False
    try:
        return bool(condition.any())
    except RuntimeError:  # on meta tensors and under torch.func.vmap
        return False


# Unknown before torch 2.1.
_is_batched_by_grad: Callable[[Tensor], bool] = getattr(
    torch._C._functorch, "is_legacy_batchedtensor", _never
)


def is_batched(tensor: Tensor) -> bool:
    """Tell whether a tensor is batched, by vmap or ``is_grads_batched=True``."""
    return torch._C._functorch.is_batchedtensor(tensor) or _is_batched_by_grad(tensor)


def finite(x: Tensor) -> Tensor:
    """Return ``x`` with infinities replaced by the largest finite numbers."""
    limits = torch.finfo(x.dtype)
    return x.clamp(limits.min, limits.max)


def autocast_on(device_type: str) -> bool:
    """Tell whether autocast is on for a type of device."""
    try:
        return torch.is_autocast_enabled(device_type)
    except TypeError:  # before torch 2.4
        return torch.is_autocast_enabled() or torch.is_autocast_cpu_enabled()


HOOKS = ("forward_hooks", "forward_pre_hooks", "backward_hooks", "backward_pre_hooks")


def has_global_hooks() -> bool:
    """Tell whether there are hooks on all modules."""
    return bool(
        torch_module._global_forward_hooks
        or torch_module._global_forward_pre_hooks
        or torch_module._global_backward_hooks
        or torch_module._global_backward_pre_hooks
    )


def is_sharded(module: nn.Module) -> bool:
    """Tell whether a module gathers its parameters at each call, by ``fully_shard``."""
    return any(cls.__name__ == "FSDPModule" for cls in type(module).__bases__)


def class_of(module: nn.Module) -> type:
    """Return a module's class, or the one that it had before it was parametrized or sharded."""
    cls = type(module)
    if is_sharded(module):
        return cls.__bases__[1]
    return cls.__bases__[0] if "parametrizations" in module._modules else cls


def touched(module: nn.Module, sharding: bool = True) -> str | None:
    """Tell what changes a module's call: hooks, or a forward set on the instance.

    :param sharding: whether the hooks of ``fully_shard`` count
    """
    if "forward" in module.__dict__:
        return "its forward was replaced"
    hooks = chain.from_iterable(getattr(module, f"_{hooks}").values() for hooks in HOOKS)
    return "has hooks" if any(sharding or not _is_sharding(hook) for hook in hooks) else None


def _is_sharding(hook: Any) -> bool:
    owner = type(getattr(hook, "__self__", None))
    return owner.__module__.startswith("torch.distributed.fsdp.")

"""What differs between releases of torch, or has no public name there."""

from functools import cache, partial
from typing import Any, NoReturn

import torch
from torch import Tensor
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


def check_graph(state: Tensor, neuron: str) -> None:
    """Refuse a state that autograd cannot take; give one whose graph is gone an error of its own,
    should a backward pass reach it."""
    if is_blind():
        return
    if state.is_inference() and not torch.is_inference_mode_enabled():
        raise RuntimeError(
            f"{neuron}: a state is left from inference_mode and cannot take part in training; "
            "reset the states first with utils.reset(net)"
        )
    if torch.is_grad_enabled() and _graph_is_gone(state):
        state.register_hook(partial(_refuse, neuron))


def _refuse(neuron: str, grad: Tensor) -> NoReturn:
    raise RuntimeError(
        f"{neuron}: backward reached a state from before an earlier backward, which freed that "
        "state's graph; between sequences reset the states with utils.reset(net), or go on from "
        "their values with utils.detach(net) or state.detach()"
    )


def _graph_is_gone(tensor: Tensor) -> bool:
    """Tell whether a backward pass has freed the graph behind a tensor."""
    # The nearest operations tell: one that saved a tensor for its backward no longer has it.
    nodes: list[Any] = [] if tensor.grad_fn is None else [tensor.grad_fn]
    for node in nodes:
        try:
            for name in _saved(node.__class__):
                getattr(node, name)
        except RuntimeError:
            return True
        if len(nodes) < 8:
            nodes += [following for following, _ in node.next_functions if following is not None]
    return False


@cache
def _saved(node: type) -> list[str]:
    return [name for name in dir(node) if name.startswith("_saved_") or name == "saved_tensors"]

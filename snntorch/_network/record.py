"""Record what a user's code does with tensors, and work it out layer by layer."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from threading import Lock
from typing import Any
from weakref import ref

import torch
from torch import Tensor, nn
from torch.nn.modules._functions import BackwardHookFunction
from torch.overrides import TorchFunctionMode

from .._engine import memory
from .._neurons.neurons import SpikingNeuron
from .._neurons.sequence import WholeSequence
from .._neurons.states import BEFORE, RESET
from .._torch import recording
from ..surrogate import SurrogateFunction
from . import schedule
from .context import context, entered, position, user_line
from .functions import (
    BARRIERS,
    DROPOUTS,
    OUT_OF_PLACE,
    PLACE,
    READ,
    RECORD,
    SCALED,
    VALUE,
    Opaque,
    draws,
    kind_of,
    name_of,
)
from .lazy import (
    PLAIN,
    Lazy,
    Meta,
    Node,
    Site,
    Values,
    in_use,
    lazy_outputs,
    meta_of,
    note_used,
    rebuilt,
    template,
    value_of,
    values_of,
)
from .rules import Stage, fires_at_random, why_neuron_stepped
from .shortcuts import Shortcuts

_ATOMS = {
    *(int, bool, str, type(None), type(Ellipsis), complex),
    *(torch.dtype, torch.device, torch.layout, torch.memory_format),
}
_grad_is_on = torch.is_grad_enabled
_plainly: Any = torch._C.DisableTorchFunctionSubclass
_is_wrapped: Any = torch._C._functorch.is_functorch_wrapped_tensor


# Layers of so few neurons are recorded only where they make many steps.
SMALL = 4096


class _Unknown(Exception):
    """A call cannot be recorded, and is run on values."""


# What a function returns for inputs of known shapes, as it was seen once: for each output what is
# known of it, the container, the input whose memory it shares, and the input that it is itself.
_Known = tuple[list[Meta], Any, int, int]
_known: dict[Any, _Known | str] = {}


def _trial(func: Any, args: Any, kwargs: Any, metas: Sequence[Meta]) -> _Known | str:
    """Run a function on zeros, once for each kind of call, to learn what it returns."""
    devices = sorted({meta[3].index or 0 for meta in metas if meta[3].type == "cuda"})
    with torch.inference_mode(False), torch.no_grad(), torch.random.fork_rng(devices):
        zeros = [_zeros(*meta) for meta in metas]
        versions = [each._version for each in zeros]
        before = _random_states(devices)
        try:
            feed = iter(zeros)
            out = func(*rebuilt(args, feed), **rebuilt(kwargs, feed))
        except Exception as error:
            return f"fails on zeros with a {type(error).__name__}"
        if not all(map(torch.equal, before, _random_states(devices))):
            return "draws random numbers"
        if [each._version for each in zeros] != versions:
            return "changes its input"
    outs = [out] if isinstance(out, Tensor) else list(out) if isinstance(out, tuple | list) else []
    if not outs or not all(type(each) is Tensor and each.layout is torch.strided for each in outs):
        return "returns no tensors"
    owners = {each.untyped_storage()._cdata: i for i, each in enumerate(zeros)}
    aliases = max(owners.get(each.untyped_storage()._cdata, -1) for each in outs)
    same = next((i for i, each in enumerate(zeros) if each is out), -1)
    container = None if isinstance(out, Tensor) else type(out)
    return [meta_of(each) for each in outs], container, aliases, same


def _random_states(devices: Sequence[int]) -> list[Tensor]:
    return [torch.get_rng_state(), *map(torch.cuda.get_rng_state, devices)]


def _zeros(shape: torch.Size, stride: tuple[int, ...], dtype: Any, device: Any) -> Tensor:
    size = 1 + sum((n - 1) * step for n, step in zip(shape, stride, strict=True))
    size = size if shape.numel() else 0
    return torch.zeros(size, dtype=dtype, device=device).as_strided(shape, stride)


class Recorder(TorchFunctionMode):
    """Record every function of PyTorch and every call of a neuron, instead of running it.

    Calls with the same function, at the same place of the graph, are nodes of one site. When
    values are asked for, or at the end, sites run over all their nodes at once.
    """

    def __init__(self, exact_random: bool = True, backend: str | None = None) -> None:
        super().__init__()
        self.exact_random, self.backend = exact_random, backend
        self.sites: dict[Any, Site] = {}
        self.similar: dict[Any, list[Site]] = {}
        self.numbers: dict[Any, set[float]] = {}  # by the place in the code
        self.leaves: dict[int, Node] = {}
        self.kept: list[Tensor] = []  # what was recorded reads; so no id is used again
        self.storages: set[int] = set()  # memory of those, but for the newest
        self.stored = 0  # of how many of those
        self.copies: dict[int, Tensor] = {}
        self.pending: list[Node] = []
        self.effects: list[Node] = []  # pending nodes that change a buffer
        self.alive: list[Node] = []  # nodes whose outputs are in use at the end
        self.earlier: list[Node] = []  # nodes that were worked out before the end
        self.loose: list[Site] = []  # sites that no other call joins
        self.done: list[Node] = []  # views that may have to be made anew
        self.written: dict[int, Site] = {}  # who changes a buffer
        self.number = 0
        self.neurons: dict[SpikingNeuron, _Steps] = {}
        self.shortcuts = Shortcuts()
        self.scans: dict[SpikingNeuron, bool] = {}
        self.flushes: Counter[tuple[str, tuple[str, int] | None]] = Counter()
        self.runs = 0  # calls that were made
        self.loss: str | None = None  # why the plain code is faster
        self.stages: list[Stage] | None = None  # how sites were run, for explain
        self.networks: list[nn.Module] = []  # whose code is recorded
        self.before: dict[SpikingNeuron, dict[str, Any]] = {}  # states before the recording
        self.running = False
        self.ends = False  # whether nothing more is recorded
        self.touched: set[SpikingNeuron] = set()  # whose states may be lazy

    # Nodes -------------------------------------------------------------------------------------

    def add(
        self, site: Site, inputs: Any, grad: bool, aux: Any = None, previous: Any = None
    ) -> Node:
        node = Node(site, inputs, self.number, grad)
        self.number += 1
        if aux is not None:
            node.aux = aux
        if previous is not None:
            node.previous = previous
        if site.aliases >= 0:
            root = node._root = inputs[site.aliases][0].root
            root.viewed = root.site.viewed = True
        site.nodes.append(node)
        self.pending.append(node)
        return node

    def loose_site(self, kind: str, name: str, under: Any) -> Site:
        """Return a new site that no other call joins."""
        site = Site(self, kind, name, under)
        self.loose.append(site)
        return site

    def out(self, node: Node) -> Any:
        """Return the lazy tensors of the outputs of a node."""
        outs = lazy_outputs(node)
        return outs[0] if node.site.container is None else node.site.container(outs)

    def given(self, value: Tensor, key: Any) -> Lazy:
        """Return a value as a node that belongs to the same site as others of its kind."""
        key = ("given", key, meta_of(value), torch.is_inference_mode_enabled())
        site = self.sites.get(key)
        if site is None:
            site = self.sites[key] = Site(self, "given", "given", torch.is_grad_enabled())
            site.metas = [meta_of(value)]
        node = self.add(site, (), value.requires_grad)
        self.pending.pop()
        self.earlier.append(node)
        node.values = Values(1, one=(value,))
        return lazy_outputs(node)[0]

    def knows(self, args: Sequence[Any]) -> bool:
        """Tell whether a tensor may be an input of what is to be worked out; if so, forget it, as
        others may write into it from now on."""
        known = [each for each in args if isinstance(each, Tensor) and id(each) in self.leaves]
        for each in known:
            del self.leaves[id(each)]
        return bool(known)

    def known_leaf(self, tensor: Any) -> Node | None:
        """Return the node of a tensor that was not recorded, if it has one that holds still."""
        node = self.leaves.get(id(tensor))
        if node is None or id(tensor) in self.written or id(tensor) in self.copies:
            return None
        return node

    def leaf(self, tensor: Tensor) -> Node:
        """Return the node of a tensor that was not recorded."""
        node = self.leaves.get(id(tensor))
        if node is not None:
            if id(tensor) in self.written:
                self.flush("a buffer is read")
            if id(tensor) not in self.copies:
                return node
            if torch.equal(self.copies[id(tensor)], tensor):
                return node
        kind, meta, value = type(tensor), meta_of(tensor), tensor
        if kind not in PLAIN or _is_wrapped(tensor):
            raise _Unknown(f"takes a {kind.__name__}")
        if tensor.layout is not torch.strided or tensor.is_quantized:
            raise _Unknown("takes a tensor that is not dense")
        if kind is nn.Parameter:
            own: Any = id(tensor)
        else:
            own = position()
            if memory.shares_numpy(tensor):
                # It may be written to without PyTorch's knowing.
                value = tensor.clone()
                self.copies[id(tensor)] = value.detach()
        key = ("leaf", meta, own)
        site = self.sites.get(key)
        if site is None:
            site = self.sites[key] = Site(self, "leaf", "given", True)
            site.metas, site.fixed = [meta], True
        node = Node(site, (), self.number, tensor.requires_grad)
        self.number += 1
        node.values = Values(1, one=(value,))
        site.nodes.append(node)
        self.leaves[id(tensor)] = node
        self.kept.append(tensor)
        return node

    def flatten(self, tree: Any, atoms: list[Any], inputs: list[tuple[Node, int]]) -> None:
        """Add what a tree of arguments holds to the key of a call and to its inputs."""
        kind = tree.__class__
        if kind is Lazy:
            node = tree._node
            inputs.append((node, tree._index))
            atoms += node.site, tree._index
        elif kind in _ATOMS:
            atoms += kind, tree
        elif kind is float:
            atoms += float, tree, math.copysign(1, tree)
        elif kind in PLAIN:
            node = self.leaf(tree)
            inputs.append((node, 0))
            atoms += node.site, 0
        elif kind is tuple or kind is list or kind is torch.Size:
            atoms += kind, len(tree)
            for each in tree:
                self.flatten(each, atoms, inputs)
        elif kind is slice:
            atoms.append(slice)
            for each in (tree.start, tree.stop, tree.step):
                self.flatten(each, atoms, inputs)
        elif kind is dict:
            atoms += dict, len(tree)
            for key, value in tree.items():
                atoms.append(key)
                self.flatten(value, atoms, inputs)
        elif isinstance(tree, Tensor):
            raise _Unknown(f"takes a {kind.__name__}")
        else:
            try:
                hash(tree)
            except TypeError:
                raise _Unknown(f"takes a {kind.__name__}") from None
            atoms += kind, tree

    def record(self, func: Any, args: Any, kwargs: Any, kind: str = "call") -> Any:
        """Add a node that calls a function; return its outputs as lazy tensors."""
        under = context()
        if under is None:
            raise _Unknown("runs under hooks on saved tensors")
        atoms: list[Any] = [func, under, kind]
        inputs: list[tuple[Node, int]] = []
        for each in args:
            # As flatten, for what most arguments are.
            if each.__class__ is Lazy:
                node, index = each._node, each._index
                inputs.append((node, index))
                atoms.append(node.site)
                atoms.append(index)
            elif (known := self.known_leaf(each)) is not None:
                inputs.append((known, 0))
                atoms.append(known.site)
                atoms.append(0)
            else:
                self.flatten(each, atoms, inputs)
        for name, value in kwargs.items():
            atoms.append(name)
            if value.__class__ in _ATOMS:
                atoms.append(value.__class__)
                atoms.append(value)
            else:
                self.flatten(value, atoms, inputs)
        key = tuple(atoms)
        site = self.sites.get(key)
        if site is None:
            if len(args) == 2 and not kwargs and (number := self.varying(func, args)) is not None:
                return self.record(func, (args[0], number), kwargs)
            site = self.site_of(key, func, args, kwargs, inputs, kind, under)
        if site.kind == "same":
            return args[0]
        grad = False
        if site.differentiable and _grad_is_on():
            for node, _ in inputs:
                if node.grad:
                    grad = True
                    break
        node = self.add(site, inputs, grad)
        if kind == "effect":
            self.effects.append(node)
        return self.out(node)

    def varying(self, func: Any, args: Any) -> Tensor | None:
        """Return a number that is another one at each step as a tensor, so that the steps belong to
        one site; None if it is not one, or the first at this place."""
        x, number = args
        if type(number) not in (int, float) or name_of(func) not in SCALED:
            return None
        dtype, device = meta_of(x)[2:]
        if dtype not in (torch.float32, torch.float64):
            return None
        place = func, position()
        seen = self.numbers.setdefault(place, set())
        first = not seen or number in seen
        seen.add(number)
        if first:
            return None
        return self.given(torch.tensor(number, dtype=dtype, device=device), place)

    def site_of(
        self, key: Any, func: Any, args: Any, kwargs: Any, inputs: Any, kind: str, under: Any
    ) -> Site:
        """Return the site of a call that none has the key of yet."""
        name = name_of(func)
        shapes: Any = tuple(tuple(each.metas) if each.__class__ is Site else each for each in key)
        if not inputs:
            shapes = shapes, torch.get_default_dtype()
        known = _known.get(shapes)
        slots = template(args), template(kwargs or {})
        if known is None:
            if len(_known) > 4096:
                _known.clear()
            metas = [node.site.metas[index] for node, index in inputs]
            dropout = kind == "random"
            known = (metas[:1], None, -1, -1) if dropout else _trial(func, *slots, metas)
            _known[shapes] = known
        if isinstance(known, str):
            raise _Unknown(known)
        metas, container, aliases, same = known
        # A loop in the user's code that starts from given tensors, and goes on from its results.
        alike = (shapes, position())
        found = self.similar.setdefault(alike, [])
        sources = [node.site for node, _ in inputs]
        for other in found:
            if _goes_on(other, sources):
                other.edges.update(dict.fromkeys(sources))
                other.ring = other.ring or other in sources
                self.sites[key] = other
                return other
        site = self.sites[key] = Site(self, kind, name, under)
        site.func, (site.args, site.kwargs) = func, slots
        site.metas, site.container, site.aliases = metas, container, aliases
        kinds = [each[2] for each in metas]
        site.differentiable = name != "detach" and any(
            kind.is_floating_point or kind.is_complex for kind in kinds
        )
        site.edges, site.line = dict.fromkeys(sources), user_line()
        site.extra = sources
        site.fixed = kind == "call" and all(each.fixed for each in sources)
        if same == 0 and args and args[0].__class__ is Lazy:
            site.kind = "same"
        if kind == "call":
            found.append(site)
        return site

    # Functions ---------------------------------------------------------------------------------

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        name, kind = kind_of(func)
        if kind == READ:
            with _plainly():
                return func(*args, **(kwargs or {}))
        kwargs = kwargs or {}
        if self.running or torch._C._are_functorch_transforms_active():
            return func(*values_of(args), **values_of(kwargs))
        try:
            if kind == RECORD and (
                not kwargs or (kwargs.get("out") is None and not kwargs.get("inplace"))
            ):
                return self.record(func, args, kwargs)
            if kind == VALUE:
                return self.on_values(func, name, args, kwargs)
            if kind == PLACE or kwargs.get("out") is not None:
                return self.in_place(func, name, args, kwargs)
            if kwargs.get("inplace"):
                return self.with_inplace(func, name, args, kwargs)
            return self.special(func, name, args, kwargs)
        except _Unknown as reason:
            places = kind == PLACE or name == "__setitem__"
            if places or kwargs.get("inplace") or kwargs.get("out") is not None:
                return self.change(func, name, args, kwargs)
            return self.on_values(func, name, args, kwargs, str(reason))

    def special(self, func: Any, name: str, args: Any, kwargs: dict[str, Any]) -> Any:
        """Record a function that is more than a call."""
        if name == "__getitem__":
            if type(args[1]) is int:
                return self.select(args[0], 0, args[1], func, args, kwargs)
            place = _lone_index(args[1], len(meta_of(args[0])[0]))
            if place is not None:
                return self.select(args[0], *place, func, args, kwargs)
            if _by_mask(args[1]):
                raise _Unknown("returns what depends on values")
        elif name == "select" and len(args) == 3 and type(args[1]) is type(args[2]) is int:
            dims = len(meta_of(args[0])[0])
            if -dims <= args[1] < dims:
                return self.select(args[0], args[1] % dims, args[2], func, args, kwargs)
        elif name == "unbind":
            shape = meta_of(args[0])[0]
            dim = args[1] if len(args) > 1 else kwargs.get("dim", 0)
            if shape and type(dim) is int and -len(shape) <= dim < len(shape):
                dim %= len(shape)
                steps = range(shape[dim])
                return tuple(self.select(args[0], dim, t, func, None, None) for t in steps)
        elif name == "stack":
            out = self.stack(args, kwargs)
            if out is not None:
                return out
        elif name == "to":
            return self.moved(func, name, args, kwargs)
        elif name == "new_zeros" and not kwargs and args[0].__class__ in (Lazy, *PLAIN):
            dtype, device = meta_of(args[0])[2:]
            zeros = self.given(torch.zeros(*args[1:], dtype=dtype, device=device), name)
            zeros._node.site.fixed = True
            return zeros
        elif name in ("batch_norm", "instance_norm"):
            return self.normalized(func, name, args, kwargs)
        elif name in DROPOUTS:
            return self.dropout(func, name, args, kwargs)
        elif name == "__setitem__":
            return self.set_item(func, args)
        elif name == "one_hot" or (name == "where" and len(args) == 1):
            raise _Unknown("returns what depends on values")
        if draws(name, args, kwargs):
            out = self.on_values(func, name, args, kwargs, None)
            if type(out) is not Tensor:
                return out
            return self.given(out, (name, str(args[1:]) if args else "", position()))
        return self.record(func, args, kwargs)

    def select(self, x: Tensor, dim: int, index: int, func: Any, args: Any, kwargs: Any) -> Tensor:
        """Record ``x[..., index, ...]``: all indices belong to one site."""
        shape, stride, dtype, device = meta_of(x)
        if args is not None and (not shape or not -shape[dim] <= index < shape[dim]):
            return self.on_values(func, name_of(func), args, kwargs)  # raises
        if x.__class__ is Lazy:
            node, output = x._node, x._index
        else:
            new = id(x) not in self.leaves and x.__class__ is Tensor
            if new and memory.shares_numpy(x):
                return x.select(dim, index)  # only this part is copied where it is used
            node, output = self.leaf(x), 0
        under = context()
        if under is None:
            raise _Unknown("runs under hooks on saved tensors")
        key = ("select", node.site, output, dim, under)
        site = self.sites.get(key)
        if site is None:
            site = self.sites[key] = Site(self, "select", "select", under)
            site.edges, site.extra, site.aliases = {node.site: None}, dim, 0
            site.line = user_line()
            rest = torch.Size((*shape[:dim], *shape[dim + 1 :]))
            site.metas = [(rest, (*stride[:dim], *stride[dim + 1 :]), dtype, device)]
        grad = node.grad and torch.is_grad_enabled()
        return lazy_outputs(self.add(site, [(node, output)], grad, index % shape[dim]))[0]

    def stack(self, args: Any, kwargs: dict[str, Any]) -> Tensor | None:
        """Record ``torch.stack`` of the outputs of one site; None if it is another stack."""
        parts = args[0]
        dim = args[1] if len(args) > 1 else kwargs.get("dim", 0)
        if len(parts) < 2 or kwargs.keys() - {"dim"} or type(dim) is not int:
            return None
        if not all(part.__class__ is Lazy for part in parts):
            return None
        first, index = parts[0]._node, parts[0]._index
        source, under = first.site, context()
        if any(part._node.site is not source or part._index != index for part in parts):
            return None
        shape, _, dtype, device = source.metas[index]
        if not -len(shape) - 1 <= dim <= len(shape) or under is None:
            return None
        dim %= len(shape) + 1
        site = self.loose_site("stack", "stack", under)
        site.edges, site.extra, site.line = {source: None}, dim, user_line()
        whole = torch.Size((*shape[:dim], len(parts), *shape[dim:]))
        site.metas = [(whole, _contiguous(whole), dtype, device)]
        inputs = [(part._node, index) for part in parts]
        grad = torch.is_grad_enabled() and any(node.grad for node, _ in inputs)
        return lazy_outputs(self.add(site, inputs, grad))[0]

    def moved(self, func: Any, name: str, args: Any, kwargs: dict[str, Any]) -> Any:
        """Record a change of type; a change of device needs the value."""
        device = meta_of(args[0])[3]
        for each in (*args[1:], kwargs.get("device")):
            if isinstance(each, str | torch.device | int) and not isinstance(each, bool):
                target = torch.device(each)
                if target.type != device.type or target.index not in (None, device.index):
                    return self.on_values(func, name, args, kwargs)
        return self.record(func, args, kwargs)

    def normalized(self, func: Any, name: str, args: Any, kwargs: dict[str, Any]) -> Any:
        """Record a normalization; one that updates running statistics keeps their order."""
        place, flag = (5, "training") if name == "batch_norm" else (5, "use_input_stats")
        training = kwargs.get(flag, args[place] if len(args) > place else name != "batch_norm")
        mean = kwargs.get("running_mean", args[1] if len(args) > 1 else None)
        if not training or mean is None:
            kind = "step" if training and name == "batch_norm" else "call"
            return self.record(func, args, kwargs, kind)
        variance: Any = kwargs.get("running_var", args[2] if len(args) > 2 else None)
        for each in (mean, variance):
            if each.__class__ is Lazy:
                raise _Unknown("updates statistics that were computed")
            if isinstance(each, Tensor) and id(each) not in self.leaves:
                self.leaf(each)
            if id(each) in self.copies:
                raise _Unknown("updates statistics in memory that NumPy may change")
        mine = [self.written.pop(id(each), None) for each in (mean, variance)]
        out = self.record(func, args, kwargs, "effect")
        site = out._node.site
        for each, last in zip((mean, variance), mine, strict=True):
            self.written[id(each)] = site
            if last is not None and last is not site:
                site.edges[last] = None
                last.edges[site] = None
        return out

    def dropout(self, func: Any, name: str, args: Any, kwargs: dict[str, Any]) -> Any:
        """Record a dropout: its mask is drawn at once, in the order of the user's code."""
        kwargs = {key: value for key, value in kwargs.items() if key != "inplace"}
        p = args[1] if len(args) > 1 else kwargs.get("p", 0.5)
        training = args[2] if len(args) > 2 else kwargs.get("training", kwargs.get("train", True))
        if not training or not p:
            return self.record(func, args[:3], kwargs)
        if not self.exact_random:
            return self.record(func, args[:3], kwargs, "random")
        x = args[0]
        shape, stride, dtype, device = meta_of(x)
        dims = DROPOUTS[name]
        if (dims and len(shape) != dims) or not dtype.is_floating_point:
            raise _Unknown("draws random numbers")
        if dims:
            ones = torch.ones((*shape[:2], *[1] * (dims - 2)), dtype=dtype, device=device)
        else:
            ones = torch.empty_strided(shape, stride, dtype=dtype, device=device).fill_(1)
        with torch.no_grad():
            mask = func(ones, *args[1:3], **kwargs)
        noise = self.given(mask, (name, p, meta_of(x), x._node.site if type(x) is Lazy else None))
        return self.record(Tensor.mul, (x, noise), {})

    # Values ------------------------------------------------------------------------------------

    def flush(self, why: str) -> None:
        """Work out all that was recorded so far."""
        if self.pending:
            self.flushes[why, user_line()] += 1
            self.settle(None)

    def on_values(
        self, func: Any, name: str, args: Any, kwargs: dict[str, Any], why: str | None = None
    ) -> Any:
        """Run a function on values, now."""
        lazies = _lazies((args, kwargs))
        if name in ("register_hook", "retain_grad") and args[0].__class__ is Lazy:
            return self.hooked(func, name, args, kwargs)
        if self.written and any(id(each) in self.written for each in args):
            self.flush(name)
        if name in BARRIERS and (lazies or name in ("backward", "grad") or self.knows(args)):
            self.flush(name)
            for each in lazies if name not in ("backward", "grad") else ():
                self.unshare(each)
                self.storages.add(value_of(each).untyped_storage().data_ptr())
        wanted = [each._node for each in lazies if each._node.values is None]
        if wanted:
            self.flushes[f"{name}: {why}" if why else name, user_line()] += 1
            self.settle(wanted)
        if name == "grad":
            for each in _lazies((args[1:2], kwargs.get("inputs"))):
                if each._node.is_joint:
                    raise _incomplete(name, each)
        return func(*values_of(args), **values_of(kwargs))

    def unshare(self, lazy: Lazy) -> None:
        """Give a value, and the views of it, memory that no other value has, before it is
        changed."""
        root = lazy._node.root
        if root.site.kind != "leaf" and not root.own:
            _copy(root)
        for node in self.done:
            if node.root is root and not node.own:
                _view_again(node)

    def hooked(self, func: Any, name: str, args: Any, kwargs: dict[str, Any]) -> Any:
        """Put a hook on a value, through which the gradients of all its uses go."""
        lazy = args[0]
        node = lazy._node
        if node.values is None:
            self.flushes[name, user_line()] += 1
            self.settle([source for source, _ in node.inputs if source.values is None])
            self.settle([node])  # alone, as in the plain code: spikes depend on their membrane
            root = node.root
            if root.values is not None and root.values.count > 1:
                self.unshare(lazy)
        elif node.is_joint:
            site = node.site
            state = site.kind == "neuron" and lazy._index >= 1 - site.func._snn_model.recurrent
            if state or node.values.one is not None:
                raise _incomplete(name, lazy)
            if node.joint is None:
                node.joint = node.values, node.place  # which others have used
                _copy(node)
        node.own = True  # what has the hook is not to be replaced
        value = value_of(lazy)
        if node.grad and not value.requires_grad:  # a state that no parameter changes
            value.requires_grad_()
        if node.joint is None:
            return func(*values_of(args), **values_of(kwargs))
        values, place = node.joint
        stack = values.stacked(lazy._index)
        if name == "retain_grad":
            return stack.register_hook(partial(_keep_grad, ref(value), place))
        return stack.register_hook(partial(_hook_step, args[1], place))

    def separate(self) -> None:
        """Let values that are still in use share no memory, where those of the plain code do
        not."""
        views = Counter(node.root for node in self.alive)
        alive = {*self.alive, *(root for root, count in views.items() if count > 1)}
        seen = set[int]()
        again = []
        for node in sorted(alive, key=lambda node: node.number):
            values, root = node.values, node.root
            if node.site.kind == "leaf" or values is None or node.own:
                continue
            if root is not node and (root in alive or root.site.kind == "leaf"):
                again.append(node)
                continue
            several = values.count > 1 or id(values) in seen
            if root is not node and root.values is not None:
                several = several or root.values.count > 1 or root.values.one is not None
            seen.add(id(values))
            if several:
                _copy(node)
        for node in again:
            _view_again(node)

    # In place ----------------------------------------------------------------------------------

    def owns(self, x: Lazy) -> bool:
        """Tell whether a tensor shares its memory with no other that the user has."""
        node = x._node
        kind = node.site.kind
        single = node.site.container is None or kind == "neuron"
        return node._root is None and not node.viewed and kind not in ("leaf", "select") and single

    def can_rebind(self, x: Any) -> bool:
        """Tell whether a change of a tensor in place is the same as a new tensor in its place."""
        return x.__class__ is Lazy and self.owns(x) and (_grad_is_on() or not x._node.grad)

    def rebind(self, x: Lazy, new: Lazy) -> None:
        """Let a tensor stand for another value."""
        node = x._node
        node.handles = [each for each in node.handles if each is not x]
        new._node.handles.append(x)
        x._node, x._index, x._home = new._node, new._index, None
        if new.requires_grad and not x.requires_grad:
            x.requires_grad_()

    def in_place(self, func: Any, name: str, args: Any, kwargs: dict[str, Any]) -> Any:
        """Record an in-place function as one that is not, or run it after all before it."""
        x: Any = args[0] if args else None
        if (
            self.can_rebind(x)
            and name in OUT_OF_PLACE
            and kwargs.get("out") is None
            and not (x._node.grad and x._node.site.kind == "given")
        ):
            new = self.record(getattr(Tensor, OUT_OF_PLACE[name]), args, kwargs)
            if new is x:
                return x
            meta, old = new._node.site.metas[new._index], meta_of(x)
            if meta[0] == old[0] and meta[2] == old[2]:
                with _plainly():
                    self.rebind(x, new)
                return x
        return self.change(func, name, args, kwargs)

    def change(self, func: Any, name: str, args: Any, kwargs: dict[str, Any]) -> Any:
        """Run a function that changes a tensor, after all that was recorded before it."""
        target: Any = kwargs.get("out", args[0] if args else None)
        alone = type(target) in PLAIN and not _lazies((args, kwargs))
        if alone and not self.shares(target):
            return func(*args, **kwargs)
        self.flush(f"{name} changes a tensor")
        if target.__class__ is Lazy:
            self.unshare(target)
        else:
            self.leaves.pop(id(target), None)  # its kind may change too
        out = func(*values_of(args), **values_of(kwargs))
        if target.__class__ is Lazy:
            value = value_of(target)
            if value.requires_grad and not target._node.grad:
                target._node.grad = True
                target._home = None
                with _plainly():
                    target.requires_grad_()
            if out is value:
                return target
        return out

    def shares(self, tensor: Tensor) -> bool:
        """Tell whether a tensor shares its memory with what was recorded."""
        new = self.kept[self.stored :]
        self.storages.update(each.untyped_storage().data_ptr() for each in new)
        self.stored += len(new)
        return tensor.untyped_storage().data_ptr() in self.storages

    def with_inplace(self, func: Any, name: str, args: Any, kwargs: dict[str, Any]) -> Any:
        """Record a function with ``inplace=True``."""
        x, rest = args[0], {**kwargs, "inplace": False}
        if self.can_rebind(x):
            if name in DROPOUTS:
                new = self.dropout(func, name, args, rest)
            else:
                new = self.record(func, args, rest)
            if new is not x:
                with _plainly():
                    self.rebind(x, new)
            return x
        return self.change(func, name, args, kwargs)

    def set_item(self, func: Any, args: Any) -> None:
        """Record ``x[index] = value`` where it writes one step, or values by a mask."""
        x, index, value = args
        if self.can_rebind(x) and context() is not None:
            shape, _, *kind = meta_of(x)
            place = (0, index) if type(index) is int else _lone_index(index, len(shape))
            if place and isinstance(value, Tensor):
                dim, step = place
                given, _, *other = meta_of(value)
                fits = given == (*shape[:dim], *shape[dim + 1 :]) and other == kind
                if fits and -shape[dim] <= step < shape[dim]:
                    return self.write(x, dim, step % shape[dim], value)
            if isinstance(index, Tensor) and type(value) in (int, float, bool):
                by_mask = meta_of(index)[2] is torch.bool and meta_of(index)[0] == shape
                if by_mask:
                    new = self.record(Tensor.masked_fill, (x, index, value), {})
                    with _plainly():
                        return self.rebind(x, new)
        self.change(func, "__setitem__", args, {})

    def write(self, x: Lazy, dim: int, step: int, value: Tensor) -> None:
        """Record that one step of a tensor is written."""
        before, output = x._node, x._index
        lazy: Any = value if value.__class__ is Lazy else None
        source = (self.leaf(value), 0) if lazy is None else (lazy._node, lazy._index)
        site = before.site
        if site.kind != "write" or site.extra != dim or site.context != context():
            site = self.loose_site("write", "written by index", context())
            site.extra, site.metas, site.line = dim, [meta_of(x)], user_line()
            site.edges[before.site] = None
        site.edges[source[0].site] = None
        grad = before.grad or (source[0].grad and torch.is_grad_enabled())
        node = self.add(site, [source], grad, step, (before, output))
        (new,) = lazy_outputs(node)
        with _plainly():
            self.rebind(x, new)

    # Neurons -----------------------------------------------------------------------------------

    def neuron(self, neuron: SpikingNeuron, input_: Any, given: tuple[Any, ...]) -> Any:
        """Record a step of a neuron; return NotImplemented if its operations are to be recorded."""
        if self.running:
            return NotImplemented
        steps = self.neurons.get(neuron)
        if steps is not None:
            out = steps.next(input_, given)
            if out is not None:
                return out
        if neuron not in self.before:
            self.touched.add(neuron)
            self.before[neuron] = dict(neuron._snn_kept())
        if neuron not in self.scans:
            tensors = _tensors(neuron)
            with torch._C.DisableTorchFunction():
                self.scans[neuron] = _scans(neuron, tensors)
            self.kept += tensors
        if not self.scans[neuron]:
            return (
                self.step_now(neuron, input_, given) if fires_at_random(neuron) else NotImplemented
            )
        under = context()
        if under is None:
            return NotImplemented
        old, state_shape = given, self.fits(neuron, input_, given)
        if state_shape is None:
            input_, old = neuron._snn_started(input_, given)
            state_shape = torch.Size(neuron._snn_state_shape(input_))
            dtype = meta_of(input_)[2]
            if any(meta_of(each)[0] != state_shape or meta_of(each)[2] != dtype for each in old):
                return NotImplemented
        with torch._C.DisableTorchFunction():
            if steps is None:
                steps = self.neurons[neuron] = _Steps(self, neuron)
            try:
                sources = [
                    (each._node, each._index) if each.__class__ is Lazy else (self.leaf(each), 0)
                    for each in (input_, *old)
                ]
            except _Unknown:
                return NotImplemented
            return steps.first(sources, old, meta_of(input_), state_shape, under)

    def fits(self, neuron: SpikingNeuron, x: Any, given: tuple[Any, ...]) -> torch.Size | None:
        """Return the shape of a neuron's states if the input and all states that are given are as a
        step takes them, as they mostly are; else None."""
        if x.__class__ is not Lazy or len(given) != len(neuron._snn_state_names):
            return None
        dtype = meta_of(x)[2]
        if neuron.init_hidden or dtype is not torch.float32 or torch.is_inference_mode_enabled():
            return None
        with torch._C.DisableTorchFunction():
            shape = torch.Size(neuron._snn_state_shape(x))
            for each in given:
                if each.__class__ is not Lazy or each.is_inference():
                    return None
                own = meta_of(each)
                if own[0] != shape or own[2] is not dtype:
                    return None
            neuron._snn_check_parameters(shape)
        return shape

    def step_now(self, neuron: SpikingNeuron, input_: Any, given: tuple[Any, ...]) -> Any:
        """Take a step of a neuron that draws random numbers, whose order is kept."""
        with torch._C.DisableTorchFunction():
            input_, given = values_of((input_, given))
            kept = neuron._snn_kept()
            kept.update({name: values_of(state) for name, state in kept.items()})
            with self.paused():
                return neuron._snn_call(input_, *given)

    def changed(self, neuron: SpikingNeuron) -> None:
        """Let the recorded steps of a neuron run before an attribute of it changes."""
        if not self.running and neuron in self.scans:
            self.flush(f"an attribute of {type(neuron).__name__} is set")
            self.scans.pop(neuron)
            steps = self.neurons.pop(neuron, None)
            if steps is not None:
                steps.expected = None

    def tell(
        self,
        site: Site,
        how: str,
        steps: int,
        reason: str | None = None,
        backend: str | None = None,
    ) -> None:
        """Note how a site was run."""
        if self.stages is None or site.kind == "given":
            return
        path, module = self.layer_of(site)
        line = None if site.line is None else f"{os.path.basename(site.line[0])}:{site.line[1]}"
        self.stages.append(
            Stage(path, module, how, reason, backend, function=site.name, line=line, steps=steps)
        )

    def layer_of(self, site: Site) -> tuple[str, nn.Module | None]:
        """Return the path of the layer that a site belongs to, and the layer, if that is known."""
        sources = [site.func] if site.kind == "neuron" else []
        for each in site.edges:
            if each.kind == "leaf" and len(each.nodes) == 1:
                sources += [each.nodes[0].value(0)]
        wanted = set(map(id, sources))
        for net in self.networks if wanted else ():
            for path, module in net.named_modules():
                if wanted & {id(module), *map(id, module._parameters.values())}:
                    return path, module
        return "", None

    # Results -----------------------------------------------------------------------------------

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Run what is called inside, without recording it."""
        before, self.running = self.running, True
        try:
            yield
        finally:
            self.running = before

    def settle(self, wanted: Sequence[Node] | None) -> None:
        """Work out some nodes, or all whose outputs are still in use."""
        if self.running:
            raise RuntimeError("a lazy tensor was asked for its value while values are worked out")
        with self.paused():
            try:
                schedule.settle(self, wanted)
            except Exception:
                schedule.step_through(self)  # as in the plain code, up to the error
                raise

    def close(self) -> None:
        """Work out all that is alive, and leave values behind."""
        for neuron in self.neurons:
            _drop_before(neuron._snn_kept())
        self.ends = True
        self.settle(None)
        self.alive += filter(in_use, self.earlier)
        self.loss = self.lost()

    def lost(self) -> str | None:
        """Return why the plain code is faster, or None if it is not."""
        nodes = self.number - len(self.leaves)
        if nodes - self.runs < 12 or 2 * nodes < 3 * self.runs:
            asked = sum(self.flushes.values())
            flushes = f", and values were asked for {asked} times" if asked else ""
            return f"{nodes} operations ran in {self.runs} calls{flushes}"
        sites = {site for site in self.sites.values() if site.kind not in ("leaf", "given")}
        neurons = [site for site in sites if site.kind == "neuron"]
        sizes = [site.metas[0][0].numel() for site in neurons]
        weights = [leaf.numel() for leaf in self.kept if type(leaf) is nn.Parameter]
        if max(sizes, default=0) > SMALL or max(weights, default=0) > 16 * SMALL:
            return None
        grad = any(node.grad for site in neurons for node in site.nodes[-1:])
        # In microseconds, as measured: what is saved at each step of a neuron, and the costs of
        # recording another operation and of planning and running a site.
        saved, recording, running = (135, 0, 280) if grad else (36, 6, 150)
        steps = sum(len(site.nodes) for site in neurons)
        cost = recording * (nodes - steps) + running * (len(sites) + len(self.loose))
        if saved * steps > cost:
            return None
        return f"its neurons are small, and {steps} steps of them take less time than recording"

    def forget(self) -> None:
        """Leave no cycles behind, which would keep values alive until the next collection."""
        sites = {*self.sites.values(), *self.loose}
        held = [node for site in sites for node in site.nodes if node.handles]
        note_used(held)
        for node in held:  # whoever holds a result is not to hold the whole graph
            node.handles.clear()
            for part in (node, node.root):
                part.inputs, part.previous = (), None
        for site in sites:
            site.nodes, site.edges = [], {}
            site.extra = site.func = site.recorder = None
        for each in (
            *(self.sites, self.similar, self.leaves, self.neurons, self.scans, self.written),
            *(self.copies, self.before),
        ):
            each.clear()
        self.pending, self.effects, self.done, self.kept, self.loose = [], [], [], [], []
        self.alive, self.earlier, self.stored = [], [], 0


def _drop_before(kept: dict[str, Any]) -> None:
    """Forget the membrane before the last step, unless it was worked out."""
    before = kept[BEFORE]
    if before.__class__ is Lazy and before._node.values is None:
        kept[BEFORE] = None


def _incomplete(name: str, lazy: Lazy) -> RuntimeError:
    return RuntimeError(
        f"{name} of a value of {lazy._node.site.name} that was worked out together with those of "
        "other steps, which the gradient of one step does not tell apart; call it right after the "
        "value was computed, before others are asked for, or run the network without snn.compile"
    )


def _copy(node: Node) -> None:
    """Give the outputs of a node separate memory."""
    values, apart = node.values, {}
    assert values is not None
    seen = [lazy._index for lazy in node.handles]
    with torch.enable_grad():
        for i in range(len(node.site.metas)) if node.viewed else seen:
            if i in values.last and node.place == values.count - 1:
                apart[i] = [values.last[i]]
            elif values.has(i):
                apart[i] = [node.value(i).clone()]
    node.values, node.place, node.own = Values(1, apart=apart), 0, True


def _view_again(node: Node) -> None:
    """Work out a view anew, from what is now the value of its input."""
    with entered(node.site.context):
        Values.of_node(schedule.compute(node)).give([node])
    node.own = True


def _keep_grad(value: ref[Tensor], place: int, grad: Tensor) -> None:
    if (tensor := value()) is not None:
        tensor.grad = grad[place].clone()


def _hook_step(hook: Callable[[Tensor], Tensor | None], place: int, grad: Tensor) -> Tensor | None:
    new = hook(grad[place])
    if new is None:
        return None
    changed = grad.clone()
    changed[place] = new
    return changed


def _lazies(tree: Any) -> list[Lazy]:
    """Return the lazy tensors in a structure."""
    kind = tree.__class__
    if kind is Lazy:
        return [tree]
    if kind is tuple or kind is list:
        return [lazy for each in tree for lazy in _lazies(each)]
    if kind is dict:
        return _lazies(list(tree.values()))
    if kind is slice:
        return _lazies([tree.start, tree.stop, tree.step])
    return []


def _contiguous(shape: Sequence[int]) -> tuple[int, ...]:
    strides, step = [], 1
    for size in reversed(shape):
        strides.append(step)
        step *= max(size, 1)
    return tuple(reversed(strides))


_ALL = slice(None)


def _lone_index(index: Any, dims: int) -> tuple[int, int] | None:
    """Return the dimension and the index of ``x[:, t]``, ``x[t, :]``, ``x[..., t]``."""
    if type(index) is not tuple:
        return None
    at = dots = None
    for place, each in enumerate(index):
        if type(each) is int and at is None:
            at = place
        elif each is ... and dots is None:
            dots = place
        elif type(each) is not slice or each != _ALL:
            return None
    if at is None or len(index) - (dots is not None) > dims:
        return None
    return dims - (len(index) - at) if dots is not None and dots < at else at, index[at]


def _by_mask(index: Any) -> bool:
    parts = index if type(index) is tuple else (index,)
    for each in parts:
        if isinstance(each, Tensor) and meta_of(each)[2] in (torch.bool, torch.uint8):
            return True
        if type(each) in (list, bool):
            return True
    return False


def _goes_on(site: Site, sources: Sequence[Site]) -> bool:
    """Tell whether sources are those of a site, but for what goes back to the site itself where it
    started from given tensors."""
    differing = [
        (mine, source)
        for mine, source in zip(site.extra, sources, strict=True)
        if mine is not source
    ]
    if not differing or not all(mine.fixed and source.edges for mine, source in differing):
        return False
    return all(_depends(source, site) for _, source in differing)


def _depends(site: Site, on: Site, most: int = 300) -> bool:
    seen, stack = {site}, [site]
    while stack and len(seen) < most:
        each = stack.pop()
        if each is on:
            return True
        fresh = each.edges.keys() - seen
        seen |= fresh
        stack.extend(fresh)
    return False


def _scans(neuron: SpikingNeuron, tensors: Sequence[Tensor]) -> bool:
    """Tell whether the steps of a neuron may run later, as a sequence."""
    if isinstance(neuron, WholeSequence) or why_neuron_stepped(neuron) or fires_at_random(neuron):
        return False
    kind = neuron.threshold.dtype
    return all(
        type(each) in PLAIN
        and (each.dtype is kind or not each.dim() or not each.is_floating_point())
        for each in tensors
    )


def _tensors(neuron: SpikingNeuron) -> list[Tensor]:
    """Return the parameters and buffers of a neuron."""
    return [
        each
        for part in (neuron.modules() if neuron._modules else (neuron,))
        for each in (*part._parameters.values(), *part._buffers.values())
        if each is not None
    ]


class _Steps:
    """The steps of a neuron while they are recorded."""

    def __init__(self, recorder: Recorder, neuron: SpikingNeuron) -> None:
        self.recorder, self.neuron = recorder, neuron
        self.starts = 0
        self.base = 0 if neuron._snn_model.recurrent else 1  # output of the first state
        self.names = neuron._snn_state_names
        self.membrane = len(neuron._snn_model.states) + neuron._snn_model.membrane
        self.packed = not (neuron.init_hidden and not neuron.output)
        recorder.shortcuts.open_neuron(recorder, neuron, self.next)
        self.learns = any([each.requires_grad for each in _tensors(neuron)])
        self.expected: tuple[Site, int, Any, Site] | None = None

    def site(self, key: Any, x: Meta, shape: torch.Size, under: Any) -> Site:
        recorder, neuron = self.recorder, self.neuron
        site = recorder.sites.get(key)
        if site is None:
            site = recorder.sites[key] = Site(recorder, "neuron", type(neuron).__name__, under)
            site.func, site.container, site.line = neuron, tuple, user_line()
            state = (shape, _contiguous(shape), x[2], x[3])
            spikes = state
            if neuron._snn_observed.__func__ is not SpikingNeuron._snn_observed:  # type: ignore[attr-defined]
                fired = neuron._snn_observed(_zeros(*state)).shape
                spikes = (fired, _contiguous(fired), x[2], x[3])
            own = len(self.names) - (1 - self.base)
            site.metas = [spikes, *[state] * own]
            site.extra = (shape, x)
        return site

    def first(
        self, sources: Any, old: Sequence[Tensor], x: Meta, shape: torch.Size, under: Any
    ) -> Any:
        """Record a step that begins anew, or from states that were changed."""
        previous: Any = sources[1][0] if len(sources) > 1 else None
        goes_on = (
            previous is not None
            and previous.site.kind == "neuron"
            and previous.site.func is self.neuron
            and previous.site.extra == (shape, x)
            and previous.site.context == under
            and all(source == (previous, self.base + i) for i, source in enumerate(sources[1:]))
        )
        if goes_on:
            site = previous.site
        else:
            fixed = all(node.site.fixed for node, _ in sources[1:])
            self.starts += fixed
            start = self.starts if fixed else "changed"
            site = self.site(("neuron", self.neuron, start, shape, x, under), x, shape, under)
            site.edges.update(dict.fromkeys(node.site for node, _ in sources[1:]))
            site.ring = site.ring or any(node.site is site for node, _ in sources[1:])
        site.edges[sources[0][0].site] = None
        site.ring = site.ring or sources[0][0].site is site
        self.expected = sources[0][0].site, sources[0][1], under, site
        grad = _grad_is_on() and (self.learns or any(node.grad for node, _ in sources))
        return self.add(site, sources, grad, old, previous if goes_on else None)

    def next(self, input_: Any, given: tuple[Any, ...]) -> Any:
        """Record a step that goes on from the last one, as most do; None if it is another."""
        if self.expected is None or input_.__class__ is not Lazy:
            return None
        node, neuron = input_._node, self.neuron
        source, output, under, site = self.expected
        if node.site is not source or input_._index != output or context() != under:
            return None
        if not given or (given[0] is None and all([state is None for state in given])):
            given = tuple(map(neuron._snn_states.__getitem__, self.names))
        elif neuron.init_hidden or len(given) != len(self.names):
            return None
        previous = given[0]._node if given[0].__class__ is Lazy else None
        if previous is None or previous.site is not site:
            return None
        sources, index = [(node, output)], self.base
        for state in given:
            if state.__class__ is not Lazy or state._node is not previous or state._index != index:
                return None
            sources.append((previous, index))
            index += 1
        grad = (self.learns or node.grad or previous.grad) and _grad_is_on()
        return self.add(site, sources, grad, given, previous)

    def add(
        self, site: Site, sources: Any, grad: bool, old: Sequence[Tensor], previous: Any
    ) -> Any:
        neuron = self.neuron
        if previous is not None:
            if previous.followed:  # two steps go on from one
                previous = None
            else:
                previous.followed = True
        node = self.recorder.add(site, sources, grad, None, previous)
        outs = tuple(lazy_outputs(node))
        states = outs[self.base :]
        if previous is None:
            neuron._snn_remember(states, old[self.membrane])
        else:  # the same, but faster
            kept = neuron._snn_states
            kept.update(zip(self.names, states, strict=True))
            kept[BEFORE], kept[RESET] = old[self.membrane], None
            neuron.__dict__["_snn_by_hand"] = False
        return neuron._snn_packed(outs[0], states) if self.packed else outs[0]


# Functions of autograd ---------------------------------------------------------------------------


_single: Any = torch.autograd.function._SingleLevelFunction
_applied: dict[Any, Any] = {}


def _apply(cls: Any, *args: Any, **kwargs: Any) -> Any:
    """Record a function of autograd, which no mode sees."""
    current = recording()
    plain = super(_single, cls).apply
    if current is None or current.running:
        return plain(*args, **kwargs)
    weights = any(each.__class__ is nn.Parameter for each in args)  # as of a parametrization
    if not weights and not _lazies((args, kwargs)):
        with current.paused():  # its forward is not to be recorded
            return plain(*args, **kwargs)
    func = _applied.get(cls)
    if func is None:
        if issubclass(cls, SurrogateFunction) and cls._has_slope and cls._by_slope:
            func = Opaque(plain, cls.__name__)
        else:

            def func(*args: Any, **kwargs: Any) -> Any:
                return plain(*args, **kwargs)

            func.__name__ = cls.__name__
        _applied[cls] = func
    with torch._C.DisableTorchFunction():
        try:
            if cls is BackwardHookFunction or any(map(callable, args)):
                raise _Unknown("is more than a function of tensors")
            return current.record(func, args, kwargs)
        except _Unknown as reason:
            return current.on_values(func, cls.__name__, args, kwargs, str(reason))


_recordings, _lock = 0, Lock()


@contextmanager
def recorded(recorder: Recorder) -> Iterator[None]:
    """Record what is done inside; at the end work out all that is alive."""
    global _recordings
    memory.keep_pages()
    with _lock:
        _recordings += 1
        if _recordings == 1:
            _single.apply = classmethod(_apply)
    try:
        try:
            recorder.shortcuts.open(recorder, recorder.networks)
            with recorder:
                yield
        except Exception:
            recorder.close()  # states are to be those that the plain code leaves
            raise
        recorder.close()
    finally:
        recorder.shortcuts.close()
        with _lock:
            _recordings -= 1
            if not _recordings:
                del _single.apply

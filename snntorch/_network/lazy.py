"""Tensors whose values are worked out later, and the graph of what is done with them."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from sys import getrefcount
from typing import Any

import torch
from torch import Tensor, nn

from .._engine.problem import Solution

# Shape, strides, type and device of a tensor.
Meta = tuple[torch.Size, tuple[int, ...], torch.dtype, torch.device]

PLAIN = frozenset(
    (Tensor, nn.Parameter, nn.Buffer) if hasattr(nn, "Buffer") else (Tensor, nn.Parameter)
)


def meta_of(tensor: Tensor) -> Meta:
    """Return what is known of a tensor before its value."""
    if tensor.__class__ is Lazy:
        return tensor._node.site.metas[tensor._index]
    return tensor.shape, tensor.stride(), tensor.dtype, tensor.device


class Lazy(Tensor):
    """A tensor that stands for an output of a node: shape, type and device are known, its value is
    worked out when it is asked for."""

    __slots__ = ("_home", "_index", "_node")

    _node: Node
    _index: int
    _home: list[Lazy] | None
    """Where it waits for its next use; None if it was changed."""

    @classmethod
    def __torch_function__(
        cls, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        # The recording is over.
        return func(*values_of(args), **values_of(kwargs or {}))

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        # A function that no mode sees.
        return func(*values_of(args), **values_of(kwargs or {}))

    def __reduce_ex__(self, protocol: Any) -> Any:
        return value_of(self).__reduce_ex__(protocol)


# Lazy tensors for further use, by what is known of them, and whether they have a gradient and were
# made in inference mode: to make one takes longer than to record an operation.
_homes: dict[tuple[Meta, bool, bool], list[Lazy]] = {}
_MOST = 4096  # of a kind
_make: Any = Tensor._make_wrapper_subclass


def lazy_outputs(node: Node) -> list[Lazy]:
    """Return lazy tensors for the outputs of a node."""
    site, outs = node.site, node.handles
    homes = site.homes.get(node.grad)
    if homes is None:
        homes = site.homes[node.grad] = [_home_of(meta, node.grad) for meta in site.metas]
    for index, home in enumerate(homes):
        try:
            lazy = home.pop()
        except IndexError:
            shape, strides, dtype, device = site.metas[index]
            grad = node.grad and _can_have_grad(dtype)
            lazy = _make(
                Lazy, shape, strides=strides, dtype=dtype, device=device, requires_grad=grad
            )
            lazy._home = home
        lazy._node, lazy._index = node, index
        outs.append(lazy)
    return outs


def _can_have_grad(dtype: torch.dtype) -> bool:
    return dtype.is_floating_point or dtype.is_complex


def _home_of(meta: Meta, grad: bool) -> list[Lazy]:
    if len(_homes) > 1024:
        _homes.clear()
    kind = meta, grad and _can_have_grad(meta[2]), torch.is_inference_mode_enabled()
    return _homes.setdefault(kind, [])


def _counts(things: list[Any]) -> list[int]:
    return list(map(getrefcount, things))


(_ALONE,) = _counts([object()])


def in_use(node: Node) -> bool:
    """Tell whether an output is in use elsewhere."""
    return bool(node.handles) and max(_counts(node.handles)) > _ALONE


def note_used(nodes: Sequence[Node]) -> None:
    """Note which outputs of some nodes are in use elsewhere; keep the other lazy tensors for other
    nodes."""
    every = [lazy for node in nodes for lazy in node.handles]
    for node in nodes:
        node.handles.clear()
    for lazy, count in zip(every, _counts(every), strict=True):
        if count > _ALONE:
            node = lazy._node
            node.alive |= 1 << lazy._index
            node.handles.append(lazy)
        elif (home := lazy._home) is not None and len(home) < _MOST and not lazy.__dict__:
            lazy._node = None  # type: ignore[assignment]
            home.append(lazy)


def value_of(lazy: Lazy) -> Tensor:
    """Return the value of a lazy tensor; work it out if that has not been done."""
    node = lazy._node
    if node.values is None and node.site.recorder is not None:
        node.site.recorder.settle([node])
    return node.value(lazy._index)


def values_of(tree: Any) -> Any:
    """Return a structure with its lazy tensors replaced by their values."""
    kind = tree.__class__
    if kind is Lazy:
        return value_of(tree)
    if kind is tuple or kind is list:
        return kind(map(values_of, tree))
    if kind is dict:
        return {key: values_of(value) for key, value in tree.items()}
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return kind(*map(values_of, tree))
    if isinstance(tree, list | dict):
        return settled(copy(tree))
    return slice(*map(values_of, (tree.start, tree.stop, tree.step))) if kind is slice else tree


def settled(tree: Any) -> Any:
    """Replace lazy tensors by their values, in the same lists and dictionaries."""
    if isinstance(tree, list):
        tree[:] = map(settled, tree)
    elif isinstance(tree, dict):
        for key, value in tree.items():
            tree[key] = settled(value)
    elif tree.__class__ is tuple:
        return tuple(map(settled, tree))
    elif isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return tree.__class__(*map(settled, tree))
    elif tree.__class__ is Lazy:
        return value_of(tree)
    return tree


class Site:
    """An operation in one place of a network, whose nodes are its runs at successive steps."""

    __slots__ = (
        "aliases", "args", "container", "context", "differentiable", "edges", "extra", "fixed",
        "func", "homes", "kind", "kwargs", "line", "low", "metas", "name", "nodes", "on_stack",
        "order", "recorder", "ring", "viewed",
    )  # fmt: skip

    def __init__(self, recorder: Any, kind: str, name: str, context: Any) -> None:
        self.recorder, self.kind, self.name, self.context = recorder, kind, name, context
        self.func: Any = None
        self.args: Any = ()
        self.kwargs: dict[str, Any] = {}
        self.nodes: list[Node] = []
        # Whose outputs it takes; a dictionary for its order, on which that of gradients depends.
        self.edges: dict[Site, None] = {}
        self.metas: list[Meta] = []
        self.homes: dict[bool, list[list[Lazy]]] = {}  # of lazy tensors, by whether they have grad
        self.container: Any = None  # what several outputs come in
        self.aliases = -1  # the input whose memory the output shares
        self.differentiable = True
        self.fixed = False  # whether it goes back to nothing but given tensors
        self.ring = False  # whether a node takes an output of another one
        self.viewed = False  # whether others share memory with a node
        self.extra: Any = None
        self.line: tuple[str, int] | None = None
        self.order = self.low = -1
        self.on_stack = False

    def call(self, values: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Run the function."""
        feed = iter(values)
        out = self.func(*rebuilt(self.args, feed), **rebuilt(self.kwargs, feed))
        return (out,) if self.container is None else tuple(out)


class Node:
    """One run of a site."""

    values: Values | None = None
    place = 0  # among the values
    need = 0  # bits of the outputs that are needed
    alive = 0  # bits of the outputs that are still in use
    followed = False  # whether a neuron's next step goes on from it
    own = False  # whether it has memory that nodes share only if the plain code's results do
    viewed = False  # whether others share its memory
    joint: tuple[Values, int] | None = None  # what it shared before it got values of its own
    aux: Any = None
    previous: Any = None
    _root: Node | None = None

    def __init__(self, site: Site, inputs: Any, number: int, grad: bool) -> None:
        self.site, self.inputs, self.number, self.grad = site, inputs, number, grad
        self.handles: list[Lazy] = []

    @property
    def root(self) -> Node:
        """The node whose memory it shares."""
        return self if self._root is None else self._root

    @property
    def is_joint(self) -> bool:
        """Whether it was worked out together with nodes of other steps."""
        values = self.values
        if values is None or self.site.kind in ("leaf", "given"):
            return False
        return values.count > 1 or values.one is not None or self.joint is not None

    def value(self, index: int) -> Tensor:
        """Return an output, which has been worked out."""
        if self.values is None:
            raise RuntimeError(
                "the value of a lazy tensor is not known, as the call that recorded it failed"
            )
        return self.values.get(index, self.place)


class Values:
    """Outputs of some nodes of a site: stacked over time, apart, or one for all."""

    __slots__ = ("apart", "count", "given", "last", "one", "stacks")

    def __init__(
        self,
        count: int,
        stacks: dict[int, Tensor] | None = None,
        apart: dict[int, list[Tensor]] | None = None,
        one: tuple[Tensor, ...] | None = None,
        last: dict[int, Tensor] | None = None,
    ) -> None:
        self.count, self.one = count, one
        self.stacks, self.apart, self.last = stacks or {}, apart or {}, last or {}
        self.given: set[int] = set()  # stacks that a user has got

    @classmethod
    def of_node(cls, outs: Sequence[Tensor]) -> Values:
        """Return the outputs of one node alone."""
        return cls(1, apart={i: [out] for i, out in enumerate(outs)})

    @classmethod
    def of_scan(cls, count: int, solution: Solution, recurrent: bool) -> Values:
        """Return what a backend gave for some steps of a neuron.

        :param recurrent: whether the spikes are its first state too
        """
        first = 1 - recurrent
        stacks = {**dict(enumerate(solution.traces or (), first)), 0: solution.spikes}
        return cls(count, stacks=stacks, last=dict(enumerate(solution.states, first)))

    def give(self, nodes: Sequence[Node]) -> None:
        """Give each of some nodes, in order, its outputs."""
        for place, node in enumerate(nodes):
            node.values, node.place = self, place

    def has(self, index: int) -> bool:
        """Tell whether an output is there for every node."""
        return self.one is not None or index in self.apart or index in self.stacks

    def get(self, index: int, place: int) -> Tensor:
        """Return the output of one node."""
        if self.one is not None:
            return self.one[index]
        if index not in self.apart:
            if place == self.count - 1 and index in self.last:
                return self.last[index]
            # Kept, as whoever asks first may want no gradient.
            with torch.enable_grad():
                self.apart[index] = list(self.stacks[index].unbind())
        return self.apart[index][place]

    def stacked(self, index: int) -> Tensor:
        """Return an output of all nodes ``[T, ...]``."""
        if index not in self.stacks:
            with torch.enable_grad():
                self.stacks[index] = torch.stack(self.apart[index])
        return self.stacks[index]

    def release(self, keep: set[int]) -> None:
        """Release all outputs but these."""
        for each in (self.stacks, self.apart):
            for index in [i for i in each if i not in keep]:
                del each[index]


def collect(references: Sequence[tuple[Node, int]]) -> tuple[bool, Tensor]:
    """Return outputs of some nodes: True and the one that is the same for all, or False and the
    outputs stacked over time."""
    first, index = references[0]
    values, last = first.values, references[-1][0]
    assert values is not None
    if values is last.values and all([node.values is values for node, _ in references]):
        same = all([i == index for _, i in references])
        alike = first is last and all([node is first for node, _ in references])
        if same and (alike or values.one is not None):
            return True, values.get(index, first.place)
        begin, count = first.place, len(references)
        if same and [node.place for node, _ in references] == list(range(begin, begin + count)):
            whole = values.stacked(index)
            return False, whole if count == values.count else whole[begin : begin + count]
    return False, torch.stack([node.value(i) for node, i in references])


# Arguments ---------------------------------------------------------------------------------------


class _Slot:
    """Stands for a tensor among arguments."""


SLOT = _Slot()


def template(tree: Any) -> Any:
    """Return arguments with each tensor replaced by a slot."""
    if isinstance(tree, Tensor):
        return SLOT
    kind = tree.__class__
    if kind is tuple or kind is list:
        return kind(map(template, tree))
    if kind is torch.Size:
        return tuple(tree)
    if kind is dict:
        return {key: template(value) for key, value in tree.items()}
    if kind is slice:
        return slice(template(tree.start), template(tree.stop), template(tree.step))
    return tree


def rebuilt(tree: Any, feed: Any) -> Any:
    """Return arguments with tensors in the slots."""
    if tree is SLOT:
        return next(feed)
    kind = tree.__class__
    if kind is tuple or kind is list:
        return kind([rebuilt(each, feed) for each in tree])
    if kind is dict:
        return {key: rebuilt(value, feed) for key, value in tree.items()}
    if kind is slice:
        return slice(rebuilt(tree.start, feed), rebuilt(tree.stop, feed), rebuilt(tree.step, feed))
    return tree

"""Work out what was recorded: which nodes, in what order, and each site over all its nodes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from .._engine import backends
from .._torch import element_size
from . import recurrence
from .context import entered
from .functions import ADDITIONS, FOLDS, Call, fold, run_once
from .lazy import Meta, Node, Site, Values, collect, note_used
from .pieces import PIECE, in_pieces

_ALWAYS = 1 << 20  # need of a node that is run, whatever of it is used
_VIEWS = frozenset(("view", "reshape", "flatten", "unflatten", "squeeze", "unsqueeze"))


def settle(recorder: Any, wanted: Sequence[Node] | None) -> None:
    """Work out some nodes, or all whose outputs are still in use."""
    pending = recorder.pending
    if not pending:
        return
    nodes = _alive(pending) if wanted is None else _behind(wanted, recorder.effects)
    by_site: dict[Site, list[Node]] = {}
    for node in nodes:
        by_site.setdefault(node.site, []).append(node)
    if wanted is None:
        adding = [node for site in by_site if site.name in ADDITIONS for node in by_site[site]]
        if sum(map(_adds, adding)) > 3:
            by_site = _with_sums(nodes)
    held = {node.site for node in nodes if node.alive}
    parts = components(by_site)
    chains: dict[Site, list[Site]] = {}
    inner: set[Site] = set()
    last: dict[int, list[Site]] = {}
    if wanted is None:
        chains, inner = _chains(parts, by_site, held)
        last = _last_uses(parts, by_site, chains)
    for at, part in enumerate(parts):
        site = part[0]
        if site in inner:
            continue
        try:
            with entered(site.context):
                if site in chains:
                    _in_pieces(recorder, chains[site], by_site)
                elif len(part) == 1 and not site.ring:
                    _run(recorder, site, by_site[site])
                elif not (wanted is None and _recurrent(recorder, part, by_site)):
                    _cycle(recorder, part, by_site)
        except Exception as error:
            _say_where(recorder, error, site)
            raise
        for done in last.get(at, ()):
            _let_go(done, by_site[done], held)
    if wanted is None:
        recorder.earlier += recorder.alive
        recorder.alive = [node for node in nodes if node.alive]
        recorder.pending, recorder.effects = [], []
        recorder.written.clear()
    else:
        recorder.earlier += nodes
        recorder.pending = [node for node in pending if node.values is None]
        recorder.effects = [node for node in recorder.effects if node.values is None]
    views = [site for site in by_site if site.aliases >= 0]
    recorder.done += [n for site in views for n in by_site[site] if n.values is not None]


def step_through(recorder: Any) -> None:
    """Work out what is left node by node, in the order of the user's code, up to the first error;
    leave neurons with the states that they had then."""
    for node in sorted(recorder.pending, key=lambda node: node.number):
        if node.values is not None:
            continue
        try:
            with entered(node.site.context):
                _single(recorder, node)
        except Exception as error:
            _say_where(recorder, error, node.site)
            newest: dict[Any, Node] = {}
            for site in (*recorder.sites.values(), *recorder.loose):
                for each in site.nodes if site.kind == "neuron" else ():
                    if each.number < node.number and each.values is not None:
                        last = newest.get(site.func)
                        newest[site.func] = max(last or each, each, key=lambda each: each.number)
            for neuron, kept in recorder.before.items():
                states = kept
                if (last := newest.get(neuron)) is not None:
                    names, own = neuron._snn_state_names, neuron._snn_model.recurrent
                    states = {name: last.value(i + 1 - own) for i, name in enumerate(names)}
                neuron._snn_kept().update(states)
            raise


def _say_where(recorder: Any, error: Exception, site: Site) -> None:
    """Add to an error which operation it came from, and the line of the user's code."""
    if getattr(error, "_snn_told", False):
        return
    line = "" if site.line is None else f", recorded at {site.line[0]}:{site.line[1]}"
    path, _ = recorder.layer_of(site)
    text = f"in {site.name}{' of layer ' + path if path else ''}{line}"
    if hasattr(error, "add_note"):
        error.add_note(text)
    elif error.args and isinstance(error.args[0], str):
        error.args = (f"{error.args[0]}\n{text}", *error.args[1:])
    with suppress(AttributeError):
        error._snn_told = True  # type: ignore[attr-defined]


# Which nodes -----------------------------------------------------------------------------------


def _alive(pending: Sequence[Node]) -> list[Node]:
    """Return the nodes whose outputs are still in use, and those they need, in order."""
    note_used(pending)
    nodes = []
    for node in reversed(pending):
        need, kind = node.need | node.alive, node.site.kind
        if not need and kind != "effect":
            continue
        nodes.append(node)
        node.need = need | _ALWAYS
        if kind == "neuron" and node.previous is not None:
            node.previous.need |= _ALWAYS
            source, index = node.inputs[0]
            source.need |= 1 << index
        elif kind == "write":
            _need_writes(node)
        else:
            for source, index in node.inputs:
                source.need |= 1 << index
    nodes.reverse()
    return nodes


def _need_writes(node: Node) -> None:
    """Mark what a tensor that was written step by step needs: the steps before, at once."""
    at = node
    while at.site.kind == "write" and at.values is None:
        source, index = at.inputs[0]
        source.need |= 1 << index
        before, index = at.previous
        if at is not node and at.need:
            return
        at = before
    at.need |= 1 << index


def _behind(wanted: Sequence[Node], effects: Sequence[Node]) -> list[Node]:
    """Return the nodes that some nodes need, and changes of buffers, in order."""
    found: dict[int, Node] = {}
    stack = [*wanted, *effects]
    while stack:
        node = stack.pop()
        if node.values is not None or node.number in found:
            continue
        found[node.number] = node
        # Of a node that is worked out now, everything may be asked for later.
        node.need |= _ALWAYS | (1 << len(node.site.metas)) - 1
        stack += [source for source, _ in node.inputs]
        if node.site.kind == "write":
            stack.append(node.previous[0])
    return [found[number] for number in sorted(found)]


def _with_sums(nodes: Sequence[Node]) -> dict[Site, list[Node]]:
    """Make one node of each long sum over steps, ``start + x1 + x2 ...``, whose partial sums are
    used once."""
    uses: dict[Node, int] = {}
    for node in nodes:
        before = [node.previous] if node.site.kind == "write" else []
        for source, _ in (*node.inputs, *before):
            uses[source] = uses.get(source, 0) + 1
    gone, seen = set[Node](), set[Node]()
    moved: dict[Site, dict[Site, None]] = {}
    for node in reversed(nodes):
        if node in seen or not _adds(node):
            continue
        meta, chain, at = node.site.metas[0], [], node
        while True:
            seen.add(at)
            onward = None
            for j in (0, 1):
                source = at.inputs[j][0]
                other, index = at.inputs[1 - j]
                if (
                    source.values is None
                    and _adds(source)
                    and uses[source] == 1
                    and not source.alive
                    and source.site.metas[0] == meta
                    and source.site.context == node.site.context
                    and other.site.metas[index] == meta
                ):
                    onward = source, (other, index)
                    break
            if onward is None:
                break
            chain.append((at, onward[1]))
            at = onward[0]
        if len(chain) > 3:
            terms = [*reversed([term for _, term in chain])]
            site = node.site.recorder.loose_site("sum", "sum over time", node.site.context)
            site.metas, site.line, site.func = node.site.metas, node.site.line, at.site
            site.edges = dict.fromkeys(source.site for source, _ in (*terms, *at.inputs))
            gone.update(each for each, _ in chain[1:])
            gone.add(at)
            moved.setdefault(node.site, {})[site] = None
            node.site, node.inputs = site, [*terms, *at.inputs]
            site.nodes.append(node)
    by_site: dict[Site, list[Node]] = {}
    for node in nodes:
        if node not in gone:
            by_site.setdefault(node.site, []).append(node)
    for site in by_site:
        for source in [each for each in site.edges if each in moved]:
            site.edges |= moved[source]
    return by_site


def _adds(node: Node) -> bool:
    site = node.site
    return (
        site.kind == "call"
        and site.name in ADDITIONS
        and len(node.inputs) == len(site.args) == 2
        and not site.kwargs
        and node._root is None
    )


# In what order ---------------------------------------------------------------------------------


def components(sites: Iterable[Site]) -> list[list[Site]]:
    """Return the strongly connected components of a graph, inputs before what uses them.

    Source: R. Tarjan, "Depth-first search and linear graph algorithms", SIAM Journal on Computing 1
    (1972) 146-160.
    """
    inside, found, stack, count = set(sites), [], [], 0
    for site in inside:
        site.order, site.on_stack = -1, False
    for top in sites:
        if top.order >= 0:
            continue
        top.order = top.low = count
        count += 1
        stack.append(top)
        top.on_stack = True
        work = [(top, iter(top.edges))]
        while work:
            site, edges = work[-1]
            for source in edges:
                if source not in inside:
                    continue
                if source.order < 0:
                    source.order = source.low = count
                    count += 1
                    stack.append(source)
                    source.on_stack = True
                    work.append((source, iter(source.edges)))
                    break
                if source.on_stack and source is not site:
                    site.low = min(site.low, source.order)
            else:
                work.pop()
                if work:
                    work[-1][0].low = min(work[-1][0].low, site.low)
                if site.low == site.order:
                    part = []
                    while True:
                        source = stack.pop()
                        source.on_stack = False
                        part.append(source)
                        if source is site:
                            break
                    found.append(part)
    return found


def _chains(
    parts: Sequence[list[Site]], by_site: dict[Site, list[Node]], held: set[Site]
) -> tuple[dict[Site, list[Site]], set[Site]]:
    """Find sites that are folded and only feed each other: they run in pieces that fit the cache.

    :returns: the chains by their last sites, and all but these
    """
    users: dict[Site, list[Site]] = {}
    for site in by_site:
        for source in site.edges:
            users.setdefault(source, []).append(site)

    constant: dict[Site, bool] = {}
    for part in parts:
        for site in part:
            constant[site] = site.kind == "call" and all(
                constant.get(source.site, False) or _same(by_site[site], j)
                for j, (source, _) in enumerate(by_site[site][0].inputs)
            )

    def folds(site: Site) -> bool:
        nodes = by_site.get(site, ())
        return (
            len(nodes) > 1
            and site.kind == "call"
            and not (site.ring or constant[site])
            and site.container is None
            and site.name in FOLDS
            and (nodes[0]._root is None or site.name in _VIEWS)
            and sum(not _same(nodes, j) for j in range(len(nodes[0].inputs))) == 1
            and not _same(nodes, 0)
        )

    chains: dict[Site, list[Site]] = {}
    inner, seen = set[Site](), set[Site]()
    for part in parts:
        if len(part) > 1 or part[0] in seen or not folds(part[0]):
            continue
        chain = [part[0]]
        while True:
            end = chain[-1]
            following = users.get(end, [])
            if len(following) != 1 or end in held:
                break
            site = following[0]
            nodes = by_site[site]
            if site in seen or not folds(site) or site.context != end.context:
                break
            if len(nodes) != len(by_site[end]) or any(
                node.inputs[0][0] is not source
                for node, source in zip(nodes, by_site[end], strict=True)
            ):
                break
            chain.append(site)
        seen.update(chain)
        working = [site for site in chain if site.name not in _VIEWS]
        count = len(by_site[chain[0]])
        if not working or _most(chain, by_site[chain[0]]) * count <= PIECE:
            continue
        if len(working) == 1 and not working[0].name.startswith(("conv", "max_pool")):
            continue
        chains[chain[-1]] = chain
        inner.update(chain[:-1])
    return chains, inner


def _most(chain: Sequence[Site], nodes: Sequence[Node]) -> int:
    """Return the most bytes that a site of a chain takes and returns for one step.

    :param nodes: those of the first site
    """

    def size(meta: Meta) -> int:
        return meta[0].numel() * element_size(meta[2])

    first, index = nodes[0].inputs[0]
    sizes = [size(first.site.metas[index]), *(size(site.metas[0]) for site in chain)]
    return max(taken + given for taken, given in pairwise(sizes))


def _same(nodes: Sequence[Node], j: int) -> bool:
    first = nodes[0].inputs[j]
    if nodes[-1].inputs[j] != first:
        return False
    return all([node.inputs[j] == first for node in nodes])


def _last_uses(
    parts: Sequence[list[Site]], by_site: dict[Site, list[Node]], chains: dict[Site, list[Site]]
) -> dict[int, list[Site]]:
    """Return which sites are used for the last time at each component."""
    last: dict[Site, int] = {}
    for at, part in enumerate(parts):
        for site in part:
            last[site] = at
            for each in (site, *chains.get(site, ())):
                last.update(dict.fromkeys(each.edges, at))
    found: dict[int, list[Site]] = {}
    for site, at in last.items():
        if site in by_site:
            found.setdefault(at, []).append(site)
    return found


def _let_go(site: Site, nodes: Sequence[Node], held: set[Site]) -> None:
    """Release values that are no longer in use, and whole traces where only the last state is."""
    if site.aliases >= 0 or site.viewed:
        return
    keep: dict[Values, set[int]] = {
        values: set()
        for values in {node.values for node in nodes}
        if values is not None and values.one is None
    }
    for node in nodes if site in held else ():
        values = node.values
        if node.alive and values in keep:
            ends = values.last if node.place == values.count - 1 else ()
            alive = (i for i in range(len(site.metas)) if node.alive >> i & 1)
            keep[values].update(i for i in alive if i not in ends)
    for values, outs in keep.items():
        values.release(outs)
        if site not in held:
            values.last = {}


# How -------------------------------------------------------------------------------------------


def _run(recorder: Any, site: Site, nodes: list[Node]) -> None:
    """Run a site that no cycle goes through."""
    kind = site.kind
    if kind == "neuron":
        begin = 0
        for end in range(1, len(nodes) + 1):
            if end == len(nodes) or nodes[end].previous is not nodes[end - 1]:
                _scan(recorder, site, nodes[begin:end])
                begin = end
            elif end == len(nodes) - 1 and not recorder.ends:
                # A hook may be put on the newest step, which shows more of a step taken alone.
                _scan(recorder, site, nodes[begin:end])
                begin = end
        return
    if kind in ("stack", "write", "sum"):
        for node in nodes:
            _single(recorder, node)
        recorder.tell(site, "once", len(nodes))
        return
    if len(nodes) == 1:
        _single(recorder, nodes[0])
        recorder.tell(site, "once", 1)
        return
    if kind == "select":
        recorder.runs += 1
        Values(len(nodes), stacks={0: _slices(site, nodes)}).give(nodes)
        recorder.tell(site, "fold", len(nodes))
        return
    reason = None
    if kind in ("call", "random"):
        inputs = [collect([node.inputs[j] for node in nodes]) for j in range(len(nodes[0].inputs))]
        if kind == "call" and all(alike for alike, _ in inputs):
            recorder.runs += 1
            values = Values(1, one=compute(nodes[0]))
            for node in nodes:
                node.values = values
            recorder.tell(site, "hoist", len(nodes))
            return
        if kind == "random" and inputs[0][0]:
            inputs[0] = False, inputs[0][1].expand(len(nodes), *inputs[0][1].shape)
        outs = fold(Call(site, inputs, len(nodes)))
        if outs is not None:
            recorder.runs += 1
            Values(len(nodes), stacks=dict(enumerate(outs))).give(nodes)
            recorder.tell(site, "fold", len(nodes))
            return
        reason = "not known to be the same over all steps at once"
    elif kind in ("effect", "step"):
        reason = "normalizes each step by its own statistics"
    recorder.runs += len(nodes)
    steps = list(map(compute, nodes))
    apart = {i: [step[i] for step in steps] for i in range(len(site.metas))}
    Values(len(nodes), apart=apart).give(nodes)
    recorder.tell(site, "step", len(nodes), reason)


def _recurrent(recorder: Any, part: Sequence[Site], by_site: dict[Site, list[Node]]) -> bool:
    """Run a cycle as the scan of a recurrent neuron, if it is one that a kernel can run."""
    found = recurrence.problem_of(part, by_site)
    if found is None:
        return False
    stated, nodes, before = found
    for node in before:
        _single(recorder, node)
    if not recurrence.solve(stated, nodes):
        return False
    recorder.runs += len(before)
    for site in part:
        recorder.tell(site, "scan", len(by_site[site]))
    return True


def _cycle(recorder: Any, part: Sequence[Site], by_site: dict[Site, list[Node]]) -> None:
    """Run sites that depend on each other step by step, as they were recorded."""
    for node in sorted((n for site in part for n in by_site[site]), key=lambda n: n.number):
        if node.values is not None:
            continue
        with entered(node.site.context):
            try:
                _single(recorder, node)
            except Exception as error:
                _say_where(recorder, error, node.site)
                raise
    for site in part:
        recorder.tell(site, "cycle", len(by_site[site]), "goes back to itself")


def _single(recorder: Any, node: Node) -> None:
    recorder.runs += 1
    Values.of_node(compute(node)).give([node])


def compute(node: Node) -> tuple[Tensor, ...]:
    """Return the outputs of one node."""
    site = node.site
    kind = site.kind
    if kind == "write":
        return (_written(node),)
    if kind == "sum":
        return (_summed(node),)
    if kind == "stack":
        return (_stacked(node),)
    values = [source.value(index) for source, index in node.inputs]
    if kind == "neuron":
        neuron = site.func
        spk, new = neuron._snn_step(values[0], tuple(values[1:]))
        return (spk, *new[neuron._snn_model.recurrent :])
    if kind == "select":
        return (values[0].select(site.extra, node.aux),)
    outs = run_once(site, values)
    for out, meta in zip(outs, site.metas, strict=True):
        if out.shape != meta[0] or out.dtype != meta[2]:
            raise RuntimeError(
                f"{site.name} returned {out.dtype} {tuple(out.shape)} where {meta[2]} "
                f"{tuple(meta[0])} was expected: its result depends on values. Run the network "
                "without snn.compile, and report the function"
            )
    return outs


def _scan(recorder: Any, site: Site, nodes: Sequence[Node]) -> None:
    """Run a neuron over successive steps on a backend."""
    if len(nodes) == 1:
        _single(recorder, nodes[0])
        recorder.tell(site, "once", 1)
        return
    neuron, first = site.func, nodes[0]
    static, x = collect([node.inputs[0] for node in nodes])
    states = tuple(source.value(index) for source, index in first.inputs[1:])
    count = len(nodes)
    posed = neuron._snn_problem(x, count, static, states)
    posed = posed._replace(only_spikes=recurrence.only_spikes(nodes))
    name, reason = backends.choose(posed, recorder.backend)
    solution = backends.BACKENDS[name].solve(posed)
    recorder.runs += 1
    Values.of_scan(count, solution, neuron._snn_model.recurrent).give(nodes)
    recorder.tell(site, "scan", count, reason, name)


def _slices(site: Site, nodes: Sequence[Node]) -> Tensor:
    """Return ``x[..., t, ...]`` for the indices of all nodes."""
    alike, x = collect([node.inputs[0] for node in nodes])
    dim, places = site.extra, [node.aux for node in nodes]
    if alike:
        begin, count = places[0], len(places)
        if places == list(range(begin, begin + count)):
            x = x if count == x.shape[dim] else x.narrow(dim, begin, count)
        else:
            x = x.index_select(dim, torch.tensor(places, device=x.device))
        return x.movedim(dim, 0)
    if len(set(places)) == 1:
        return x.select(dim + 1, places[0])
    return torch.stack([each.select(dim, t) for each, t in zip(x.unbind(), places, strict=True)])


def _stacked(node: Node) -> Tensor:
    first, index = node.inputs[0]
    alike, x = collect(node.inputs)
    dim, values = node.site.extra, first.values
    assert values is not None
    if alike:
        x = x.expand(len(node.inputs), *x.shape)
    elif (
        # A trace is given away once, if nothing else can be changed with it.
        not dim
        and values.stacks.get(index) is x
        and x.is_contiguous()
        and index not in values.given
        and index not in values.apart
        and first._root is None
        and not any(_is_seen(other, index) or other.viewed for other, _ in node.inputs)
    ):
        values.given.add(index)
        return x
    return x.movedim(0, dim).clone(memory_format=torch.contiguous_format)


def _is_seen(node: Node, index: int) -> bool:
    """Tell whether an output is in use, other than a last state, which is a separate tensor."""
    values = node.values
    assert values is not None
    last = node.place == values.count - 1 and index in values.last
    return bool(node.alive >> index & 1) and not last


def _written(node: Node) -> Tensor:
    """Return a tensor that was written step by step."""
    dim, writes, at = node.site.extra, [], node
    index = 0
    while at.site.kind == "write" and at.site.extra == dim and at.values is None:
        writes.append((at.aux, at.inputs[0]))
        at, index = at.previous
    writes.reverse()
    size = node.site.metas[0][0][dim]
    if [step for step, _ in writes] == list(range(size)):
        alike, x = collect([source for _, source in writes])
        x = x.expand(size, *x.shape) if alike else x
        return x.movedim(0, dim).clone(memory_format=torch.contiguous_format)
    out = at.value(index).clone()
    for step, (source, i) in writes:
        out[(slice(None),) * dim + (step,)] = source.value(i)
    return out


def _summed(node: Node) -> Tensor:
    """Return a sum over steps, the terms of each site at once."""
    start: Site = node.site.func
    *terms, left, right = node.inputs
    total = start.call([source.value(index) for source, index in (left, right)])[0]
    groups: dict[tuple[Site, int], list[tuple[Node, int]]] = {}
    order: list[tuple[int, int]] = []
    for source, index in terms:
        group = groups.setdefault((source.site, index), [])
        order.append((list(groups).index((source.site, index)), len(group)))
        group.append((source, index))
    parts = []
    for references in groups.values():
        alike, x = collect(references)
        parts.append(x.expand(len(references), *x.shape) if alike else x)
    return _Sum.apply(order, total, *parts)


class _Sum(torch.autograd.Function):
    """A sum over time whose terms are added one by one, as in the user's loop."""

    @staticmethod
    def forward(
        ctx: Any, order: Sequence[tuple[int, int]], total: Tensor, *parts: Tensor
    ) -> Tensor:
        ctx.shapes = [part.shape for part in parts]
        steps = [part.unbind() for part in parts]
        out = total.clone()
        for part, step in order:
            out += steps[part][step]
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        return None, grad, *(grad.expand(shape) for shape in ctx.shapes)


def _in_pieces(recorder: Any, chain: Sequence[Site], by_site: dict[Site, list[Node]]) -> None:
    """Run a chain of folded sites over some steps at a time."""
    nodes = by_site[chain[0]]
    _, x = collect([node.inputs[0] for node in nodes])
    constants = [
        [(True, source.value(i)) for source, i in by_site[site][0].inputs[1:]] for site in chain
    ]

    def through(part: Tensor) -> Tensor:
        for site, rest in zip(chain, constants, strict=True):
            outs = fold(Call(site, [(False, part), *rest], len(part)))
            if outs is None:
                raise _NotFolded
            part = outs[0]
        return part

    count = min(len(nodes), -(-_most(chain, nodes) * len(nodes) // PIECE))
    try:
        out = in_pieces(through, x, count)
    except _NotFolded:
        for site in chain:
            _run(recorder, site, by_site[site])
        return
    recorder.runs += len(chain)
    Values(len(nodes), stacks={0: out}).give(by_site[chain[-1]])
    for site in chain:
        recorder.tell(site, "fold", len(nodes))


class _NotFolded(Exception):
    """A site of a chain cannot run over several steps at once."""

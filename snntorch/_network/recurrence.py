"""Feedback that a user wrote by hand, as the recurrent scan of a neuron."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from torch import Tensor, nn

from .._engine import backends
from .._engine.problem import Problem, States
from .._neurons.neurons import SpikingNeuron
from ..dynamics import with_feedback
from .functions import ADDITIONS
from .lazy import Node, Site, Values, collect


def _layer(site: Site, constants: Sequence[Tensor]) -> tuple[nn.Module, States] | None:
    """Return the layer that a product stands for, and its weights; None if there is none."""
    if site.name == "linear":
        return nn.Linear(1, 1, device="meta"), tuple(constants)
    if site.name in ("matmul", "__matmul__") and constants[0].dim() == 2:
        return nn.Linear(1, 1, device="meta"), (constants[0].t(),)
    if site.name == "conv2d":
        named = dict(zip(("stride", "padding", "dilation", "groups"), site.args[3:], strict=False))
        options: Any = {**named, **site.kwargs, "bias": len(constants) > 1}
        out, into, height, width = constants[0].shape
        into *= options.get("groups", 1)
        return nn.Conv2d(into, out, (height, width), device="meta", **options), tuple(constants)
    return None


def _first(node: Node, site: Site) -> int:
    """Return which input of a node comes from a site, or -1."""
    return next((j for j, (source, _) in enumerate(node.inputs) if source.site is site), -1)


def problem_of(
    part: Sequence[Site], by_site: dict[Site, list[Node]]
) -> tuple[Problem, list[Node], list[Node]] | None:
    """State the steps of a cycle as one recurrent neuron, ``neuron(x + layer(spikes), ...)``.

    :returns: the problem, without its initial states; the nodes of the neuron; and the nodes that
        come before the second step. None if the cycle is another one
    """
    by_kind: dict[str, Site] = {}
    for site in part:
        is_sum = site.kind == "call" and site.name in ADDITIONS
        by_kind["sum" if is_sum else "neuron" if site.kind == "neuron" else "product"] = site
    if len(part) != 3 or len(by_kind) != 3:
        return None
    fires, adds, product = by_kind["neuron"], by_kind["sum"], by_kind["product"]
    neuron, nodes = fires.func, by_site[fires]
    if (
        product.kind != "call"
        or len(nodes) < 3
        or neuron._snn_model.recurrent
        or neuron._snn_projection is not None
        or type(neuron)._snn_dynamics is not SpikingNeuron._snn_dynamics
        or any(each.context != fires.context for each in part)
        or any(adds in s.edges or product in s.edges for s in by_site if s not in part)
        or any(node.alive for site in (adds, product) for node in by_site[site])
    ):
        return None
    inputs, used = [], 0
    for earlier, node in pairwise(nodes):
        total = node.inputs[0][0]
        j = _first(total, product) if total.site is adds else -1
        if node.previous is not earlier or j < 0 or len(total.inputs) != 2:
            return None
        fed, constants = total.inputs[j][0], by_site[product][-1].inputs[1:]
        if fed.inputs[0] != (earlier, 0) or fed.inputs[1:] != constants:
            return None
        inputs.append(total.inputs[1 - j])
        used += 3
    before = [n for site in part for n in by_site[site] if n.number <= nodes[0].number]
    if used + len(before) != sum(len(by_site[site]) for site in part):
        return None
    if any(source.site in part for source, _ in inputs):
        return None
    found = _layer(product, [source.value(i) for source, i in by_site[product][-1].inputs[1:]])
    if found is None or product.metas[0][0] != fires.metas[0][0]:
        return None
    layer, weights = found
    static, x = collect(inputs)
    stated = neuron._snn_problem(x, len(inputs), static, ())._replace(
        dynamics=neuron._snn_composed(with_feedback(neuron._snn_model, True)),
        recurrent=layer,
        weights=weights,
        only_spikes=only_spikes(nodes[1:]),
    )
    return stated, nodes, sorted(before, key=lambda node: node.number)


def only_spikes(nodes: Sequence[Node]) -> bool:
    """Tell whether of successive steps of a neuron only spikes and the last states are needed."""
    needs = 0
    for node in nodes[:-1]:
        needs |= node.need
    return not needs & ((1 << len(nodes[0].site.metas)) - 2)


def solve(stated: Problem, nodes: Sequence[Node]) -> bool:
    """Solve a recurrent problem from what the first node returned, if a kernel can."""
    first = nodes[0]
    initial = tuple(first.value(i) for i in range(len(first.site.metas)))
    stated = stated._replace(states=initial)
    chosen = backends.explicit() or backends.choose(stated)[0]
    if chosen == "reference" or backends.BACKENDS[chosen].refuses(stated) is not None:
        return False
    solution = backends.BACKENDS[chosen].solve(stated)
    Values.of_scan(stated.num_steps, solution, recurrent=True).give(nodes[1:])
    return True

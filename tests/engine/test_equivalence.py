"""``unroll`` of a neuron is the loop over time, whatever its rules, slopes, parameters, layouts.

``make test`` runs a set of cases in which every pair of choices occurs, ``make test-all`` every
combination of all but surrogates and types, which take turns. Triton runs in its interpreter, which
is slow: there layouts take turns too. The blocks of torch.compile run uncompiled.
"""

from collections import OrderedDict
from functools import cache
from itertools import product

import pytest
import torch
from allpairspy import AllPairs
from models import MODELS
from releases import TRITON, gradients_of

import snntorch as snn
from snntorch import surrogate, utils
from snntorch._engine import compiled

T, B = 7, 4


class Bump(surrogate.SurrogateFunction):
    """A user's own slope, which no kernel knows."""

    @staticmethod
    def slope(input_, width=0.5):
        return torch.exp(-((input_ / width) ** 2))


CHOICES = OrderedDict(
    model=MODELS,
    rule=[(reset, delay) for reset in ("subtract", "zero", "none") for delay in (True, False)],
    parameters=["numbers", "vectors", "learnt numbers", "learnt vectors"],
    layout=["dense", "batch first", "strided", "still"],
    static=[False, True],
    backend=["numba", "triton", "torch.compile", "reference"],
    dtype=[torch.float32, torch.float64],
    slope=[
        surrogate.atan(),
        surrogate.fast_sigmoid(10),
        surrogate.sigmoid(5),
        surrogate.straight_through_estimator(),
        surrogate.triangular(),
        surrogate.heaviside(),
        surrogate.spike_rate_escape(),
        surrogate.SFS(),
        surrogate.LSO(),
        Bump(0.4),
        None,  # disabled
    ],
)


def possible(row):
    """Leave out a reset in the same step where a model does not know it."""
    chosen = dict(zip(CHOICES, row, strict=False))
    rule = chosen.get("rule")
    if rule and not chosen["model"].mechanism:
        return rule == ("none", True)
    return not (rule and rule[1] is False and not chosen["model"].delay)


def name(row):
    model, (reset, delay), parameters, layout, static, backend, dtype, slope = row
    kind = getattr(getattr(slope, "function", None), "__name__", "Disabled")
    words = (model.id, reset, "late" if delay else "now", parameters, layout)
    return "-".join((*words, "static" if static else "timed", backend, str(dtype)[6:], kind))


def in_turn(row):
    _, rule, parameters, layout, static, backend = row
    turns = (CHOICES["rule"].index(rule), CHOICES["parameters"].index(parameters), static)
    return backend != "triton" or layout == CHOICES["layout"][sum(turns) % 4]


def every():
    *most, dtypes, slopes = CHOICES.values()
    rows = filter(in_turn, filter(possible, product(*most)))
    for i, row in enumerate(rows):
        yield (*row, dtypes[i % len(dtypes)], slopes[i // len(dtypes) % len(slopes)])


PAIRS = [tuple(row) for row in AllPairs(CHOICES.values(), filter_func=possible)]
REST = sorted(set(map(name, every())) - set(map(name, PAIRS)))
BY_NAME = {name(row): row for row in every()}


def build(model, rule, parameters, dtype, slope):
    reset, delay = rule
    options = {} if delay else {"reset_delay": False}
    options |= {"spike_grad": slope} if slope else {"surrogate_disable": True}
    if "learnt" in parameters:
        options |= {f"learn_{p}": True for p in (*model.vectors, "threshold") if p != "V"}
    if "vectors" in parameters and len(model.hidden) == 1:
        spread = torch.linspace(0.9, 1.05, *model.hidden)
        options |= {p: getattr(model.make(), p).detach() * spread for p in model.vectors}
    return model.make(reset_mechanism=reset, **options).to(dtype)


def lay_out(x, layout):
    """Return the same values, or for "still" those of the first step, in another layout."""
    if layout == "batch first":
        return x.transpose(0, 1).contiguous().transpose(0, 1)
    if layout == "strided":
        return torch.stack((x, x), -1)[..., 0]
    return x[:1].expand_as(x) if layout == "still" else x


def run(way, neuron, x, weights=None):
    """Return outputs and final states, and the gradients of their weighted sum."""
    leaf = x.detach().requires_grad_()
    outs = way(neuron, leaf)
    states = [neuron._snn_newest(state) for state in neuron.states]
    weights = weights or [torch.randn_like(out) for out in (*outs, *states)]
    loss = sum((w * out).sum() for w, out in zip(weights, (*outs, *states), strict=True))
    leaves = [leaf, *neuron.parameters()]
    grads = gradients_of(loss, leaves)
    return [*outs, *states], grads, weights


blocks = cache(compiled.Block)


@pytest.fixture(autouse=True)
def interpreted(monkeypatch):
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    monkeypatch.setattr(torch, "compile", lambda function, **options: function)
    monkeypatch.setattr(compiled, "_unavailable", lambda device: None)
    monkeypatch.setattr(compiled, "_block", blocks)
    monkeypatch.setattr(compiled, "BLOCK", 3)


def check(row):
    model, rule, parameters, layout, static, backend, dtype, slope = row
    if backend == "triton" and not TRITON:
        pytest.skip("needs Triton 3.1")
    if backend == "torch.compile" and not hasattr(torch, "compiler"):
        pytest.skip("needs PyTorch 2.1")
    neuron = build(model, rule, parameters, dtype, slope)
    x = lay_out(model.input(*([] if static else [T]), B, dtype=dtype), layout)

    def loop(neuron, x):
        utils.reset(neuron)
        steps = [neuron(x_t) for x_t in ([x] * T if static else x)]
        return [torch.stack(out) for out in zip(*steps, strict=True)]

    def unroll(neuron, x):
        return snn.unroll(neuron, x, T if static else None, backend=backend)

    want, truth, weights = run(loop, neuron, x)
    outs, grads, _ = run(unroll, neuron, x, weights)
    assert want[0].count_nonzero() > 0
    if backend == "triton" and model.rounded:
        # In units in the last place of the largest value: exponentials differ by one or two, and
        # the gates of an LSTM, of which the products for all steps are one, by three.
        units = 3 if "lstm" in model.id else 2
        for out, true in zip(outs, want, strict=True):
            assert (out - true).abs().max() <= units * torch.finfo(dtype).eps * true.abs().max()
    elif model.rounded:
        torch.testing.assert_close(outs, want)
    else:
        assert all(map(torch.equal, outs, want))
    tolerance = 1e-10 if dtype == torch.float64 else 1e-5 if backend == "triton" else 1e-4
    # A gradient summed over all neurons may cancel.
    least = 5e-6 if backend == "torch.compile" and dtype == torch.float32 else 0
    for ours, true in zip(grads, truth, strict=True):
        assert (ours - true).norm() <= tolerance * true.norm() + least


@pytest.mark.parametrize("row", PAIRS, ids=name)
def test_every_pair_of_choices(row):
    check(row)


@pytest.mark.slow
@pytest.mark.parametrize("case", REST)
def test_every_combination(case):
    check(BY_NAME[case])

"""Random networks do compiled what they do plainly; ``fuzz`` says how to look into a failure."""

from functools import partial

import fuzz
import pytest
import torch
from releases import needs_2_4
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from snntorch import utils

pytestmark = needs_2_4


def check(seeds, ways=None):
    failed = dict(fuzz.failures(seeds, ways))
    for seed, lines in failed.items():
        print(f"seed {seed}", fuzz.generate(seed).text, *lines, sep="\n")
    assert not failed, f"python tests/network/fuzz.py --reduce {min(failed)}"


@pytest.mark.parametrize("first", range(0, 200, 20))
def test_some_programs(first):
    check(range(first, first + 20))


@pytest.mark.slow
@pytest.mark.parametrize("first", range(200, 5200, 100))
def test_many_programs(first):
    check(range(first, first + 100))


# The fuzzer itself ------------------------------------------------------------------------------


def test_a_program_repeats_itself():
    """Seeds give the same text again, and plain programs the same results."""
    assert fuzz.generate(7).text == fuzz.generate(7).text
    check(range(40), fuzz.PLAIN)


def on_tensors(change, tree):
    return tree_map(lambda leaf: change(leaf) if isinstance(leaf, Tensor) else leaf, tree)


def on_floats(change, tree):
    return on_tensors(lambda leaf: change(leaf) if leaf.is_floating_point() else leaf, tree)


class HalfGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, grad):
        return grad / 2


def loses_graph(run, net, x):
    return on_tensors(Tensor.detach, run(x))


def halves_gradient(run, net, x):
    return on_floats(HalfGradient.apply, run(x))


def drops_gradient(run, net, x):
    """The first parameter is taken as a constant."""
    first = next((each for each in net.parameters() if each.requires_grad), None)
    if first is None:
        return run(x)
    hook = first.register_hook(torch.zeros_like)
    out = run(x)
    first.fuzzed = hook
    return out


def reorders_random_numbers(run, net, x):
    torch.rand(1)
    return run(x)


def leaves_random_state(run, net, x):
    with torch.random.fork_rng(devices=[]):
        return run(x)


def changes_one_value(run, net, x):
    def change(value):
        value = value.clone()
        if value.numel():
            value.view(-1)[-1] += 1e-6
        return value

    return on_floats(change, run(x))


def copies_outputs(run, net, x):
    """Those that are the same tensor, or a state, are so no more."""
    return on_tensors(Tensor.clone, run(x))


def shares_outputs(run, net, x):
    """Outputs of equal values share their memory."""
    seen = []

    def change(value):
        for other in seen:
            if other.shape == value.shape and torch.equal(other, value):
                return other
        seen.append(value)
        return value

    return on_tensors(change, run(x))


def forgets_states(run, net, x):
    out = run(x)
    utils.reset(net)
    return out


def forgets_buffers(run, net, x):
    before = {name: value.clone() for name, value in net.named_buffers()}
    out = run(x)
    with torch.no_grad():
        for name, value in net.named_buffers():
            value.copy_(before[name])
    return out


def swallows_exceptions(run, net, x):
    try:
        return run(x)
    except Exception:
        return None


def raises_another(run, net, x):
    try:
        return run(x)
    except Exception as error:
        raise KeyError("another") from error


def returns_lists(run, net, x):
    out = run(x)
    return list(out) if type(out) is tuple else out


def returns_subclass(run, net, x):
    return on_tensors(lambda leaf: leaf.as_subclass(nn.Buffer), run(x))


def changes_input(run, net, x):
    out = run(x)
    x.data[0] = 0
    return out


FAULTS = [
    loses_graph,
    halves_gradient,
    drops_gradient,
    reorders_random_numbers,
    leaves_random_state,
    changes_one_value,
    copies_outputs,
    shares_outputs,
    forgets_states,
    forgets_buffers,
    swallows_exceptions,
    raises_another,
    returns_lists,
    returns_subclass,
    changes_input,
]


def faulty(fault):
    """Ways to run a program with a fault instead of a compiler."""

    def way(plain):
        return lambda forward, net: partial(fault, plain(forward, net), net)

    return {name: way(plain) for name, plain in fuzz.PLAIN.items()}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found(fault):
    assert next(fuzz.failures(range(200), faulty(fault)), None) is not None


def test_a_failure_is_reduced():
    ways = faulty(forgets_states)
    seed, lines = next(fuzz.failures(range(200), ways))
    text = fuzz.generate(seed).text
    smaller = fuzz.reduce(text, ways)
    assert fuzz.kind(fuzz.differences(smaller, ways)) == fuzz.kind(lines)
    assert len(smaller.splitlines()) < len(text.splitlines()) / 2

"""Networks as their users write them (``benchmarks/patterns.py``): compiled as plain."""

import copy

import pytest
import torch
from project import ROOT, load_script
from releases import needs_2_4, tree_leaves
from torch.utils._pytree import tree_map
from twins import EXACT, assert_same, close, linears, result

import snntorch as snn

pytestmark = needs_2_4

patterns = load_script(ROOT / "benchmarks" / "patterns.py")
SHARED = ROOT.parent / "shared" / "patterns"
WIDTH, TIME, BATCH = 32, 6, 4
CALLS = 3  # a network that does not profit runs plainly by the last of them


def ours(name, **options):
    net = patterns.PATTERNS[name](WIDTH, TIME, **options)
    return net, net.inputs(BATCH)


def theirs(path):
    return load_script(path).example()


def cast(args, dtype):
    return tree_map(lambda arg: arg.to(dtype) if torch.is_tensor(arg) else arg, args)


EXAMPLES = [pytest.param(ours, name, id=name) for name in patterns.PATTERNS]
EXAMPLES += [pytest.param(theirs, path, id=path.stem) for path in sorted(SHARED.glob("*.py"))]


@pytest.mark.parametrize("gradients", [True, False], ids=["gradients", "none"])
@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("dtype", EXACT, ids=["float64", "float32"])
@pytest.mark.parametrize("example, name", EXAMPLES)
def test_compiled_as_plain(example, name, dtype, training, gradients):
    net, args = example(name)
    net, args = net.to(dtype).train(training), cast(args, dtype)
    want = assert_same(net, *args, run=patterns.run, calls=CALLS, gradients=gradients)
    assert any(value.any() for value in (*want["values"], *want["states"].values()))
    if gradients:
        assert all(grad is not None for grad in want["gradients"].values())
        assert sum(bool(grad.any()) for grad in want["gradients"].values()) > 1


@pytest.mark.parametrize("example, name", EXAMPLES)
def test_on_the_reference(example, name):
    net, args = example(name)
    net, args = net.double(), cast(args, torch.float64)
    assert_same(net, *args, run=patterns.run, options={"backend": "reference"})


@pytest.mark.parametrize("example, name", EXAMPLES)
def test_compiled_trains_as_plain(example, name):
    """Three steps of training: each sees the weights of the one before."""
    net, args = example(name)
    net, args = net.double(), cast(args, torch.float64)
    trained = []
    for twin in (net, snn.compile(copy.deepcopy(net))):
        torch.manual_seed(1)
        optimizer = torch.optim.SGD(twin.parameters(), lr=0.1)
        for _ in range(3):
            optimizer.zero_grad()
            out = patterns.run(twin, *args)
            sum(leaf.square().mean() for leaf in tree_leaves(out)).backward()
            optimizer.step()
        trained.append(twin.state_dict())
    assert trained[0].keys() == trained[1].keys()
    torch.testing.assert_close(trained[1], trained[0], rtol=1e-10, atol=1e-10)


def test_dropout_draws_the_masks_of_the_plain_loop():
    net, args = ours("accumulator", dropout=0.2)
    assert_same(net.double(), *cast(args, torch.float64), calls=CALLS)


def test_dropout_in_an_order_of_its_own():
    """Without exact random numbers: other masks, of the same law, and nothing else changes."""
    net, args = ours("accumulator", dropout=0.2)
    net, args = net.double(), cast(args, torch.float64)
    compiled = snn.compile(copy.deepcopy(net), exact_random=False)
    close(result(compiled.eval(), *args), result(net.eval(), *args), EXACT[torch.float64])
    net.train(), compiled.train()
    drawn = []
    for twin in (net, compiled):
        torch.manual_seed(2)
        drawn.append(torch.stack([twin(*args) for _ in range(300)]))
        assert twin.bn1.num_batches_tracked == net.bn1.num_batches_tracked
    plain, got = (each.detach().flatten(1) for each in drawn)
    error = (plain.var(0) / len(plain) + got.var(0) / len(got)).sqrt()
    assert ((plain.mean(0) - got.mean(0)).abs() < 5 * error).all()
    torch.testing.assert_close(got.std(0), plain.std(0), rtol=0.35, atol=0)


# Of one call: layers that run once, instead of once for each step.
ONCE = {"static": 2, "quickstart": 1, "traces": 3, "records": 3, "images": 1, "hidden": 1}
ONCE |= {"lists": 3, "regression": 3, "blocks": 1, "streams": 5}


@pytest.mark.parametrize("name", ONCE)
def test_layers_run_once(name):
    net, args = ours(name)
    with torch.no_grad():
        assert linears(patterns.run, snn.compile(net), *args) == ONCE[name]


@pytest.mark.parametrize("exact", [True, False])
def test_layers_around_dropout_run_once(exact):
    net, args = ours("accumulator", dropout=0.2)
    with torch.no_grad():
        assert linears(patterns.run, snn.compile(net, exact_random=exact), *args) == 3

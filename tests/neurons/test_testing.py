"""``testing.check_neuron``: right neurons pass, and what is wrong with others is named."""

import random
import textwrap
from dataclasses import replace

import pytest
import torch
from models import every_option
from project import ROOT, python_blocks
from torch import nn

import snntorch as snn
from snntorch import surrogate
from snntorch._engine import cpu
from snntorch.testing import CHECKS, check_neuron

COMPILES = hasattr(torch, "compiler")  # which is newer


@pytest.mark.costly
def test_every_row_of_the_table(model):
    backends = ["numba", "reference"]
    report = check_neuron(model.make, model.shape, x=model.input(16, 3), backends=backends)
    assert report.passed == tuple(name for name in CHECKS if name != "compile")
    assert not report.refused


@pytest.mark.slow
@pytest.mark.skipif(not COMPILES, reason="torch.compile is too old to be asked")
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # compiling
def test_every_row_of_the_table_compiled(model):
    torch.compiler.reset()  # it keeps few variants of a function, and the rows have one each
    others = [name for name in CHECKS if name != "compile"]
    report = check_neuron(model.make, model.shape, x=model.input(16, 3), skip=others, compile=True)
    assert "compile" in report.passed


# Neurons of users' own ------------------------------------------------------------------------


def test_the_neuron_of_the_documentation():
    _, code = snn.Neuron.__doc__.split("::\n\n", 1)
    code = textwrap.dedent(code[: code.index("It is called")])
    assert sum(map(bool, code.splitlines())) <= 15
    names = {"snn": snn}
    exec(code, names)
    report = check_neuron(lambda **o: names["AdaptiveLIF"](0.9, 0.8, 0.5, **o))
    assert not report.refused and {"backends", "derivatives"} <= {*report.passed}


class Mine(snn.Neuron):
    """Nothing is wrong with it, and the others differ from it in one thing."""

    states = ("mem", "slow")

    def __init__(self, beta=0.8, **options):
        super().__init__(**options)
        self.parameter("beta", beta, learn=True)
        self.parameter("gain", torch.linspace(0.1, 0.3, 5))

    @staticmethod
    def step(x, mem, slow, beta, gain, threshold, spike, fired):
        mem = beta * mem + x - fired(mem - threshold) * threshold
        slow = 0.9 * slow + gain * mem / (1 + mem.abs())
        return spike(mem - threshold - slow), mem, slow


@every_option
def test_a_right_one_passes(options):
    assert not check_neuron(lambda **o: Mine(**options(), **o), backends=["numba"]).refused


@pytest.mark.parametrize(
    "make, reason",
    [
        (lambda **o: Mine(inhibition=True, **o), "inhibition"),
        (lambda **o: Mine(spike_grad=surrogate.SSO(), **o), "no slope"),
        (lambda **o: Firing(0.9, **o), "overrides fire"),
        (lambda **o: Resting(0.9, **o), "overrides _base_state_function"),
        (lambda **o: Unknown(**o), "kernels do not have i0"),
    ],
    ids=["inhibition", "random", "fire", "update", "operation"],
)
def test_what_no_kernel_runs_is_reported(make, reason):
    report = check_neuron(make)
    assert reason in report.refused["numba"] and "backends" in report.passed
    assert reason in str(report)
    with pytest.raises(AssertionError, match=f"'backends': backend 'numba' cannot.*{reason}"):
        check_neuron(make, backends=["numba"], skip=CHECKS.keys() - {"backends"})


class Firing(snn.Leaky):
    def fire(self, mem):
        return self.spike_grad(mem - 1.5 * self.threshold)


class Resting(snn.Leaky):
    def _base_state_function(self, input_):
        return 0.8 * self.mem + input_


class Unknown(Mine):
    @staticmethod
    def step(x, mem, slow, beta, gain, threshold, spike):
        mem = beta * mem + gain * torch.special.i0(x)
        return spike(mem - threshold), mem, slow


@pytest.mark.slow
def test_neurons_of_other_kinds():
    """One whose states are a pair, and one that is made from equations."""
    assert not check_neuron(lambda **o: snn.DeltaLeaky(0.3, beta=0.9, **o)).refused
    made = snn.neuron_from_equations("Made", ["mem"], lambda s, x: {"mem": 0.9 * s["mem"] + x})
    assert not check_neuron(made, backends=["numba"]).refused


@pytest.mark.slow
def test_examples_of_the_page_on_own_neurons():
    path = ROOT / "docs" / "how-to" / "own_neurons.rst"
    names, page = {}, path.read_text()
    for block in python_blocks(path):
        exec(block, names)
    for name in ("test_adapting", "test_izhikevich"):
        names[name]()
    # What the page prints, and the message that it cites.
    assert 0 < snn.unroll(names["Izhikevich"](), names["currents"])[0].mean() < 0.1
    table = str(snn.explain(names["Izhikevich"](), names["currents"]))
    assert textwrap.indent(table, "    ") in page
    with pytest.raises(AssertionError) as error:
        check_neuron(mine("Adapting", **step(in_place)))
    assert str(error.value) in " ".join(page.split())
    # What was exported is read back.
    x = 3 * torch.randn(9, 2, 4)
    want = snn.unroll(names["net"], x)
    assert want.any() and torch.equal(snn.unroll(names["same"], x), want)


# Wrong ones -----------------------------------------------------------------------------------


def mine(name, **body):
    return type(name, (Mine,), body)


def step(function):
    return {"step": staticmethod(function)}


def in_place(x, mem, slow, beta, gain, threshold, spike):
    mem = mem.mul_(beta).add_(x)
    return spike(mem - threshold), mem, slow + 0


def input_in_place(x, mem, slow, beta, gain, threshold, spike):
    x.mul_(2)
    mem = beta * mem + x
    return spike(mem - threshold), mem, slow


def over_the_batch(x, mem, slow, beta, gain, threshold, spike):
    mem = beta * mem + x - x.mean(0)
    return spike(mem - threshold), mem, slow


def over_neurons(x, mem, slow, beta, gain, threshold, spike):
    mem = beta * mem + x - 0.1 * x.sum(-1, keepdim=True)
    return spike(mem - threshold), mem, slow


def float32(x, mem, slow, beta, gain, threshold, spike):
    mem = (beta * mem + x).float()
    return spike(mem - threshold), mem, slow


def on_the_cpu(x, mem, slow, beta, gain, threshold, spike):
    mem = beta * mem + x * torch.ones(5, dtype=x.dtype)
    return spike(mem - threshold), mem, slow


def detached(x, mem, slow, beta, gain, threshold, spike):
    mem = beta * mem.detach() + x
    return spike(mem - threshold), mem, slow


def detached_parameter(x, mem, slow, beta, gain, threshold, spike):
    mem = beta * mem + gain.detach() * x
    return spike(2 * mem - threshold), mem, slow


def unused(x, mem, slow, beta, gain, threshold, spike):
    mem = 0.5 * mem + x
    return spike(mem - threshold), mem, slow


def at_random(x, mem, slow, beta, gain, threshold, spike):
    mem = beta * mem + random.uniform(0.9, 1.1) * x
    return spike(mem - threshold), mem, slow


CALLS = []


def closure(x, mem, slow, beta, gain, threshold, spike):
    CALLS.append(1)
    mem = beta * mem + x * (1 + 0.01 * len(CALLS))
    return spike(mem - threshold), mem, slow


def silent(x, mem, slow, beta, gain, threshold, spike):
    return spike(x - 100 * threshold), beta * mem, slow


def swapped(x, mem, slow, beta, gain, threshold, spike, fired):
    spk, mem, slow = ALIF(x, mem, slow, beta, gain, threshold, spike, fired)
    return spk, slow, mem


def ALIF(x, mem, slow, beta, gain, threshold, spike, fired):
    reset = fired(mem - threshold - gain * slow)
    slow, mem = 0.9 * slow + reset, beta * mem + x - reset
    return spike(mem - threshold - gain * slow), mem, slow


def compared(x, mem, slow, beta, gain, threshold):
    mem = beta * mem + x
    return (mem > threshold).to(mem), mem, slow


def doubled(x, mem, slow, beta, gain, threshold, spike):
    mem = beta * mem + x
    return 0.5 * spike(mem - threshold) + 0.25, mem, slow


class Exchanged(Mine):
    def forward(self, x, *states):
        spk, mem, slow = super().forward(x, *states)
        return spk, slow, mem


class Keeping(snn.Leaky):
    """Its adaptation is not one of its states."""

    adaptation = 0

    def forward(self, x, mem=None):
        spk, mem = super().forward(x - self.adaptation, mem)
        self.adaptation = 0.5 * self.adaptation + spk.detach()
        return spk, mem


class NeverReset(Mine):
    def reset_hidden(self):
        pass


class NeverDetached(Mine):
    def detach_hidden(self):
        pass


class Forgetful(snn.Leaky):
    def forward(self, x, mem=None):
        return super().forward(x, self.threshold if mem is None else mem)


class Closed(Mine):
    def __init__(self):
        super().__init__()


class Unregistered(Mine):
    """What it draws is not in the state_dict."""

    def __init__(self, **options):
        super().__init__(**options)
        self.scale = random.random()

    def forward(self, x, *states):
        return super().forward(self.scale * x, *states)


class Cube(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return 2 * x**2 * grad


def wrong_backward(x, mem, slow, beta, gain, threshold, spike):
    mem = beta * mem + Cube.apply(x)
    return spike(mem - threshold), mem, slow


WRONG = [
    (mine("InPlace", **step(in_place)), "arguments", "changes mem in place; make new tensors"),
    (mine("Input", **step(input_in_place)), "arguments", "changes the input in place"),
    (mine("Random", **step(at_random)), "repeat", "differ in a second run.*with torch only"),
    (mine("Closure", **step(closure)), "repeat", "differ in a second run.*keep nothing from call"),
    (lambda **o: Keeping(0.9, **o), "repeat", "keep nothing from call to call but the states"),
    (Exchanged, "order", "attribute mem is not what a call returns as mem; return spikes, mem, sl"),
    (
        mine("Swapped", **step(swapped)),
        "order",
        "new mem depends on slow only, and the new slow on mem only; return spikes, mem, slow",
    ),
    (mine("Silent", **step(silent)), "spikes", "never fires; pass an input x= that makes it fire"),
    (
        mine("Compared", **step(compared)),
        "spikes",
        r"no gradient; return what spike\(...\) returns",
    ),
    (mine("Doubled", **step(doubled)), "spikes", r"spikes are \[0.25, 0.75\]; return what spike"),
    (NeverReset, "reset", "after utils.reset, spikes differ; keep states only in those named"),
    (NeverDetached, "reset", "utils.detach leaves states on the graph"),
    (mine("Float32", **step(float32)), "dtypes", "mem are torch.float32 for torch.float64"),
    (mine("OnCPU", **step(on_the_cpu)), "devices", "run on the device 'meta'.*torch.zeros_like"),
    (
        mine("Detached", **step(detached)),
        "derivatives",
        "with respect to mem is 0 by autograd, and .* by finite differences; detach only what",
    ),
    (mine("Gain", **step(detached_parameter)), "derivatives", "with respect to gain is 0 by autog"),
    (mine("Backward", **step(wrong_backward)), "derivatives", "with respect to the input is"),
    (mine("Unused", **step(unused)), "learned", "gradient of beta is zero; use the parameter in"),
    (mine("Batch", **step(over_the_batch)), "samples", "must not combine the samples of a batch"),
    (
        mine("Neurons", **step(over_neurons)),
        "neurons",
        r"depend on the input of another; let a layer in recurrent= .* skip=\['neurons'\]",
    ),
    (Unregistered, "copies", "differ; make what the step needs by self.parameter"),
    (Closed, "hidden", r"'init_hidden'\); take \*\*options in the constructor"),
    (lambda **o: Forgetful(0.9, **o), "hidden", "a call without states goes on from those of"),
]


@pytest.mark.parametrize(
    "make, check, message", WRONG, ids=lambda value: getattr(value, "__name__", "")
)
def test_what_is_wrong_is_named(make, check, message):
    random.seed(0)
    with pytest.raises(AssertionError, match=rf"(?s)\w+ fails the check '{check}': .*{message}"):
        check_neuron(make)


SPOILED = [
    (lambda state: state * (1 + 1e-6), "mem differ from those of the loop over time by unroll"),
    (
        lambda state: state + 1e-3 * (state - state.detach()),
        "the gradients of the input differ from those of the loop over time by unroll",
    ),
]


@pytest.mark.parametrize("spoil, message", SPOILED, ids=["values", "gradients"])
def test_a_wrong_backend_is_named(monkeypatch, spoil, message):
    right = cpu.solve

    def solve(problem):
        solution = right(problem)
        if solution.traces is None:
            return solution
        mem, *others = solution.traces
        return replace(solution, traces=(spoil(mem), *others))

    monkeypatch.setattr(cpu, "solve", solve)
    with pytest.raises(AssertionError, match=rf"(?s)'backends': {message}.*'numba'.*each neuron"):
        check_neuron(Mine)


# The call -------------------------------------------------------------------------------------


def test_arguments_are_checked():
    for call, error, message in (
        (lambda: check_neuron(lambda **o: nn.ReLU()), TypeError, "returned a ReLU; it must"),
        (lambda: check_neuron(lambda **o: snn.StateLeaky(0.9, 5)), TypeError, "one time step"),
        (lambda: check_neuron(lambda: Mine(init_hidden=True)), ValueError, "init_hidden=True;"),
        (lambda: check_neuron(Mine, skip=["speed"]), ValueError, r"skip=\['speed'\] .* 'order', "),
        (lambda: check_neuron(Mine, skip="order"), ValueError, "skip='order' must be a list"),
        (lambda: check_neuron(Mine, backends=["gpu"]), ValueError, "backends=.*'numba', 'triton'"),
        (lambda: check_neuron(Mine, x=torch.zeros(1, 5)), ValueError, r"\(1, 5\).*2 samples"),
    ):
        with pytest.raises(error, match=message):
            call()


def test_a_check_may_be_skipped():
    report = check_neuron(mine("Silent", **step(silent)), skip=["spikes", "learned", "backends"])
    assert report.remarks["spikes"] == "skipped" and "spikes" not in report.passed
    assert any(line.split()[:3] == ["spikes", "left", "out"] for line in str(report).splitlines())


def test_random_numbers_and_neurons_are_left_as_they_were():
    state, count = torch.get_rng_state(), len(snn.SpikingNeuron.instances)
    check_neuron(Mine, skip=["backends"])
    assert torch.equal(torch.get_rng_state(), state)
    assert len(snn.SpikingNeuron.instances) == count


def test_an_input_and_a_shape():
    x = 0.4 + torch.randn(6, 2, 2, 3, 3, dtype=torch.float64)
    for given in ({"x": x}, {"shape": (2, 3, 3)}):
        assert not check_neuron(lambda **o: snn.Leaky(0.9, **o).double(), **given).refused

"""The form for IPUs, tested without an IPU.

poptorch records the forward pass below autograd and differentiates the record. So does this file,
with ``make_fx`` as the recorder, over every neuron, surrogate and loss. What poptorch itself makes
of a model, the last test would tell; without poptorch it is not run.
"""

import copy
import inspect
import os
import runpy
import subprocess
import sys
import threading
from dataclasses import dataclass
from functools import partial
from typing import Any

import fake_poptorch
import matplotlib
import pytest
import torch
from matplotlib import pyplot as plt
from models import MODELS
from project import ROOT, TESTS
from releases import half
from torch import nn

import snntorch as snn
from snntorch import functional as SF
from snntorch import surrogate

T, B, CLASSES = 3, 2, 4
_B = {"beta": 0.9}

# Operations that poptorch 3.4 has handlers for, by their names in its graphs.
HANDLED = set((TESTS / "data" / "poptorch34_aten_handlers.txt").read_text().split())
# How the recorder names what is there under another name, or computes nothing.
HANDLED |= {"_to_copy", "lift_fresh_copy"}


def cut(input_, gradient, spikes):
    """A surrogate of the user's: a slope of one near the threshold."""
    return gradient * (input_.abs() < 0.5).to(input_.dtype)


SURROGATES = {name: factory() for name, factory in surrogate._FACTORIES.items()}
SURROGATES["SFS"] = surrogate.SFS(B=-0.5)  # by default it is silent up to twice the threshold
SURROGATES["custom_surrogate"] = surrogate.custom_surrogate(cut)

SPIKE_LOSSES = {
    "ce_rate": SF.ce_rate_loss(),
    "ce_count": SF.ce_count_loss(),
    "ce_count-population": SF.ce_count_loss(population_code=True, num_classes=2),
    "mse_count": SF.mse_count_loss(correct_rate=0.8, incorrect_rate=0.2),
    "mse_count-weights": SF.mse_count_loss(weight=torch.arange(1.0, 1 + CLASSES)),
    "ce_temporal": SF.ce_temporal_loss(),
    "ce_temporal-reciprocal": SF.ce_temporal_loss(inverse="reciprocal"),
    "mse_temporal": SF.mse_temporal_loss(tolerance=1),
    "l1_rate": lambda spk, targets: SF.l1_rate_sparsity(0.1)(spk),
}
MEMBRANE_LOSSES = {
    "ce_max_membrane": SF.ce_max_membrane_loss(),
    "mse_membrane": SF.mse_membrane_loss(on_target=1.1),
}


@dataclass(frozen=True)
class Kind:
    """A neuron layer, and how it runs over a sequence."""

    id: str
    cls: str
    kwargs: dict[str, Any]
    shape: tuple[int, ...] = (5,)
    whole: bool = False  # whether it takes the whole sequence in one call

    def make(self):
        """Return the neurons, with all that they can learn learnable."""
        cls = getattr(snn, self.cls)
        accepts = inspect.signature(cls).parameters
        learn = {f"learn_{name}": True for name in ("alpha", "beta", "threshold")}
        return cls(**self.kwargs, **{name: True for name in learn if name in accepts})

    def run(self, neuron, x):
        """Return the spikes over time."""
        if self.whole:
            out = neuron(x)
            return out[0] if isinstance(out, tuple) else out
        out = (None,) * len(neuron.states)
        spikes = []
        for step in x:
            # The states are the last of what a call returns, or the pair of DeltaLeaky.
            given = out[1:] if self.cls == "DeltaLeaky" else out[-len(neuron.states) :]
            out = neuron(step, *given)
            spikes.append(out[0])
        return torch.stack(spikes)


KINDS = [Kind(model.id, model.cls, model.kwargs, model.shape) for model in MODELS] + [
    Kind("leaky-zero-now", "Leaky", {**_B, "reset_mechanism": "zero", "reset_delay": False}),
    Kind("leaky-graded", "Leaky", {**_B, "learn_graded_spikes_factor": True}),
    Kind("leaky-inhibition", "Leaky", {**_B, "inhibition": True}),
    Kind("leaky-quantised", "Leaky", {**_B, "state_quant": SF.state_quant(4)}),
    Kind("delta", "DeltaLeaky", {**_B, "delta_threshold": 0.4}),
    Kind("state", "StateLeaky", {**_B, "channels": 5}, whole=True),
    Kind(
        "state-cut", "StateLeaky", {**_B, "channels": 5, "kernel_truncation_steps": 2}, whole=True
    ),
    Kind("linear", "LinearLeaky", {**_B, "in_features": 5, "out_features": 5}, whole=True),
    Kind("parallel", "LeakyParallel", {**_B, "input_size": 5, "hidden_size": 5}, whole=True),
    Kind(
        "parallel-full",
        "LeakyParallel",
        {**_B, "input_size": 5, "hidden_size": 5, "weight_hh_enable": True},
        whole=True,
    ),
    Kind(
        "associative",
        "AssociativeLeaky",
        {"in_dim": 5, "d_value": 2, "d_key": 2, "num_spiking_neurons": 4},
        whole=True,
    ),
]


class Net(nn.Module):
    """A layer of weights, the neurons, and spiking outputs under every loss."""

    def __init__(self, kind, spike_grad):
        super().__init__()
        self.kind = kind
        self.hidden = nn.Parameter(torch.rand(kind.shape) + 0.5)
        self.neurons = kind.make()
        self.neurons.spike_grad = spike_grad
        x = torch.zeros(T, B, *kind.shape)
        size = kind.run(self.neurons, x)[0, 0].numel()
        self.readout = nn.Linear(size, CLASSES)
        self.outputs = snn.Leaky(beta=0.8, learn_beta=True, spike_grad=spike_grad, threshold=0.3)

    def forward(self, x, targets):
        spikes = self.kind.run(self.neurons, x * self.hidden).flatten(2)
        steps, mem = [], None
        for step in spikes:
            spk, mem = self.outputs(self.readout(step), mem)
            steps.append((spk, mem))
        spk_rec, mem_rec = (torch.stack(each) for each in zip(*steps, strict=True))
        losses = {name: loss(spk_rec, targets) for name, loss in SPIKE_LOSSES.items()}
        losses |= {name: loss(mem_rec, targets) for name, loss in MEMBRANE_LOSSES.items()}
        return losses, spk_rec


def case(kind, name, seed=0):
    torch.manual_seed(seed)
    net = Net(kind, SURROGATES[name])
    snn.utils.reset(net)
    x = 0.6 + torch.randn(T, B, *kind.shape)
    return net, x, torch.randint(2, (B,))


def gradients(net, losses):
    """The gradient of each loss by each parameter; None where there is no path."""
    learnt = [p for p in net.parameters() if p.requires_grad]
    grads = {}
    for name, loss in losses.items():
        grads[name] = torch.autograd.grad(loss.sum(), learnt, retain_graph=True, allow_unused=True)
    return grads


def replay(graph, net, *inputs):
    return graph(dict(net.named_parameters()) | dict(net.named_buffers()), *inputs)


def eager_and_recorded(net, x, targets):
    """Losses and gradients from autograd, and from a record for IPUs of the forward pass alone."""
    with snn.use_backend("reference"):
        losses, spikes = net(x, targets)
    want = losses, spikes, gradients(net, losses)
    snn.utils.reset(net)
    with snn.ipu.enabled():
        # Recorded on other values than it is used on: none of them may matter.
        graph = fake_poptorch.record(net, torch.zeros_like(x), torch.zeros_like(targets))
    losses, spikes = replay(graph, net, x, targets)
    return want, (losses, spikes, gradients(net, losses)), graph


def pairs():
    """Every neuron with every surrogate; all but a few of each are slow."""
    names = list(SURROGATES)
    for i, kind in enumerate(KINDS):
        for j, name in enumerate(names):
            quick = i % 2 == 0 and j == i // 2 % len(names)
            yield pytest.param(
                kind, name, id=f"{kind.id}-{name}", marks=() if quick else pytest.mark.slow
            )


# The two forms of a surrogate -----------------------------------------------------------------


def spikes_and_slope(spike_grad, u):
    u = u.clone().requires_grad_()
    spikes = spike_grad(u)
    incoming = torch.linspace(-2, 2, len(u)).to(u)
    return spikes.detach(), torch.autograd.grad(spikes, u, incoming)[0]


@pytest.mark.parametrize("name", SURROGATES)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, half])
def test_both_forms_of_a_surrogate_agree_to_the_bit(name, dtype):
    u = torch.cat((torch.linspace(-3, 3, 61), torch.tensor([6e4, -6e4, 0.0, -0.0]))).to(dtype)
    torch.manual_seed(1)
    want = spikes_and_slope(SURROGATES[name], u)
    torch.manual_seed(1)
    with snn.ipu.enabled():
        got = spikes_and_slope(SURROGATES[name], u)
    assert want[1].any()
    for a, b in zip(got, want, strict=True):
        assert a.dtype == dtype and torch.equal(a, b)


@pytest.mark.parametrize("name", SURROGATES)
def test_infinite_membranes_fire_and_give_no_gradient(name):
    with snn.ipu.enabled():
        spikes, grad = spikes_and_slope(SURROGATES[name], torch.tensor([torch.inf, -torch.inf]))
    assert spikes.tolist() == [1, 0] and grad.tolist() == [0, 0]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_both_forms_of_quantised_states_agree(dtype):
    quantise = SF.state_quant(4, uniform=False)
    u = torch.cat((torch.linspace(-2, 2, 99), torch.tensor([torch.inf, -torch.inf, torch.nan])))
    u = u.to(dtype).requires_grad_()
    with snn.ipu.enabled():
        got = quantise(u)
    torch.testing.assert_close(got, quantise(u), rtol=0, atol=0, equal_nan=True)
    (grad,) = torch.autograd.grad(got[:99], u, torch.ones(99, dtype=dtype))
    assert grad.tolist() == [1] * 99 + [0] * 3


# The record of the forward pass, differentiated ------------------------------------------------


@pytest.mark.parametrize("kind, name", list(pairs()))
def test_record_gives_what_autograd_gives(kind, name, monkeypatch):
    net, x, targets = case(kind, name)
    # SSO draws its slopes in another order in a record: here they are all alike.
    monkeypatch.setattr(torch, "rand", partial(torch.full, fill_value=0.7))
    want, got, graph = eager_and_recorded(net, x, targets)
    assert torch.equal(got[1], want[1])
    hidden = 0.0
    for loss, expected in want[0].items():
        torch.testing.assert_close(got[0][loss], expected)
        for grad, wanted in zip(got[2][loss], want[2][loss], strict=True):
            assert (grad is None) == (wanted is None)
            if grad is not None:
                torch.testing.assert_close(grad, wanted)
        hidden += want[2][loss][0].abs().sum()
    # This layer does not fire here, and heaviside gives silence no gradient.
    assert hidden > 0 or (kind.id, name) == ("associative", "heaviside")
    assert operations(graph) <= HANDLED


def operations(graph):
    """The names of a record's operations; poptorch takes those in place as their plain twins."""
    calls = [node.target for node in graph.graph.nodes if node.op == "call_function"]
    return {
        call._schema.name.removeprefix("aten::").rstrip("_")
        for call in calls
        if isinstance(call, torch._ops.OpOverload)
    }


def test_record_draws_random_slopes():
    lif = snn.Leaky(beta=0.9, spike_grad="SSO", init_hidden=True)
    with snn.ipu.enabled():
        graph = fake_poptorch.record(lif, torch.zeros(9))
    assert "rand" in operations(graph) <= HANDLED


@pytest.mark.parametrize("kind", KINDS[:1] + KINDS[6:7] + KINDS[12:13], ids=lambda kind: kind.id)
def test_record_has_no_gradient_with_an_autograd_function(kind, monkeypatch):
    monkeypatch.setattr(surrogate, "is_written_out", lambda: False)
    net, x, targets = case(kind, "fast_sigmoid")
    want, got, _ = eager_and_recorded(net, x, targets)
    assert torch.equal(got[1], want[1])
    for loss in want[0]:
        wanted, grad = want[2][loss][0], got[2][loss][0]
        assert wanted.any() or loss == "mse_temporal"
        assert grad is None or not grad.any()


def test_record_of_a_whole_sequence():
    net = nn.Sequential(
        nn.Linear(5, 4),
        snn.Leaky(beta=0.9, init_hidden=True),
        nn.Linear(4, 3),
        snn.Synaptic(alpha=0.8, beta=0.9, init_hidden=True),
    )
    x = 2 * torch.randn(T, B, 5)

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = net

        def forward(self, x):
            return snn.unroll(self.net, x)

    model = Model()
    with snn.ipu.enabled():
        graph = fake_poptorch.record(model, torch.zeros_like(x))
    learnt = list(net.parameters())
    spikes = replay(graph, model, x)
    with snn.use_backend("reference"):
        want = model(x)
    assert torch.equal(spikes, want) and want.any()
    weights = torch.randn_like(want)
    for got, wanted in zip(
        torch.autograd.grad((spikes * weights).sum(), learnt),
        torch.autograd.grad((want * weights).sum(), learnt),
        strict=True,
    ):
        assert wanted.any()
        torch.testing.assert_close(got, wanted)
    assert operations(graph) <= HANDLED


# What breaks a record is noticed ----------------------------------------------------------------


class Looking(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x


class Assigning(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("mem", torch.zeros(1))

    def forward(self, x):
        self.mem = self.mem + x
        return self.mem


def test_looking_at_values_is_noticed(monkeypatch):
    with pytest.raises(AssertionError, match="a value was looked at"):
        fake_poptorch.record(Looking(), torch.ones(1))
    monkeypatch.setattr(SF.loss, "found", lambda condition: bool(condition.any()))
    net, x, targets = case(KINDS[0], "atan")
    with pytest.raises(AssertionError, match="a value was looked at"):
        fake_poptorch.record(net, x, targets)


def test_assigning_a_buffer_is_noticed():
    with pytest.raises(AssertionError, match="the buffer mem was assigned"):
        fake_poptorch.record(Assigning(), torch.ones(1))


class Foreign(torch.autograd.Function):
    @staticmethod
    def forward(ctx, u):
        return (u > 0).to(u)

    @staticmethod
    def backward(ctx, grad):
        return grad


class Clipped(surrogate.FastSigmoid):
    @staticmethod
    def backward(ctx, grad):
        return grad.clamp(-1, 1), None


@pytest.mark.parametrize("give", [lambda function: function, lambda function: function.apply])
@pytest.mark.parametrize("function", [Foreign, Clipped])
def test_a_backward_that_no_ipu_runs_is_refused(function, give):
    lif = snn.Leaky(beta=0.9, spike_grad=give(function))
    lif(torch.ones(1))
    with snn.ipu.enabled(), pytest.raises(TypeError, match=f"{function.__name__}.*backward.*slope"):
        lif(torch.ones(1))


# Turning it on ----------------------------------------------------------------------------------


def default():
    return snn.Leaky(beta=0.9).spike_grad


def test_straight_through_is_the_default_where_it_is_on(monkeypatch):
    assert default() == surrogate.atan()
    with snn.ipu.enabled():
        assert default() == surrogate.straight_through_estimator()
        assert snn.Leaky(beta=0.9, spike_grad="sigmoid").spike_grad == surrogate.sigmoid()
        with snn.ipu.enabled(False):
            assert default() == surrogate.atan()
    monkeypatch.setattr(snn.ipu, "_on", False)  # put back at the end
    snn.ipu.enable()
    assert snn.ipu.is_enabled() and default() == surrogate.straight_through_estimator()
    snn.ipu.enable(False)
    assert not snn.ipu.is_enabled() and default() == surrogate.atan()


def test_an_imported_poptorch_changes_no_default(monkeypatch):
    monkeypatch.setitem(sys.modules, "poptorch", fake_poptorch)
    assert default() == surrogate.atan()
    code = (
        "import fake_poptorch, sys; sys.modules['poptorch'] = fake_poptorch; import snntorch\n"
        "print(snntorch.Leaky(beta=0.9).spike_grad, snntorch.ipu.is_enabled())"
    )
    env = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (ROOT, TESTS / "helpers")))}
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True
    )
    assert done.stdout == "ATan(2.0) False\n"


def test_poptorch_turns_it_on_while_it_records(monkeypatch):
    seen = []

    class Model(nn.Module):
        def forward(self, x):
            seen.append(snn.ipu.is_enabled())
            return x + 1

    fake_poptorch.record(Model(), torch.zeros(1))
    monkeypatch.setitem(sys.modules, "poptorch", fake_poptorch)
    assert not snn.ipu.is_enabled()
    fake_poptorch.record(Model(), torch.zeros(1))
    assert seen == [False, True]


def test_a_block_counts_for_its_own_thread():
    seen = []
    with snn.ipu.enabled():
        thread = threading.Thread(target=lambda: seen.append(snn.ipu.is_enabled()))
        thread.start()
        thread.join()
    assert seen == [False]


def test_no_compiled_kernel_takes_part():
    x = torch.ones(T, B, 5)
    assert snn.explain(snn.Leaky(beta=0.9), x)[0].backend == "numba"
    with snn.ipu.enabled():
        assert snn.explain(snn.Leaky(beta=0.9), x)[0].backend == "reference"


# poptorch ---------------------------------------------------------------------------------------


@pytest.mark.slow
def test_tutorial_runs_with_the_stand_in(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "poptorch", fake_poptorch)
    monkeypatch.setattr(snn.ipu, "_on", False)
    monkeypatch.setattr(plt, "show", plt.close)
    with matplotlib.rc_context():
        tutorial = runpy.run_path(str(ROOT / "examples" / "tutorials" / "ipu.py"))
    assert isinstance(tutorial["train_step"], fake_poptorch.trainingModel)
    assert isinstance(tutorial["infer"], fake_poptorch.inferenceModel)
    assert tutorial["correct"] > 0.8 * len(tutorial["test_set"])
    printed = capsys.readouterr().out
    assert printed.count("has no gradient") == 2  # the first layer, without the form for IPUs
    assert printed.count("has the gradient of PyTorch") == 6


class Small(nn.Module):
    """Two layers of neurons that return their spikes and, in training, a loss."""

    def __init__(self, identity_loss):
        super().__init__()
        self.identity_loss, self.loss = identity_loss, SF.mse_count_loss()
        self.hidden, self.hidden_neurons = nn.Linear(6, 8), snn.Leaky(beta=0.9)
        self.readout, self.neurons = nn.Linear(8, CLASSES), snn.Leaky(beta=0.9)

    def forward(self, x, targets):
        spikes, mem1, mem2 = [], None, None
        for _ in range(5):
            spk, mem1 = self.hidden_neurons(self.hidden(x), mem1)
            spk, mem2 = self.neurons(self.readout(spk), mem2)
            spikes.append(spk)
        spikes = torch.stack(spikes)
        return spikes, self.identity_loss(self.loss(spikes, targets), "none")


def stand_in():
    return fake_poptorch


def real():
    return pytest.importorskip("poptorch", reason="not run: poptorch is in the Poplar SDK alone")


@pytest.mark.parametrize("find", [stand_in, real])
def test_a_training_step_of_poptorch_is_that_of_pytorch(find, monkeypatch):
    poptorch = find()
    monkeypatch.setitem(sys.modules, "poptorch", poptorch)
    options = poptorch.Options()
    if not poptorch.ipuHardwareIsAvailable():
        options.useIpuModel(True)
    with snn.ipu.enabled():
        net = Small(poptorch.identity_loss)
    twin = copy.deepcopy(net)
    twin.identity_loss = lambda loss, reduction: loss
    x, targets = 2 * torch.randn(B, 6), torch.randint(CLASSES, (B,))
    optimizer = poptorch.optim.SGD(net.parameters(), lr=0.1)
    model = poptorch.trainingModel(net, options=options, optimizer=optimizer)
    spikes, loss = model(x, targets)
    model.copyWeightsToHost()
    wanted_spikes, wanted = twin(x, targets)
    wanted.backward()
    torch.optim.SGD(twin.parameters(), lr=0.1).step()
    assert torch.equal(spikes, wanted_spikes.detach()) and spikes.any()
    torch.testing.assert_close(loss, wanted.detach())
    for got, want in zip(net.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(got.detach(), want.detach())

"""A compiled network is the network: as a module, under PyTorch's modes, in threads, in memory."""

import concurrent.futures
import contextlib
import copy
import gc
import inspect
import io
import itertools
import logging
import os
import pickle
import subprocess
import sys
import weakref

import pytest
import torch
from loops import (
    CASES,
    B,
    N,
    Net,
    T,
    firing,
    hidden,
    hidden_states,
    numbers_read,
    plain,
    recurrence_through_all,
    steps,
)
from project import ROOT
from releases import needs_2_4, tree_leaves
from torch import nn
from torch.nn.utils import parametrize
from torch.utils.checkpoint import checkpoint
from twins import EXACT, assert_same, call, close, linears, result, states_of

import snntorch as snn
from snntorch import utils
from snntorch._network import record
from snntorch.functional import probe, stdp_learner

pytestmark = needs_2_4
EXACTLY = EXACT[torch.float64]


def net_of(loop=plain, *args, **parts):
    return Net(loop, *args, **parts).double()


def twins(loop=plain, *args, **parts):
    """Return a plain network and a compiled copy."""
    net = net_of(loop, *args, **parts)
    return net, snn.compile(copy.deepcopy(net))


@pytest.fixture
def x():
    return firing(T, B, N)


# As a module -----------------------------------------------------------------------------------


def test_state_dict_is_that_of_the_network(x):
    net, compiled = twins()
    assert list(compiled.state_dict()) == list(net.state_dict())
    assert [name for name, _ in compiled.named_modules()] == [n for n, _ in net.named_modules()]
    with torch.no_grad():
        for parameter in compiled.parameters():
            parameter.mul_(1.5)
    net.load_state_dict(compiled.state_dict())
    torch.testing.assert_close(compiled(x), net(x), **EXACTLY)
    compiled.load_state_dict(net_of().state_dict())
    assert not torch.equal(compiled(x), net(x))


def test_is_the_network():
    net = net_of()
    compiled = snn.compile(net)
    assert isinstance(compiled, Net) and isinstance(compiled, nn.Module)
    assert list(map(id, compiled.parameters())) == list(map(id, net.parameters()))
    assert compiled.fc1 is net.fc1 and compiled.lif2 is net.lif2
    assert compiled.loop is plain
    assert inspect.signature(compiled.forward) == inspect.signature(net.forward)
    assert "(fc1): Linear(in_features=4" in repr(compiled)


def test_attributes_are_set_on_both(x):
    net = net_of()
    compiled = snn.compile(net)
    compiled.note, net.remark = 1, 2
    assert net.note == 1 and compiled.remark == 2
    compiled.fc1 = nn.Linear(N, N).double()
    assert net.fc1 is compiled.fc1 and net.fc1.weight is next(iter(compiled.parameters()))
    net.register_buffer("table", torch.zeros(2))
    assert "table" in compiled.state_dict()
    del compiled.note
    assert not hasattr(net, "note")
    torch.testing.assert_close(compiled(x), copy.deepcopy(net)(x), **EXACTLY)


def test_moves_and_modes_are_those_of_the_network(x):
    net = Net(plain, norm=lambda: nn.Dropout(0.3))
    compiled = snn.compile(net)
    assert compiled.eval() is compiled and not net.norm.training and not net.training
    assert compiled.train() is compiled and net.norm.training and net.training
    assert compiled.double() is compiled and net.fc1.weight.dtype == torch.float64
    assert compiled.to("cpu", torch.float32) is compiled
    assert compiled.requires_grad_(False) is compiled and not net.fc1.weight.requires_grad
    assert not compiled(x.float()).requires_grad
    compiled.requires_grad_(True)(x.float()).sum().backward()
    assert net.fc1.weight.grad.any()
    compiled.zero_grad()
    assert net.fc1.weight.grad is None
    names = []
    compiled.apply(lambda module: names.append(type(module).__name__))
    assert sorted(names) == sorted(type(module).__name__ for module in net.modules())


def test_methods_that_call_the_network(x):
    class Own(Net):
        def predict(self, x):
            return self(x).sum(0).argmax(-1), self.scores(x)

        def scores(self, x):
            return self.forward(x).sum(0)

    net = Own(plain).double()
    compiled = snn.compile(copy.deepcopy(net))
    assert linears(compiled.predict, x) < linears(net.predict, x)
    torch.testing.assert_close(compiled.predict(x), net.predict(x), **EXACTLY)


def test_subclasses_and_super(x):
    class Scaled(Net):
        def forward(self, x):
            return 2 * super().forward(x)

    assert_same(Scaled(plain).double(), x)


def test_pickle(x):
    net, compiled = twins()
    for loaded in (pickle.loads(pickle.dumps(compiled)), saved_and_loaded(compiled)):
        assert isinstance(loaded, Net) and loaded.fc1 is not compiled.fc1
        assert linears(loaded, x) == 2
        close(result(loaded, x), result(copy.deepcopy(net), x), EXACTLY)


def saved_and_loaded(module):
    file = io.BytesIO()
    torch.save(module, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


def test_copies_are_independent(x):
    net, compiled = twins()
    for other in (copy.deepcopy(compiled), copy.deepcopy(copy.deepcopy(compiled))):
        before = compiled(x)
        with torch.no_grad():
            other.fc1.weight.mul_(2)
        other.note = 1
        assert linears(other, x) == 2
        assert not torch.equal(other(x), before) and torch.equal(compiled(x), before)
        assert not hasattr(compiled, "note")
    assert copy.copy(compiled).fc1 is compiled.fc1
    torch.testing.assert_close(copy.copy(compiled)(x), net(x), **EXACTLY)


def test_compiled_twice_is_compiled(x):
    net, compiled = twins()
    again = snn.compile(compiled)
    assert linears(again, x) == 2 and list(again.state_dict()) == list(net.state_dict())
    torch.testing.assert_close(again(x), net(x), **EXACTLY)


def test_the_network_itself_stays_plain(x):
    net = net_of()
    snn.compile(net)(x)
    assert linears(net, x) == 2 * T


def test_replaced_forward_is_called(x):
    compiled = snn.compile(net_of())
    compiled.forward = lambda x: x + 1
    assert torch.equal(compiled(x), x + 1)


class Swaps(Net):
    """Runs its second layer under the name of the first from the fourth step on."""

    def forward(self, x):
        first = self.fc1
        for t, states in enumerate(steps(self, x)):
            if t == 3:
                self.fc1 = self.fc2
            yield sum(states)
        self.fc1 = first


class Doubles(Net):
    """Has code of its own that finds a part."""

    def __getattr__(self, name):
        part = super().__getattr__(name)
        return (lambda x: 2 * part(x)) if name == "fc1" else part

    def forward(self, x):
        for states in steps(self, x):
            yield sum(states)


@pytest.mark.parametrize("kind", [Swaps, Doubles])
def test_attributes_mean_what_they_mean_in_the_network(x, kind):
    class Own(kind):
        def forward(self, x):
            return torch.stack(list(super().forward(x)))

    net = Own(plain).double()
    assert_same(net, x)
    names = [list(vars(part)) for part in net.modules()]
    compiled = snn.compile(net)
    compiled(x)
    with pytest.raises(TypeError):
        compiled(torch.zeros(()))
    assert [list(vars(part)) for part in net.modules()] == names


@pytest.mark.parametrize("given", [1, "net", [nn.Linear(1, 1)], None])
def test_what_is_no_network(given):
    if given is None:
        assert callable(snn.compile())
    else:
        with pytest.raises(TypeError, match=r"takes a network, a function or a method; .* none of"):
            snn.compile(given)


def test_unknown_backend():
    with pytest.raises(ValueError, match="backend='none'"):
        snn.compile(net_of(), backend="none")


def test_networks_without_a_loop(x):
    for net in (nn.Sequential(nn.Linear(N, N), hidden()), nn.Linear(N, N), hidden(output=True)):
        assert_same(net.double(), x[0], calls=4)


def test_networks_inside_networks(x):
    class Outer(nn.Module):
        def __init__(self, inner):
            super().__init__()
            self.inner, self.fc, self.lif = inner, nn.Linear(N, N), hidden()

        def forward(self, x):
            utils.reset(self.lif)
            return torch.stack([self.lif(self.fc(x_t)) for x_t in self.inner(x)])

    net = Outer(Net(plain)).double()
    ways = [copy.deepcopy(net) for _ in range(3)]
    ways[0].inner = snn.compile(ways[0].inner)
    ways[1] = snn.compile(ways[1])
    ways[2].inner = snn.compile(ways[2].inner)
    ways[2] = snn.compile(ways[2])
    for way, most in zip(ways, (2 + T, 3, 3), strict=True):
        assert linears(way, x) <= most
        close(result(way, x), result(copy.deepcopy(net), x), EXACTLY)


class Sign(torch.autograd.Function):
    calls = 0

    @staticmethod
    def forward(ctx, weight):
        Sign.calls += 1
        return weight.sign()

    @staticmethod
    def backward(ctx, grad):
        return grad


class Binary(nn.Module):
    def forward(self, weight):
        return Sign.apply(weight)


def test_a_parametrization_is_computed_once(x):
    net = net_of()
    parametrize.register_parametrization(net.fc1, "weight", Binary())
    assert_same(net, x)
    compiled = snn.compile(net)
    counts = []
    for each in (net, compiled):
        before = Sign.calls
        call(each, x)
        counts.append(Sign.calls - before)
    assert counts == [T, 1]


# Functions and blocks --------------------------------------------------------------------------


def run(net, x, scale=1.0):
    """Loop outside of a network."""
    utils.reset(net)
    return scale * torch.stack([net.lif2(net.fc2(net.lif1(net.fc1(x_t)))) for x_t in x])


class Trainer:
    def __init__(self, net):
        self.net, self.calls = net, 0

    def run(self, x, scale=1.0):
        self.calls += 1
        return run(self.net, x, scale=scale)

    compiled = snn.compile(run)
    with_options = snn.compile(exact_random=False, backend="reference")(run)


def test_functions(x):
    decorated = snn.compile(run)
    assert decorated.__name__ == "run" and decorated.__doc__ == run.__doc__
    assert inspect.signature(decorated) == inspect.signature(run)
    for fast in (decorated, snn.compile()(run), snn.compile(backend="reference")(run)):
        net = net_of(neuron=hidden)
        assert linears(fast, net, x) == 2

        def scaled(net, x, run=fast):
            return run(net, x, scale=0.5)

        want = result(copy.deepcopy(net), x, run=lambda net, x: run(net, x, 0.5))
        close(result(copy.deepcopy(net), x, run=scaled), want, EXACTLY)


def test_methods(x):
    trainer = Trainer(net_of(neuron=hidden))
    want = trainer.run(x, scale=2.0)
    for fast in (trainer.compiled, trainer.with_options, snn.compile(trainer.run)):
        torch.testing.assert_close(fast(x, scale=2.0), want, **EXACTLY)
        assert linears(fast, x) == 2
    assert trainer.calls > 3 and trainer.compiled.__self__ is trainer


def one_step(net, x):
    return net.lif2(net.fc2(net.lif1(net.fc1(x))))


@pytest.mark.parametrize("inside", [True, False], ids=["loss inside", "loss outside"])
def test_blocks(x, inside):
    def loop(net, x, block=contextlib.nullcontext):
        utils.reset(net)
        with block():
            out = torch.stack([net(x_t) for x_t in x])
            if inside:
                out = (out - 0.3).square().sum()
        return out if inside else (out - 0.3).square().sum()

    net = net_of(one_step, hidden)
    want = result(copy.deepcopy(net), x, run=loop)
    got = result(copy.deepcopy(net), x, run=lambda *args: loop(*args, snn.lazy))
    got["kinds"] = want["kinds"]  # what is made inside keeps its class
    close(got, want, EXACTLY)
    assert linears(loop, net, x, snn.lazy) == 2


def test_training_in_a_block(x):
    """The whole training step, optimizer and all."""
    found = []
    for block in (contextlib.nullcontext, snn.lazy):
        torch.manual_seed(0)
        net, losses = net_of(one_step, hidden), []
        optimizer = torch.optim.Adam(net.parameters(), lr=0.05)
        for _ in range(3):
            with block():
                utils.reset(net)
                loss = sum((net(x_t) - 0.3).square().mean() for x_t in x)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            losses.append(loss.item())
        found.append((losses, net.state_dict()))
    assert found[0][0][0] != found[0][0][-1]
    torch.testing.assert_close(found[1], found[0], rtol=1e-10, atol=1e-10)


def test_exception_in_a_block(x):
    found = []
    for block in (contextlib.nullcontext, snn.lazy):
        torch.manual_seed(0)
        net = net_of(one_step, hidden)
        with pytest.raises(KeyError), block():
            for t, x_t in enumerate(x):
                net(x_t)
                if t == 3:
                    raise KeyError
        found.append((states_of(net), net(x[0])))
    torch.testing.assert_close(found[1], found[0], **EXACTLY)


# Hooks -----------------------------------------------------------------------------------------


def test_hooks_on_the_network(x):
    net, compiled = twins()
    for twin in (net, compiled):
        twin.seen = []
        twin.register_forward_pre_hook(lambda module, args: (args[0] * 2,))
        twin.register_forward_hook(lambda module, args, out: module.seen.append(out.sum().item()))
        twin.register_forward_hook(lambda module, args, out: out + 1)
        twin.register_full_backward_hook(lambda module, *grads: (grads[0][0] * 3,))
    close(result(compiled, x), result(net, x), EXACTLY)
    assert compiled.seen == pytest.approx(net.seen) and len(net.seen) == 2


def test_hooks_on_layers_see_every_step_in_order(x):
    net, compiled = twins()
    seen = []
    for twin in (net, compiled):
        calls = []
        for name in ("fc1", "lif1", "fc2", "lif2"):
            twin.get_submodule(name).register_forward_hook(
                lambda module, args, out, name=name, calls=calls: calls.append((name, args[0], out))
            )
        twin(x)
        assert [name for name, *_ in calls] == ["fc1", "lif1", "fc2", "lif2"] * T
        seen.append([(list(tree_leaves(each))) for _, *each in calls])
    torch.testing.assert_close(seen[1], seen[0], **EXACTLY)


def test_hooks_on_layers_may_read_and_change_values(x):
    net, compiled = twins()
    for twin in (net, compiled):
        twin.rates = []
        twin.lif1.register_forward_hook(
            lambda module, args, out, twin=twin: twin.rates.append(out[0].mean().item())
        )
        twin.fc2.register_forward_hook(lambda module, args, out: 2 * out)
        twin.fc1.register_full_backward_hook(lambda module, grads, outs: (0.5 * grads[0],))
    close(result(compiled, x), result(net, x), EXACTLY)
    assert compiled.rates == net.rates and len(set(net.rates)) > 2


PARTS = {
    "itself": lambda value: value,
    "chunk": lambda value: value.chunk(2)[1],
    "slice": lambda value: value[2:],
    "transposed": lambda value: value.t(),
    "doubled": lambda value: value * 2,
}
RETURNED = {
    "last": lambda spikes, membranes, parts: parts[-1],
    "stack": lambda spikes, membranes, parts: torch.stack(parts),
    "both": lambda spikes, membranes, parts: (torch.stack(parts), parts[-1], membranes[-1]),
    "list": lambda spikes, membranes, parts: parts,
    "membranes": lambda spikes, membranes, parts: torch.stack(membranes),
    "spikes": lambda spikes, membranes, parts: (torch.stack(spikes), parts[-1], membranes[-1]),
}


class Hooked(Net):
    """Hooks what is made of a neuron's spikes or membrane at some steps, read before or not."""

    def __init__(self, part, hooks_spikes, read, returned, at, hook):
        super().__init__(plain)
        self.part, self.hooks_spikes, self.read = PARTS[part], hooks_spikes, read
        self.returned, self.at, self.hook = RETURNED[returned], at, hook

    def forward(self, x):
        self.seen, self.kept = [], []
        spikes, membranes, parts = [], [], []
        for t, (spk, mem, *_) in enumerate(steps(self, x)):
            part = self.part(spk if self.hooks_spikes else mem)
            if t in self.read:
                part.sum().item()
            if t in self.at and self.hook:
                part.register_hook(lambda grad: (self.seen.append(grad), 0.5 * grad)[1])
            elif t in self.at:
                part.retain_grad()
                self.kept.append(part)
            spikes.append(spk)
            membranes.append(mem)
            parts.append(part)
        return self.returned(spikes, membranes, parts)


@pytest.mark.parametrize("hook", [True, False])
@pytest.mark.parametrize("part", PARTS)
def test_hooks_on_values(x, part, hook):
    every, end = range(T), (T - 1,)
    for hooks_spikes, read, returned, at in itertools.product(
        (True, False), ((), every, end), RETURNED, (every, end, (0,))
    ):
        net = Hooked(part, hooks_spikes, read, returned, at, hook).double()
        found = []
        for way in (net, snn.compile(copy.deepcopy(net))):
            out = way(x)
            outs = [out] if isinstance(out, torch.Tensor) else out
            sum((i + 1) * each.square().sum() for i, each in enumerate(outs)).backward()
            grads = [each.grad for each in way.parameters()]
            found.append((grads, way.seen, [each.grad for each in way.kept]))
        torch.testing.assert_close(found[1], found[0], **EXACTLY)
        assert any(each is not None for each in found[0][0])


class Late(Net):
    """Asks for a gradient after other steps have been worked out together."""

    def __init__(self, ask):
        super().__init__(plain)
        self.ask = ask

    def forward(self, x):
        start = torch.ones_like(x[0])
        hidden = [self.fc1(start) for _ in x]
        spikes, membranes, *_ = zip(*steps(self, x), strict=True)
        (membranes[-1].sum() + sum(hidden).sum()).item()
        out = torch.stack(membranes) * torch.stack(spikes) + torch.stack(hidden)
        self.ask({"spikes": spikes, "membranes": membranes, "hidden": hidden}, out.sum())
        return out


@pytest.mark.parametrize("name", ["spikes", "membranes", "hidden"])
@pytest.mark.parametrize(
    ("function", "ask"),
    [
        ("register_hook", lambda value, out: value.register_hook(lambda grad: 0.5 * grad)),
        ("grad", lambda value, out: torch.autograd.grad(out, value, retain_graph=True)),
    ],
)
def test_gradients_of_steps_that_were_worked_out_together(x, name, function, ask):
    net = Late(lambda values, out: ask(values[name][1], out)).double()
    compiled = snn.compile(copy.deepcopy(net))
    if (name, function) == ("spikes", "register_hook"):
        close(result(compiled, x), result(net, x), EXACTLY)
    else:
        with pytest.raises(RuntimeError, match=rf"{function} of a value of .* right after the"):
            compiled(x)


def test_monitors(x):
    found = []
    for twin in twins():
        spikes = probe.OutputMonitor(twin, snn.Leaky)
        currents = probe.InputMonitor(twin, snn.Leaky)
        membranes = probe.AttributeMonitor("mem", False, twin, snn.Leaky)
        gradients = probe.GradOutputMonitor(twin, nn.Linear)
        twin(x.requires_grad_()).sum().backward()
        found.append(
            [
                [list(tree_leaves(monitor[name])) for name in ("lif1", "lif2")]
                for monitor in (spikes, currents, membranes)
            ]
            + [[list(tree_leaves(gradients[name])) for name in ("fc1", "fc2")]]
        )
    assert len(found[0][1][0]) == 2 * len(found[0][3][1]) == 2 * T  # with a state each
    torch.testing.assert_close(found[1], found[0], **EXACTLY)


def test_plasticity(x):
    found = []
    for twin in twins(hidden_states, hidden):
        learner = stdp_learner.STDPLearner(twin.fc2, twin.lif2, tau_pre=2.0, tau_post=2.0)
        with torch.no_grad():
            twin(x)
        found.append(learner.step(on_grad=False))
    assert found[0].any()
    torch.testing.assert_close(found[1], found[0], **EXACTLY)


def test_hooks_on_all_modules(x):
    net, compiled = twins()
    seen = {net: [], compiled: []}
    for twin, calls in seen.items():
        hook = nn.modules.module.register_module_forward_hook(
            lambda module, args, out, calls=calls: calls.append((type(module), out))
        )
        try:
            twin(x)
        finally:
            hook.remove()
    got, want = seen[compiled], seen[net]
    assert [kind.__name__ for kind, _ in got[:-1]] == [kind.__name__ for kind, _ in want[:-1]]
    torch.testing.assert_close([out for _, out in got], [out for _, out in want], **EXACTLY)


JIT = pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")

# Modes of torch --------------------------------------------------------------------------------


def test_under_inference_mode(x):
    net, compiled = twins(hidden_states, hidden)
    with torch.inference_mode():
        got, want = [compiled(x), compiled(x)], [net(x), net(x)]
    assert all(each.is_inference() for each in got)
    torch.testing.assert_close(got, want, **EXACTLY)
    close(result(compiled, x), result(net, x), EXACTLY)  # goes on from the states


@pytest.mark.parametrize("loop", ["plain", "hidden_states", "batch_norm", "attention"])
def test_under_autocast(loop):
    make = CASES.get(loop, lambda: Net(plain))
    net, x = make(), firing(T, B, N).float()
    compiled, found = snn.compile(copy.deepcopy(net)), []
    for twin in (net, compiled):
        with torch.autocast("cpu", torch.bfloat16):
            out = twin(x)
        out.float().square().sum().backward()
        found.append((out, states_of(twin), [each.grad for each in twin.parameters()]))
    assert all(state.dtype == torch.float32 for state in found[1][1].values())
    torch.testing.assert_close(found[1], found[0], rtol=0.02, atol=0.02)


def test_autocast_inside_forward():
    def loop(net, x):
        out = []
        for spk1, _, _, mem2 in steps(net, x):
            with torch.autocast("cpu", torch.bfloat16):
                out.append(net.fc2(spk1) + mem2)
        return torch.stack(out)

    net, compiled = Net(loop), None
    compiled, x = snn.compile(copy.deepcopy(net)), firing(T, B, N).float()
    got, want = compiled(x), net(x)
    torch.testing.assert_close(got, want, rtol=0.02, atol=0.02)


def test_another_default_type():
    make = CASES["running_average"]  # which makes a tensor of the default type
    assert_same(make(), firing(T, B, N).float())
    torch.set_default_dtype(torch.float64)
    try:
        assert_same(make(), firing(T, B, N))
    finally:
        torch.set_default_dtype(torch.float32)


def test_under_a_device_context(x):
    net, compiled = twins(CASES["preallocated"].args[0])
    with torch.device("cpu"):
        close(result(compiled, x), result(net, x), EXACTLY)


def test_under_anomaly_detection(x):
    net, compiled = twins()
    with pytest.warns(UserWarning, match="Anomaly"), torch.autograd.detect_anomaly():
        got, want = result(compiled, x), result(net, x)
    close(got, want, EXACTLY)


@JIT
def test_functional_call_and_transforms(x):
    net, compiled = twins()
    found = []
    for twin in (net, compiled):
        weights = {name: 1.1 * each.detach() for name, each in twin.named_parameters()}

        def loss(weights, x, twin=twin):
            return torch.func.functional_call(twin, weights, (x,)).square().sum()

        grads = torch.func.grad(loss)(weights, x)
        each = torch.vmap(loss, in_dims=(None, 1))(weights, x)
        per_sample = torch.vmap(torch.func.grad(loss), in_dims=(None, 1))(weights, x)
        slope = torch.func.jvp(lambda x, loss=loss, weights=weights: loss(weights, x), (x,), (x,))
        found.append([loss(weights, x), grads, each, per_sample, slope])
    torch.testing.assert_close(found[1], found[0], **EXACTLY)


def test_before_pytorch_2_4(x, monkeypatch):
    net, compiled = twins()
    monkeypatch.setattr("snntorch._network.compile.RECORDABLE", False)
    assert linears(compiled, x) == 2 * T
    torch.testing.assert_close(compiled(x), net(x), rtol=0, atol=0)
    with pytest.raises(RuntimeError, match=r"nothing can be recorded here: .* PyTorch 2\.4"):
        snn.explain(compiled, x)


@JIT
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
def test_jit_trace(x):
    net, compiled = twins(CASES["states_of_zeros"].args[0])
    traced = torch.jit.trace(compiled, x, check_trace=False)
    torch.testing.assert_close(traced(2 * x), net(2 * x), **EXACTLY)


@pytest.mark.skipif(not hasattr(torch, "compiler"), reason="torch.compiler is newer")
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
def test_torch_compile(x):
    net, compiled = twins(CASES["states_of_zeros"].args[0])
    fast = torch.compile(compiled, backend="eager")
    torch.testing.assert_close(fast(x), net(x), **EXACTLY)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The tensor attributes:UserWarning")
def test_export(x):
    net, compiled = twins(CASES["states_of_zeros"].args[0])
    exported = torch.export.export(compiled, (x,)).module()
    torch.testing.assert_close(exported(2 * x), net(2 * x), **EXACTLY)


def test_saved_tensor_hooks(x):
    net, compiled = twins()
    found = []
    for twin in (net, compiled):
        packed = []
        with torch.autograd.graph.saved_tensors_hooks(
            lambda tensor, packed=packed: packed.append(1) or tensor.clone(), lambda tensor: tensor
        ):
            out = twin(x)
        out.sum().backward()
        assert packed
        found.append((out, [each.grad for each in twin.parameters()]))
    torch.testing.assert_close(found[1], found[0], **EXACTLY)


def test_tensor_subclasses(x):
    class Tagged(torch.Tensor):
        pass

    net, compiled = twins(CASES["states_of_zeros"].args[0])
    tagged = x.as_subclass(Tagged)
    got, want = compiled(tagged), net(tagged)
    assert type(got) is type(want) is Tagged
    torch.testing.assert_close(got, want, **EXACTLY)


def test_dispatch_modes(x):
    from torch.utils.flop_counter import FlopCounterMode

    net, compiled = twins()
    counts = []
    for twin in (net, compiled):
        with FlopCounterMode(display=False) as counter:
            twin(x)
        counts.append(counter.get_total_flops())
    assert counts[0] == counts[1] > 0


def test_function_modes(x):
    class Counts(torch.overrides.TorchFunctionMode):
        count = 0

        def __torch_function__(self, func, types, args=(), kwargs=None):
            self.count += func is torch.nn.functional.linear
            return func(*args, **(kwargs or {}))

    net, compiled = twins()
    for twin in (net, compiled):
        with Counts() as mode:
            out = twin(x)
        assert mode.count == 2 * T
    torch.testing.assert_close(out, net(x), **EXACTLY)


@pytest.mark.parametrize("reentrant", [True, False])
def test_checkpoint_around(x, reentrant):
    def around(net, x):
        return checkpoint(net, x, use_reentrant=reentrant)

    net = net_of(CASES["states_of_zeros"].args[0])
    found = []
    for twin in (copy.deepcopy(net), snn.compile(copy.deepcopy(net))):
        x = firing(T, B, N).requires_grad_()
        out = around(twin, x)
        out.square().sum().backward()
        found.append((out, x.grad, [each.grad for each in twin.parameters()]))
    torch.testing.assert_close(found[1], found[0], **EXACTLY)


def test_distributed_data_parallel(x):
    import torch.distributed as dist

    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    try:
        net, compiled = twins()
        found = []
        parallel = nn.parallel.DistributedDataParallel
        outside = snn.compile(parallel(copy.deepcopy(net)))
        for twin in (net, parallel(compiled), outside):
            out = [twin(x), twin(x)][1]
            out.square().sum().backward()
            found.append((out, [each.grad for each in twin.parameters()]))
    finally:
        dist.destroy_process_group()
    torch.testing.assert_close(found[1], found[0], **EXACTLY)
    torch.testing.assert_close(found[2], found[0], **EXACTLY)


def test_second_derivatives(x):
    found = []
    for twin in (net := net_of(), snn.compile(copy.deepcopy(net), backend="reference")):
        x = firing(T, B, N).requires_grad_()
        (slope,) = torch.autograd.grad(twin(x).square().sum(), x, create_graph=True)
        found.append(torch.autograd.grad(slope.square().sum(), twin.fc1.weight)[0])
    assert found[0].norm() > 0
    torch.testing.assert_close(found[1], found[0])


def test_generators_are_used_as_in_plain(x):
    def loop(net, x):
        generator = torch.Generator().manual_seed(5)
        noise = [torch.rand(B, N, generator=generator, dtype=x.dtype) for _ in x]
        return plain(net, [x_t * noisy for x_t, noisy in zip(x, noise, strict=True)])

    assert_same(net_of(loop), x)


def test_random_numbers_by_numpy_and_python(x):
    import random

    import numpy as np

    def loop(net, x):
        random.seed(1)
        numbers = np.random.default_rng(1)
        out = [x_t * random.random() + torch.from_numpy(numbers.random((B, N))) for x_t in x]
        return plain(net, out)

    assert_same(net_of(loop), x)


# Threads ---------------------------------------------------------------------------------------


def test_two_networks_in_two_threads(x):
    pairs = [twins(), twins(CASES["no_grad_blocks"].args[0])]

    def work(pair):
        net, compiled = pair
        for _ in range(30):
            got, want = compiled(x), net(x)
            torch.testing.assert_close(got, want, **EXACTLY)
        return True

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        assert all(pool.map(work, pairs))


def test_a_plain_network_beside_a_compiled_one(x):
    """While one thread records, another one computes."""
    net, compiled = twins()
    seen = []

    def slow(module, args, out):
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            seen.append(pool.submit(net, x).result())

    want = compiled(x)
    compiled.lif1.register_forward_hook(slow)
    torch.testing.assert_close(compiled(x), want, **EXACTLY)
    assert len(seen) == T and all(type(each) is torch.Tensor for each in seen)
    torch.testing.assert_close(seen, [want] * T, **EXACTLY)


# What is said ----------------------------------------------------------------------------------


def test_summary(x):
    net, compiled = twins()
    assert str(snn.summary(compiled, x)) == str(snn.summary(net, x))


def test_explain_names_layers_and_lines(x):
    text = str(snn.explain(snn.compile(net_of()), x))
    for name in ("fc1", "lif1", "fc2", "lif2"):
        assert name in text
    asking = snn.compile(net_of(numbers_read))
    source, first = inspect.getsourcelines(numbers_read)
    line = first + next(i for i, text in enumerate(source) if ".item()" in text)
    assert f"loops.py:{line}" in str(snn.explain(asking, x))


def test_explain_changes_nothing(x):
    net = net_of(CASES["running_sums"].args[0])
    compiled = snn.compile(net)
    compiled(x)
    before, random = states_of(net), torch.get_rng_state()
    snn.explain(compiled, x)
    assert all(state is before[name] for name, state in states_of(net).items())
    assert torch.equal(torch.get_rng_state(), random)


def test_what_does_not_profit_runs_plainly_and_says_so_once(caplog):
    def one(net, x):
        net.kinds.append(type(net.fc1(x)))
        spk, net.mem = net.lif1(net.fc1(x), getattr(net, "mem", None))
        return spk

    net, compiled = twins(one)
    net.kinds, compiled.kinds = [], []
    with caplog.at_level(logging.INFO, logger="snntorch"):
        for x in firing(6, B, N):
            torch.testing.assert_close(compiled(x), net(x), **EXACTLY)
    assert compiled.kinds[2:] == [torch.Tensor] * 4
    (record,) = caplog.records
    assert record.name.startswith("snntorch") and record.levelno == logging.INFO
    assert "Net" in record.getMessage()


def test_cycles_run_plainly_in_the_end(caplog, x):
    net, compiled = twins(recurrence_through_all)
    with caplog.at_level(logging.INFO, logger="snntorch"):
        for _ in range(5):
            torch.testing.assert_close(compiled(x), net(x), **EXACTLY)
    assert len(caplog.records) == 1


def test_what_profits_says_nothing_and_stays_compiled(caplog, x):
    compiled = snn.compile(net_of())
    with caplog.at_level(logging.DEBUG, logger="snntorch"):
        for _ in range(5):
            compiled(x)
    assert not [record for record in caplog.records if record.levelno >= logging.INFO]
    assert linears(compiled, x) == 2


@pytest.mark.parametrize(
    ("steps", "batch", "gradients", "recorded"),
    [
        (10, B, False, False),
        (100, B, False, True),
        (5, B, True, False),
        (20, B, True, True),
        (10, 2000, False, True),
    ],
)
def test_few_steps_of_small_layers_are_not_recorded(monkeypatch, steps, batch, gradients, recorded):
    monkeypatch.setattr(record, "SMALL", 4096)
    compiled, x = snn.compile(net_of()), firing(steps, batch, N)
    with torch.set_grad_enabled(gradients):
        for _ in range(2):
            compiled(x)
        assert linears(compiled, x) == (2 if recorded else 2 * steps)


def test_nothing_is_said_unless_asked_for():
    """A library must not print: its logger has neither a handler nor a level."""
    code = (
        "import torch, snntorch as snn\n"
        "net = snn.compile(snn.Leaky(0.9, init_hidden=True))\n"
        "for _ in range(5): net(torch.rand(2))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert not done.stdout and not done.stderr


# Memory ----------------------------------------------------------------------------------------


@pytest.fixture
def no_collector():
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def tensors():
    """Count tensors, but not the lazy ones that wait for their next use."""
    found = [each for each in gc.get_objects() if issubclass(type(each), torch.Tensor)]
    return sum(getattr(each, "_node", each) is not None for each in found)


@pytest.mark.parametrize("gradients", [True, False])
@pytest.mark.parametrize("name", ["lists", "numbers_read", "recurrence_through_all", "dropout"])
def test_memory_is_freed_without_the_collector(no_collector, name, gradients):
    net, counts = snn.compile(CASES[name]().double()), []
    with torch.set_grad_enabled(gradients):
        for _ in range(20):
            x = firing(T, B, N)
            out = net(x)
            kept = [weakref.ref(leaf) for leaf in (x, *tree_leaves(out)) if torch.is_tensor(leaf)]
            utils.reset(net)
            del x, out
            assert not any(each() is not None for each in kept)
            counts.append(tensors())
    assert len(set(counts[5:])) == 1


def test_memory_is_freed_after_a_failure(no_collector):
    def loop(net, x):
        net.calls += 1
        out = plain(net, x)
        if net.calls % 2:
            raise KeyError(out.shape)
        return out

    net, counts = snn.compile(net_of(loop)), []
    net.calls = 0
    for _ in range(10):
        x = firing(T, B, N)
        kept = weakref.ref(x)
        with contextlib.suppress(KeyError):
            net(x).sum().backward()
        utils.reset(net)
        net.zero_grad()
        del x
        assert kept() is None
        counts.append(tensors())
    assert len(set(counts[4::2])) == len(set(counts[5::2])) == 1


def test_a_compiled_network_can_be_freed(no_collector):
    net = net_of()
    compiled = snn.compile(net)
    compiled(firing(T, B, N)).sum().backward()
    kept = weakref.ref(net), weakref.ref(compiled), weakref.ref(net.fc1)
    del net, compiled
    assert not any(each() is not None for each in kept)


def test_a_graph_does_not_keep_the_network(no_collector):
    compiled = snn.compile(net_of())
    out = compiled(firing(T, B, N).requires_grad_())
    kept = weakref.ref(compiled), weakref.ref(compiled.lif1)
    del compiled
    assert not any(each() is not None for each in kept)
    out.sum().backward()


PEAK = """
import sys
sys.path.insert(0, "benchmarks")
import torch, loops, memory
torch.set_num_threads(1)
name, way, time = sys.argv[1:]
loops.training(name, way, 10)()
before = memory.peak()
loops.training(name, way, time)()
print(memory.peak() - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("name, time", [("dense", 200), ("quickstart", 50), ("traces", 500)])
def test_peak_memory_is_that_of_unroll(name, time):
    def peak(way):
        command = [sys.executable, "-c", PEAK, name, way, str(time)]
        # Large blocks outside the heap: where its gaps lie is chance, and a tenth of the figure.
        env = os.environ | {"MALLOC_MMAP_THRESHOLD_": "1000000"}
        done = subprocess.run(
            command, capture_output=True, text=True, check=True, cwd=ROOT, env=env
        )
        return int(done.stdout)

    compiled, unrolled = peak("compiled"), peak("unrolled")
    assert compiled <= 1.05 * unrolled + 2


def test_the_same_call_twice_is_one_graph_each(x):
    """Graphs of two calls are independent: either can be used first."""
    net, compiled = twins()
    first, second = compiled(x), compiled(2 * x)
    second.sum().backward()
    first.sum().backward()
    call(net, x).sum().backward()
    net(2 * x).sum().backward()
    for got, want in zip(compiled.parameters(), net.parameters(), strict=True):
        torch.testing.assert_close(got.grad, want.grad, **EXACTLY)

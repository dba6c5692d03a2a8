"""The torch.compile backend on the CPU, by its name.

``test_equivalence.py`` compares its uncompiled blocks with the loop over time, for every neuron,
reset and layout.
"""

import textwrap

import pytest
import torch
from models import MODELS
from project import run_python
from releases import needs_2_1
from sequences import Adaptive, run
from torch import nn
from torch._dynamo.utils import counters
from torch.utils.checkpoint import checkpoint

import snntorch as snn
from snntorch import surrogate
from snntorch._engine import backends, compiled, cpu
from snntorch.testing import check_neuron

pytestmark = needs_2_1
BY_ID = {model.id: model for model in MODELS}
B = 3


def stated(neuron, x):
    return neuron._snn_pose(x, len(x), False)


def compare(neuron, x, rounded=False):
    """Hold the backend against the loop over time."""
    (outs, grads), (want, truth) = (run(neuron, x, b) for b in ("torch.compile", "reference"))
    assert want[0].any()
    if rounded:
        torch.testing.assert_close(outs, want)
        most = 1e-4  # sums over neurons, in another order, may cancel
    else:
        most = 1e-5
        assert all(map(torch.equal, outs, want))
    for grad, true in zip(grads, truth, strict=True):
        assert (grad - true).norm() <= most * true.norm()


@pytest.fixture
def uncompiled(monkeypatch):
    """Run blocks as they are, which takes no time to compile."""
    monkeypatch.setattr(torch, "compile", lambda function, **options: function)
    monkeypatch.setattr(compiled, "_unavailable", lambda device: None)
    monkeypatch.setattr(compiled, "_block", compiled.cache(compiled.Block))


# Compiled ------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_layer_of_any_size_in_one_graph():
    neuron = snn.Leaky(beta=torch.linspace(0.8, 0.95, 5), learn_beta=True)
    x = 0.4 + torch.randn(20, B, 5)
    compare(neuron, x)
    graphs = counters["stats"]["unique_graphs"]
    for steps, batch in ((30, 7), (10, 1), (20, 64)):
        compare(neuron, 0.4 + torch.randn(steps, batch, 5))
    compare(neuron, x.transpose(0, 1).contiguous().transpose(0, 1))
    compare(neuron, x[:1].expand_as(x))
    assert counters["stats"]["unique_graphs"] == graphs
    plan = snn.explain(neuron, x, backend="torch.compile")
    assert (plan[0].backend, plan[0].reason) == ("torch.compile", None)


@pytest.mark.slow
@pytest.mark.parametrize("row", MODELS, ids=lambda row: row.id)
def test_every_neuron(row):
    compare(row.make(learn_threshold=True), row.input(12, B), rounded=row.rounded)
    compare(row.make(init_hidden=True), row.input(20, B), rounded=row.rounded)


@pytest.mark.slow
def test_values_do_not_depend_on_the_number_of_threads():
    neuron, x = snn.Leaky(0.9, learn_beta=True), 0.4 + torch.randn(20, 40, 300)
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        try:
            compare(neuron, x)
        finally:
            torch.set_num_threads(1)


@pytest.mark.slow
def test_more_graphs_than_dynamo_allows_for_a_function():
    """Each block is a function of its own."""
    for place in range(12):
        slope = surrogate.fast_sigmoid(1.0 + place)
        model = snn.neuron_from_equations(
            f"Mine{place}", ("v",), lambda states, x, c=place: {"v": 0.9 * states["v"] + x + c / 99}
        )
        compare(model(spike_grad=slope), 0.4 + torch.randn(10, B, 5))


# Uncompiled ----------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_that_of_a_float32_run(uncompiled, dtype):
    neuron, twin = (snn.Leaky(0.75, learn_beta=True) for _ in range(2))
    x = (0.4 + torch.randn(12, B, 5)).to(dtype)
    (outs, grads), (want, truth) = (
        run(neuron.to(dtype), x, "torch.compile"),
        run(twin, x.float(), "reference"),
    )
    assert want[0].any()
    for ours, true in zip((*outs, *grads), (*want, *truth), strict=True):
        assert ours.dtype == dtype
        assert torch.equal(ours, true.to(dtype))


@pytest.mark.slow
def test_a_users_neuron(uncompiled):
    given = {"backends": ["torch.compile"], "skip": ["derivatives"]}
    for options in (lambda: {}, lambda: {"refractory": 2, "recurrent": nn.Linear(5, 5)}):

        def make(options=options, **more):
            return Adaptive(**options(), **more)

        assert "backends" in check_neuron(make, **given).passed


def test_what_is_differentiated_twice_or_again(uncompiled):
    neuron, x = snn.Leaky(0.9), (0.4 + torch.randn(12, B, 5)).requires_grad_()
    loss = snn.unroll(neuron, x, backend="torch.compile")[1].square().sum()
    first = torch.autograd.grad(loss, x, retain_graph=True)
    assert torch.equal(*first, *torch.autograd.grad(loss, x, retain_graph=True))
    with pytest.raises(RuntimeError, match=r"differentiated once; .*use_backend\('reference'\)"):
        torch.autograd.grad(loss, x, create_graph=True)
    again = checkpoint(
        lambda x: snn.unroll(neuron, x, backend="torch.compile")[1], x, use_reentrant=False
    )
    assert torch.equal(*first, *torch.autograd.grad(again.square().sum(), x))


def test_loops_that_are_compiled_by_the_library(uncompiled):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc, self.lif = nn.Linear(4, 5), snn.Leaky(0.9)

        def forward(self, x):
            mem, record = self.lif.init_leaky(), []
            for step in x:
                spk, mem = self.lif(self.fc(step), mem)
                record.append(spk)
            return torch.stack(record)

    net, x = Net(), 2 * torch.randn(12, B, 4)
    want, fast = net(x), snn.compile(net, backend="torch.compile")
    assert want.any() and torch.equal(fast(x), want)
    assert "torch.compile" in {stage.backend for stage in snn.explain(fast, x)}


# The choice ----------------------------------------------------------------------------------


def test_it_is_chosen_on_its_devices(uncompiled, monkeypatch):
    neuron, x = snn.Leaky(0.9), torch.randn(12, B, 5)
    assert compiled.DEVICES == ("mps", "xpu")
    assert backends.choose(stated(neuron, x)) == ("numba", None)
    monkeypatch.setattr(cpu, "DEVICES", ())
    text = str(snn.explain(neuron, x))
    assert "reference" in text and "there are no kernels for tensors on cpu" in text
    monkeypatch.setattr(compiled, "DEVICES", ("cpu",))
    assert backends.choose(stated(neuron, x)) == ("torch.compile", None)
    assert "torch.compile" in str(snn.explain(neuron, x))
    picky = snn.Leaky(0.9, inhibition=True)
    assert backends.choose(stated(picky, x)) == (
        "reference",
        "inhibition compares all neurons of a sample",
    )
    with pytest.raises(ValueError, match=r"'torch.compile' cannot run this layer: inhibition"):
        snn.unroll(picky, x, backend="torch.compile")


def test_other_devices_run_the_reference():
    neuron, x = snn.Leaky(0.9).to("meta"), torch.randn(12, B, 5, device="meta")
    (stage,) = snn.explain(neuron, x)
    assert (stage.backend, stage.reason) == (
        "reference",
        "there are no kernels for tensors on meta",
    )


def test_what_is_refused(uncompiled):
    neuron, x = snn.Leaky(0.9), torch.randn(12, B, 5)
    posed = stated(neuron, x)
    cases = {
        "another dtype": stated(snn.Leaky(torch.full((5,), 0.9).double()), x),
        "is not compiled": posed._replace(x=x.to(torch.float8_e5m2)),
        "several devices": posed._replace(x=x.to("meta")),
        "its step cannot be compiled .*erfc": stated(
            snn.neuron_from_equations(
                "Erfc", ("v",), lambda states, x: {"v": torch.special.erfc(states["v"]) + x}
            )(),
            x,
        ),
    }
    for reason, problem in cases.items():
        with pytest.raises(ValueError, match=f"'torch.compile' cannot run this layer: .*{reason}"):
            backends.choose(problem, "torch.compile")


SCRIPT = """
    import sys, warnings
    import torch
    import snntorch as snn
    from snntorch._engine import backends, compiled, cpu

    cpu.DEVICES, compiled.DEVICES = (), ("cpu",)

    def run():
        x = torch.linspace(-1, 3, 180).reshape(12, 3, 5).requires_grad_()
        spikes, mem = snn.unroll(snn.Leaky(beta=0.9), x)
        mem.sum().backward()
        return snn.explain(snn.Leaky(0.9), x)[0].backend

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        names = [run() for _ in range(3)]
    said = [str(each.message) for each in caught if "torch.compile" in str(each.message)]
    print(*names, len(said), "torch.compile cannot be used here" in said[0], said[0])
"""


@pytest.mark.parametrize(
    "broken, reason",
    [
        pytest.param(
            {"CXX": "/nowhere/c++"},
            "InvalidCxxCompiler: No working C++ compiler found",
            marks=pytest.mark.slow,
        ),
        ({"TORCH_COMPILE_DISABLE": "1"}, "RuntimeError: "),
    ],
)
def test_without_a_compiler_the_reference_runs_and_says_so_once(broken, reason, tmp_path):
    environment = {**broken, "TORCHINDUCTOR_CACHE_DIR": str(tmp_path)}
    out = run_python(textwrap.dedent(SCRIPT), **environment)
    assert out.split()[:5] == ["reference"] * 3 + ["1", "True"]
    assert reason in out


def test_a_step_that_the_compiler_fails_on_runs_uncompiled(uncompiled, monkeypatch):
    def failing(function, **options):
        def fail(*tensors):
            raise torch._dynamo.exc.Unsupported("no such operation")

        return fail

    monkeypatch.setattr(torch, "compile", failing)
    with pytest.warns(UserWarning, match=r"no such operation.*runs uncompiled") as said:
        compare(snn.Leaky(0.9), 0.4 + torch.randn(20, B, 5))
    assert len(said) == 2  # a block for each direction
    compare(snn.Leaky(0.9), 0.4 + torch.randn(30, B, 5))


@pytest.mark.slow
def test_importing_and_running_on_the_cpu_does_not_load_the_compiler():
    code = """
        import sys
        import torch, snntorch as snn
        from snntorch._engine import compiled
        snn.explain(snn.Leaky(0.9), torch.randn(12, 3, 5))
        print("torch._inductor" in sys.modules)
    """
    assert run_python(textwrap.dedent(code)).split() == ["False"]

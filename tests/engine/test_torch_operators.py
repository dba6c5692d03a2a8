"""A neuron's sequence as one operator of torch.compile and torch.export."""

import copy
import io
import pickle
import subprocess
import sys
from contextlib import nullcontext
from functools import partial
from itertools import islice, product

import pytest
import torch
from releases import TRITON, gradients_of, needs_2_5
from torch import nn

import snntorch as snn
from snntorch import dynamics, surrogate
from snntorch._engine import backends, cpu, cuda, fused, operators
from snntorch._registry import Registry

if not fused.OPERATORS:
    pytest.skip("this torch has no custom operators", allow_module_level=True)

from functorch.compile import make_boxed_func
from torch._dynamo.backends.common import aot_autograd
from torch._dynamo.testing import CompileCounterWithBackend, EagerAndRecordGraphs
from torch.utils._pytree import tree_map_only

if TRITON:  # loaded under its interpreter, it could not compile
    import triton  # noqa: F401

pytestmark = [
    needs_2_5,  # whose torch.compile traces the planning of a network
    # Of torch.compile itself.
    pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*torch.jit.*is deprecated:DeprecationWarning"),
]


@pytest.fixture(autouse=True)
def forgotten():
    torch.compiler.reset()  # it keeps few variants of a function


@pytest.fixture(params=[cpu, cuda], ids=lambda backend: backend.NAME)
def engine(request, monkeypatch):
    """Return each backend that runs inside the operator, Triton in its interpreter."""
    if request.param is cuda:
        pytest.importorskip("triton", "3.1")
        monkeypatch.setenv("TRITON_INTERPRET", "1")
    return request.param


def network(dense=False, backend=None, **kwargs):
    options = {"beta": 0.9, "threshold": 0.3, "init_hidden": True}
    layers = [nn.Linear(20, 30), snn.Leaky(**options)]
    if dense:
        layers[1:] = [snn.RLeaky(**options, linear_features=30)]
        kwargs["recurrent"] = nn.Linear(5, 5, bias=False)
    layers += [nn.Linear(30, 5), snn.Synaptic(alpha=0.8, beta=0.9, init_hidden=True, **kwargs)]
    return snn.Unroll(nn.Sequential(*layers), backend=backend)


def leaves(problem):
    """Return a problem on leaves of a graph, and these."""
    every = [each.detach().clone().requires_grad_() for each in fused.tensors_of(problem)]
    waiting = iter(every)
    x = next(waiting)
    names = ("states", "parameters", "weights")
    parts = {name: tuple(islice(waiting, len(getattr(problem, name)))) for name in names}
    return problem._replace(x=x, **parts), every


def results(solution):
    return [solution.spikes, *(solution.traces or ()), *solution.states]


def gradients(outs, every):
    """Return gradients of a sum of results with different weights."""
    loss = sum((out * (1 + i + out.detach().cos())).sum() for i, out in enumerate(outs))
    return gradients_of(loss, every)


@pytest.mark.slow
def test_the_operator_is_the_kernel_of_every_model(model, reset, delay, engine):
    kwargs = {"reset_delay": delay} if model.delay else {}
    neuron = model.make(reset_mechanism=reset, **kwargs)
    for only_spikes in (True, False):
        neuron.init_hidden, neuron.output = only_spikes, False
        neuron.reset_hidden()
        posed = neuron._snn_pose(model.input(7, 3), 7, False)
        if posed.dynamics is None:
            pytest.skip("this neuron does not become an operator")
        assert engine.refuses(posed) is None
        (kernel, mine), (operator, theirs) = leaves(posed), leaves(posed)
        want, got = results(engine.solve(kernel)), results(operators.solve(operator, engine.NAME))
        assert want[0].any() or model.id == "LeakyParallel"
        for a, b in zip(want, got, strict=True):
            assert torch.equal(a, b)
        for a, b in zip(gradients(want, mine), gradients(got, theirs), strict=True):
            assert torch.equal(a, b)


def pose(neuron, static, shape=(5,), dtype=torch.float32):
    return neuron.to(dtype)._snn_pose(torch.rand(*[6][static:], 2, *shape).to(dtype), 6, static)


def mixed(static):
    """Return a problem whose input is in half precision, and its states in single precision."""
    posed = pose(snn.Leaky(beta=0.9), static)
    return posed._replace(x=posed.x.half())


ONE = {
    "leaky": lambda: snn.Leaky(beta=0.9),
    "only_spikes": lambda: snn.Leaky(beta=0.9, init_hidden=True),
    "per_neuron": lambda: snn.Leaky(beta=torch.rand(5), learn_beta=True, learn_threshold=True),
    "feedback": lambda: snn.RLeaky(beta=0.9, V=0.3, all_to_all=False),
    "no_surrogate": lambda: snn.Leaky(beta=0.9, surrogate_disable=True),
    "refractory": lambda: snn.Synaptic(alpha=0.8, beta=0.9, refractory=2),
    "linear": lambda: snn.RLeaky(beta=0.9, linear_features=5),
}
CASES = {name: lambda static, make=make: pose(make(), static) for name, make in ONE.items()}
CONV = {"alpha": 0.8, "beta": 0.9, "conv2d_channels": 2, "kernel_size": (2, 3)}
CASES["conv"] = lambda static: pose(snn.RSynaptic(**CONV), static, (2, 4, 4))
HALF = {
    "half": lambda static: pose(
        snn.RLeaky(torch.rand(5), linear_features=5), static, dtype=torch.half
    ),
    "mixed": mixed,
}
QUICK = {"leaky-timed", "per_neuron-static", "feedback-timed", "linear-timed"}
QUICK = {f"{case}-numba" for case in QUICK} | {"half-timed-triton", "mixed-static-triton"}


def cases():
    """Return backends, problems, and whether their input is static."""
    found = []
    for engine, given in ((cpu, CASES), (cuda, CASES | HALF)):
        for name, static in product(given, (False, True)):
            case = f"{name}-{'static' if static else 'timed'}-{engine.NAME}"
            marks = () if case in QUICK else pytest.mark.slow
            found.append(pytest.param(engine, given[name], static, id=case, marks=marks))
    return found


@pytest.mark.parametrize("engine, posed, static", cases(), indirect=["engine"])
def test_opcheck(engine, posed, static, monkeypatch):
    calls, posed = [], posed(static)
    kernel, mine = leaves(posed)
    want = results(engine.solve(kernel))
    with monkeypatch.context() as patched:
        for name in ("scan", "scan_backward"):
            original = getattr(torch.ops.snntorch, name).default
            patched.setattr(torch.ops.snntorch, name, partial(called, calls, original))
        operator, every = leaves(posed)
        got = results(operators.solve(operator, engine.NAME))
        grads = gradients(got, every)
    assert all(map(torch.equal, [*want, *gradients(want, mine)], [*got, *grads]))
    (scan, given), (backward, read) = calls
    torch.library.opcheck(scan, given)
    detached = tree_map_only(torch.Tensor, torch.Tensor.detach, read)
    torch.library.opcheck(backward, detached)
    with pytest.raises(RuntimeError, match="differentiated once"):
        sum(each.sum() for each in backward(*read)).backward()


def called(calls, original, *args):
    calls.append((original, args))
    return original(*args)


PLAIN, TRACES, DENSE = {"output": False}, {"output": True}, {"dense": True, "output": True}
GRAPHS = [
    (cpu, "eager", TRACES, torch.float32),
    (cpu, "aot_eager", PLAIN, torch.float32),
    (cuda, "aot_eager", DENSE, torch.half),
]
SLOW_GRAPHS = [
    (cpu, "eager", PLAIN, torch.float32),
    (cpu, "aot_eager", TRACES, torch.float32),
    (cpu, "aot_eager", DENSE, torch.float32),
    (cuda, "eager", PLAIN, torch.float32),
    *((cpu, "inductor", kwargs, torch.float32) for kwargs in (PLAIN, TRACES, DENSE)),
    (cuda, "aot_eager", DENSE, torch.float32),
    (cuda, "aot_eager", TRACES, torch.bfloat16),
    (cuda, "inductor", PLAIN, torch.float32),
    (cuda, "inductor", DENSE, torch.half),
]


@pytest.mark.parametrize(
    "engine, backend, kwargs, dtype",
    [*GRAPHS, *(pytest.param(*row, marks=pytest.mark.slow) for row in SLOW_GRAPHS)],
    indirect=["engine"],
    ids=lambda each: getattr(each, "NAME", None),
)
def test_one_graph_for_all_batch_sizes(engine, backend, kwargs, dtype):
    net = network(backend=engine.NAME, learn_beta=True, **kwargs).to(dtype)
    counter = CompileCounterWithBackend(backend)
    compiled = torch.compile(net, fullgraph=True, backend=counter)
    for batch in (6, 9, 13):
        given = torch.rand(12, batch, 20, dtype=dtype)
        torch._dynamo.mark_dynamic(given, 1)
        found = []
        for run in (net, compiled):
            net.zero_grad()
            x = given.clone().requires_grad_()
            if run is compiled:
                torch._dynamo.mark_dynamic(x, 1)
            out = run(x)
            outs = list(out) if kwargs["output"] else [out]
            sum(each.float().square().sum() for each in outs).backward()
            states = [state for lif in (net.net[1], net.net[3]) for state in hidden(lif)]
            grads = [x.grad, *(p.grad for p in net.parameters())]
            found.append((outs, states, grads))
        for want, got in zip(*found, strict=True):
            near = {"rtol": 0, "atol": 0}
            if backend == "inductor":  # it may take another product of matrices
                near = {"rtol": 1e-5, "atol": 1e-6 if dtype == torch.float32 else 1e-2}
            torch.testing.assert_close(got, want, **near)
        assert found[0][0][0].any()
    assert counter.frame_count == 1
    assert len(scans(counter.graphs[0])) == 2


def hidden(lif):
    return [getattr(lif, name).detach() for name in lif._snn_state_names]


def scans(graph):
    return [node for node in graph.graph.nodes if "snntorch.scan" in str(node.target)]


@pytest.mark.parametrize("dense", [False, True])
def test_the_backward_pass_is_one_operator_too(dense):
    recorded = []

    def keep(graph, inputs):
        recorded.append([str(node.target) for node in graph.graph.nodes])
        return make_boxed_func(graph.forward)

    backend = aot_autograd(fw_compiler=keep, bw_compiler=keep)
    x = torch.rand(12, 6, 20, requires_grad=True)
    torch.compile(network(dense), fullgraph=True, backend=backend)(x).sum().backward()
    forward, backward = recorded
    assert forward.count("snntorch.scan.default") == 2
    assert backward.count("snntorch.scan_backward.default") == 2
    assert len(backward) < 60  # no step by itself


@torch.no_grad()
def test_it_goes_on_from_states():
    net = network()
    compiled = torch.compile(snn.Unroll(net.net, reset=False), fullgraph=True, backend="aot_eager")
    first, second = torch.rand(2, 8, 3, 20).unbind()
    want = [net(first), snn.unroll(net.net, second, reset=False)]
    for lif in (net.net[1], net.net[3]):
        lif.reset_hidden()
    got = [compiled(first), compiled(second)]
    torch.testing.assert_close(got, want, rtol=0, atol=0)


def test_samples_that_lie_otherwise_in_memory(engine):
    net = nn.Sequential(nn.Conv2d(2, 4, 3), snn.Leaky(beta=0.9, threshold=0.1, init_hidden=True))
    unrolled = snn.Unroll(net, backend=engine.NAME)
    compiled = torch.compile(unrolled, fullgraph=True, backend="aot_eager")
    x = torch.rand(10, 2, 6, 6).to(memory_format=torch.channels_last).unflatten(0, (5, 2))
    torch.testing.assert_close(compiled(x), unrolled(x), rtol=0, atol=0)
    batch_first = torch.rand(2, 5, 2, 6, 6).transpose(0, 1)
    assert not batch_first[0].is_contiguous()
    torch.testing.assert_close(compiled(batch_first), unrolled(batch_first), rtol=0, atol=0)


@pytest.mark.filterwarnings("ignore:The tensor attributes:UserWarning")
@pytest.mark.filterwarnings("ignore:While compiling, we found certain side effects:UserWarning")
@pytest.mark.parametrize(
    "engine, dense, strict",
    [(cpu, False, False), (cpu, True, True), (cuda, True, False)],
    indirect=["engine"],
    ids=["plain", "dense strict", "dense triton"],
)
def test_export(engine, dense, strict):
    net = network(dense, engine.NAME).eval()
    cuda._unavailable.cache_clear()  # a kernel is tried while the network is traced
    x = torch.rand(12, 6, 20)
    batch = torch.export.Dim("batch", min=2, max=64)
    program = torch.export.export(net, (x,), dynamic_shapes=({1: batch},), strict=strict)
    assert len(scans(program.graph_module)) == 2
    file = io.BytesIO()
    torch.export.save(program, file)
    file.seek(0)
    loaded = torch.export.load(file).module()
    for size in (6, 11):
        x = torch.rand(12, size, 20)
        torch.testing.assert_close(loaded(x), net(x), rtol=0, atol=0)


class Own(surrogate.SurrogateFunction):
    @staticmethod
    def slope(input_, steepness=2.0):
        return 1 / (1 + steepness * input_.abs())


@pytest.mark.parametrize(
    "spike_grad, count",
    [
        (surrogate.fast_sigmoid(25), 2),
        (Own(3.0), 2),
        (lambda u: surrogate.ATan.apply(u), 0),
        (surrogate.SFS(25, B=1), 2),
        (surrogate.fast_sigmoid(torch.tensor(25.0)), 0),
    ],
    ids=["fast_sigmoid", "own", "callable", "random", "tensor"],
)
def test_what_becomes_an_operator(spike_grad, count):
    net = network()
    net.net[1].spike_grad = net.net[3].spike_grad = spike_grad
    recorded = EagerAndRecordGraphs()
    x = torch.rand(4, 3, 20)
    got = torch.compile(net, fullgraph=True, backend=recorded)(x)
    assert sum(len(scans(graph)) for graph in recorded.graphs) == count
    torch.testing.assert_close(got, net(x), rtol=0, atol=0)


def test_a_chosen_reference_is_traced_step_by_step():
    net = network()
    net.backend = "reference"
    recorded = EagerAndRecordGraphs()
    x = torch.rand(4, 3, 20)
    torch.testing.assert_close(torch.compile(net, backend=recorded)(x), net(x), rtol=0, atol=0)
    assert not scans(recorded.graphs[0])


@pytest.mark.parametrize("engine", [cuda], indirect=True)
@pytest.mark.parametrize("fails", [False, True])
def test_a_kernel_is_tried_while_torch_compile_traces(engine, fails, monkeypatch):
    """As on a GPU: the backend believes that the interpreter is off, and has the device."""
    kernel, tried = cuda._kernel, []

    def interpreting(spec, backward, rank, _):
        if fails and spec.dynamics.name != dynamics.LEAKY.dynamics("none", True).name:
            raise RuntimeError("ptxas failed")
        tried.append(spec.dynamics.name)
        return kernel(spec, backward, rank, True)

    monkeypatch.setattr(cuda, "interpreted", lambda: False)
    monkeypatch.setattr(cuda, "_kernel", interpreting)
    monkeypatch.setattr(cuda, "DEVICES", ("cpu",))
    monkeypatch.setattr(cpu, "DEVICES", ())
    cuda._unavailable.cache_clear()
    cuda._uncompilable.cache_clear()
    net, x, recorded = network(), torch.rand(4, 3, 20), EagerAndRecordGraphs()
    compiled = torch.compile(net, fullgraph=True, backend=recorded)
    said = pytest.warns(UserWarning, match="Triton fails to compile its step.*ptxas failed")
    with said if fails else nullcontext():
        got = compiled(x)
    assert tried and [node.args[-1] for node in scans(recorded.graphs[0])] == (
        [] if fails else [cuda.NAME] * 2
    )
    torch.testing.assert_close(got, snn.unroll(net.net, x, backend="reference"), rtol=0, atol=0)
    cuda._unavailable.cache_clear()
    cuda._uncompilable.cache_clear()


def test_an_older_torch_traces_step_by_step(monkeypatch):
    monkeypatch.setattr(fused, "OPERATORS", False)
    recorded = EagerAndRecordGraphs()
    net, x = network(), torch.rand(4, 3, 20)
    got = torch.compile(net, fullgraph=True, backend=recorded)(x)
    assert not scans(recorded.graphs[0])
    torch.testing.assert_close(got, net(x), rtol=0, atol=0)


def test_the_compiler_is_not_imported_for_it():
    code = "import sys, torch, snntorch as snn; snn.unroll(snn.Leaky(beta=0.9), torch.rand(3, 2));"
    code += "assert torch.ops.snntorch.scan.default and 'torch._inductor' not in sys.modules"
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True)


def test_names():
    registry, things = Registry(), [Own, surrogate.ATan, surrogate.Sigmoid]
    assert [registry.add("name", thing) for thing in things] == ["name", "name 2", "name 3"]
    assert registry["name 2"] is surrogate.ATan
    keys = [each.key for each in operators.DYNAMICS.things.values()]
    assert sorted(keys) == sorted(operators.DYNAMICS.things.keys())
    for spike_grad in (surrogate.atan(3.0), Own(3.0)):
        for again in (pickle.loads(pickle.dumps(spike_grad)), copy.deepcopy(spike_grad)):
            assert again == spike_grad and again._key == spike_grad._key
            assert operators.SURROGATES[again._key] is again.function


def test_the_choice_is_that_of_a_call_that_is_not_compiled():
    assert backends.choose(network().net[1]._snn_pose(torch.rand(3, 2, 4), 3, False))[0] == cpu.NAME

"""Every backend against the reference: values to the bit, gradients to rounding."""

import concurrent.futures
import textwrap

import pytest
import torch
from models import FEW, MODELS, few
from project import run_python
from releases import CLAMPS_HALF, gradients_of
from torch import nn

import snntorch as snn
from snntorch import surrogate
from snntorch._engine import backends, cpu, reference


def problem(neuron, *args):
    """State a neuron's problem."""
    return neuron._snn_problem(*args)


SINGLE = [m for m in MODELS if m.id in ("leaky", "lapicque-beta", "synaptic", "alpha")]
SINGLE += [m for m in MODELS if m.id in ("rleaky-one", "rsynaptic-one") or m.equation]
DENSE = [m for m in MODELS if m.id.endswith(("-linear", "-conv"))]
GATED = [m for m in MODELS if "lstm" in m.id]
BY_ID = {model.id: model for model in MODELS}
T, B = 9, 3


def learnable(model, learn=True):
    flags = {f"learn_{name}": learn for name in model.vectors if name != "V"}
    if model.cls == "Alpha":
        flags |= {"learn_alpha": learn, "learn_beta": learn}
    if not model.mechanism:
        rest = model.keys - {*model.vectors}
        flags |= {n: nn.Parameter(getattr(model.make(), n), learn) for n in sorted(rest)}
    if model.cls == "Leaky":
        flags |= {"learn_graded_spikes_factor": learn, "graded_spikes_factor": 1.5}
    return flags


def vectors(model):
    """Return a different value for each neuron, near the model's."""
    spread = torch.linspace(0.9, 1.05, model.hidden[-1])
    return {name: getattr(model.make(), name).detach() * spread for name in model.vectors}


def solve(backend, neuron, x, states, static=False, steps=T):
    stated = problem(neuron, x, steps, static, states)
    solution = backend.solve(stated)
    return [solution.spikes, *(solution.traces or ()), *solution.states]


def compare(model, neuron, x, static=False, steps=T, batch=B, weights=None):
    """Hold Numba against the reference, with all gradients."""
    shape = (*batch, *model.hidden) if isinstance(batch, tuple) else (batch, *model.hidden)
    dtype = x.dtype
    states = tuple(torch.rand(shape, dtype=dtype).requires_grad_() for _ in neuron.states)
    assert cpu.refuses(problem(neuron, x, steps, static, states)) is None
    leaves = [leaf for leaf in (x, *states, *neuron.parameters()) if leaf.requires_grad]
    results = []
    for backend in (cpu, reference):
        outs = solve(backend, neuron, x, states, static, steps)
        torch.manual_seed(5)
        loss = sum((w * out).sum() for w, out in zip(weights or _weights(outs), outs, strict=False))
        grads = gradients_of(loss, leaves)
        results.append((outs, grads))
    (ours, our_grads), (truth, true_grads) = results
    same = torch.allclose if model.rounded else torch.equal
    assert all(same(a, b) for a, b in zip(ours, truth, strict=True))
    assert 0 < truth[0].count_nonzero() < truth[0].numel()
    tolerance = 1e-10 if dtype == torch.float64 else 1e-5
    for a, b in zip(our_grads, true_grads, strict=True):
        assert (a - b).norm() <= tolerance * b.norm()


def _weights(outs):
    return [torch.randn(out.shape, dtype=out.dtype) for out in outs]


def rules():
    """Return all rules of all neurons; the pairs of choices in test_equivalence have them too."""
    return [
        pytest.param(
            model,
            reset,
            delay,
            id=f"{model.id}-{reset}-{'late' if delay else 'now'}",
            marks=() if model.id in FEW and reset != "none" and delay else pytest.mark.slow,
        )
        for model in [*SINGLE, *DENSE, *GATED]
        for reset in (("subtract", "zero", "none") if model.mechanism else ("none",))
        for delay in ((True, False) if model.delay and reset != "none" else (True,))
    ]


@pytest.mark.parametrize("row, mechanism, late", rules())
def test_every_rule_with_everything_learnable(row, mechanism, late):
    options = {} if late else {"reset_delay": False}
    neuron = row.make(reset_mechanism=mechanism, **options, **learnable(row))
    neuron = neuron.double()
    compare(row, neuron, row.input(T, B, dtype=torch.float64).requires_grad_())


@pytest.mark.parametrize("row", few(SINGLE))
def test_vectors_in_float32(row):
    neuron = row.make(**vectors(row), **learnable(row))
    compare(row, neuron, row.input(T, B).requires_grad_())


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("learn", [True, False])
def test_dense_feedback(bias, learn):
    model = BY_ID["rleaky-linear"]
    neuron = model.make(learn_recurrent=learn, learn_beta=True).double()
    if not bias:
        neuron.recurrent.register_parameter("bias", None)
    for static in (False, True):
        x = model.input(*([] if static else [T]), B, dtype=torch.float64).requires_grad_()
        compare(model, neuron, x, static=static)
    x = model.input(T, dtype=torch.float64)  # without a batch
    compare(model, neuron, x.requires_grad_(), batch=())


@pytest.mark.parametrize("frozen", ["weight", "bias"])
@pytest.mark.parametrize("row", DENSE, ids=lambda m: m.id)
def test_half_frozen_feedback(row, frozen):
    neuron = row.make().double()
    getattr(neuron.recurrent, frozen).requires_grad_(False)
    compare(row, neuron, row.input(T, B, dtype=torch.float64).requires_grad_())


@pytest.mark.parametrize("kernel_size", [2, (4, 3)])
def test_convolutional_feedback(kernel_size):
    model = BY_ID["rleaky-conv"]
    neuron = model.make(kernel_size=kernel_size, learn_beta=True).double()
    compare(model, neuron, model.input(T, B, dtype=torch.float64).requires_grad_())
    x = model.input(T, dtype=torch.float64)  # without a batch
    compare(model, neuron, x.requires_grad_(), batch=())


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("row", GATED, ids=lambda m: m.id)
def test_gates(row, bias):
    neuron = row.make(bias=bias, learn_threshold=True, reset_mechanism="subtract").double()
    for lead, static, batch in (([T, B], False, B), ([B], True, B), ([T], False, ())):
        x = row.input(*lead, dtype=torch.float64).requires_grad_()
        compare(row, neuron, x, static=static, batch=batch)
    compare(row, neuron, row.input(T, B, dtype=torch.float64))  # no gradient of the input
    with torch.no_grad():
        x, states = row.input(T, B, dtype=torch.float64), [torch.zeros(B, *row.hidden).double()] * 2
        outs = [solve(backend, neuron, x, tuple(states)) for backend in (cpu, reference)]
    assert all(map(torch.allclose, *outs))


def test_gates_under_autocast():
    neuron, states = BY_ID["slstm"].make(), (torch.zeros(B, 7),) * 2
    stated = problem(neuron, torch.randn(T, B, 5), T, False, states)
    with torch.autocast("cpu", torch.bfloat16):
        assert "autocast" in cpu.refuses(stated)
    assert cpu.refuses(stated) is None


COMPILED = (
    surrogate.ATan,
    surrogate.FastSigmoid,
    surrogate.Sigmoid,
    surrogate.StraightThroughEstimator,
    surrogate.Heaviside,
    surrogate.Triangular,
    surrogate.SpikeRateEscape,
    surrogate.SparseFastSigmoid,
    surrogate.LeakySpikeOperator,
)


@pytest.mark.parametrize("function", COMPILED, ids=lambda f: f.__name__)
def test_surrogates_whose_slope_is_compiled(function):
    model = BY_ID["leaky"]
    neuron = model.make(spike_grad=function(), learn_threshold=True).double()
    compare(model, neuron, model.input(T, B, dtype=torch.float64).requires_grad_())


def test_surrogates_of_the_users_own_by_their_slope():
    class Gaussian(surrogate.SurrogateFunction):
        @staticmethod
        def slope(input_, width=0.5):
            return torch.exp(-((input_ / width) ** 2))

    model = BY_ID["leaky"]
    for threshold in (1.0, torch.linspace(0.8, 1.2, 5)):
        neuron = model.make(spike_grad=Gaussian(0.4), threshold=threshold, learn_threshold=True)
        compare(model, neuron, model.input(T, B).requires_grad_())


def test_a_backward_of_the_users_own_runs_on_the_reference():
    class Clipped(surrogate.FastSigmoid):
        @staticmethod
        def backward(ctx, grad):
            return grad.clamp(-1, 1), None

    custom = surrogate.custom_surrogate(lambda u, grad, spikes: grad.clamp(-1, 1))
    for spike_grad, reason in (Clipped, "a callable"), (custom, "no slope"):
        neuron = snn.Leaky(beta=0.9, spike_grad=spike_grad)
        stated = problem(neuron, torch.randn(T, B, 5), T, False, (torch.zeros(B, 5),))
        assert reason in cpu.refuses(stated)
    assert surrogate.FastSigmoid._by_slope


def test_static_input_only_spikes_and_partial_gradients():
    model = BY_ID["synaptic"]
    neuron = model.make()
    compare(model, neuron, model.input(B).requires_grad_(), static=True)
    neuron = model.make(init_hidden=True)
    compare(model, neuron, model.input(T, B).requires_grad_())
    compare(model, neuron, model.input(T, B))  # only the first states want a gradient
    outs = 5
    for kept in range(outs):
        weights = [torch.ones(()) if i == kept else torch.zeros(()) for i in range(outs)]
        compare(model, model.make(), model.input(T, B).requires_grad_(), weights=weights)


def layouts():
    images = torch.randn(T, B, 2, 4, 4)
    lines = torch.randn(B, T, 5)
    return {
        "every-second-step": (BY_ID["leaky"], torch.randn(2 * T, B, 5)[::2]),
        "batch-first": (BY_ID["leaky"], lines.transpose(0, 1)),
        "expanded-in-time": (BY_ID["leaky"], torch.randn(1, B, 5).expand(T, B, 5)),
        "expanded-in-batch": (BY_ID["leaky"], torch.randn(T, 1, 5).expand(T, B, 5)),
        "channels-last": (
            BY_ID["leaky-image"],
            images.permute(0, 1, 3, 4, 2).contiguous().permute(0, 1, 4, 2, 3),
        ),
        "reversed-features": (BY_ID["leaky"], torch.randn(T, B, 10)[..., ::2]),
    }


@pytest.mark.parametrize("layout", layouts())
@pytest.mark.parametrize("vector", [False, True])
def test_layouts(layout, vector):
    torch.manual_seed(2)
    model, x = layouts()[layout]
    beta = torch.full(model.hidden, 0.9) * torch.linspace(0.8, 1.1, model.hidden[-1])
    neuron = model.make(beta=beta if vector else 0.9, learn_beta=True)
    compare(model, neuron, (0.4 + x).detach().requires_grad_())
    spikes = solve(cpu, neuron, x, (torch.zeros(B, *model.hidden),))[0]
    if layout == "channels-last":
        assert spikes.stride()[1:] == x.stride()[1:]


@pytest.mark.parametrize("shape", [(1,), (), (40, 1), (3, 2, 300)])
def test_other_shapes_of_the_sample(shape):
    neuron = snn.Leaky(beta=0.9, learn_beta=True)
    x = (0.5 + torch.randn(T, *shape)).requires_grad_()
    outs = []
    for backend in (cpu, reference):
        spikes, mem, _ = solve(backend, neuron, x, (torch.zeros(shape),))
        outs.append([spikes, mem, *torch.autograd.grad((mem * mem).sum(), [x, neuron.beta])])
    assert torch.equal(outs[0][0], outs[1][0]) and torch.equal(outs[0][1], outs[1][1])
    torch.testing.assert_close(outs[0][2:], outs[1][2:])


def test_per_channel_decay():
    model = BY_ID["leaky-image"]
    neuron = model.make(beta=torch.tensor([0.5, 0.9]).reshape(2, 1, 1), learn_beta=True)
    compare(model, neuron, model.input(T, B).requires_grad_())


def test_results_do_not_depend_on_the_number_of_threads():
    neuron = snn.Leaky(beta=torch.full((300,), 0.9), learn_beta=True, learn_threshold=True)
    x = (0.3 + torch.randn(50, 40, 300)).requires_grad_()
    states = (torch.zeros(40, 300),)
    results = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        try:
            outs = solve(cpu, neuron, x, states, steps=50)
        finally:
            torch.set_num_threads(1)
        leaves = [x, neuron.beta, neuron.threshold]
        results.append(
            [*outs, *torch.autograd.grad(outs[0].sum() + outs[1].square().sum(), leaves)]
        )
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


def test_two_python_threads_at_once():
    x = (0.3 + torch.randn(50, 40, 300)).requires_grad_()

    def work(seed):
        neuron = snn.Leaky(beta=0.8 + 0.01 * seed)
        spikes, mem, _ = solve(cpu, neuron, x, (torch.zeros(40, 300),), steps=50)
        return spikes, torch.autograd.grad(mem.sum(), x)[0]

    alone = [work(seed) for seed in range(4)]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        together = list(pool.map(work, range(4)))
    for a, b in zip(alone, together, strict=True):
        assert torch.equal(a[0], b[0]) and torch.equal(a[1], b[1])


def test_saves_nothing_but_the_membrane():
    saved = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(t) or t, lambda t: t):
        neuron = snn.Leaky(beta=0.9)
        x = torch.randn(T, B, 5, requires_grad=True)
        outs = solve(cpu, neuron, x, (torch.zeros(B, 5),))
    large = [t for t in saved if t.numel() == x.numel()]
    assert [t.data_ptr() for t in large] == [outs[1].data_ptr()]


REFUSED = [
    ({"inhibition": True}, "inhibition"),
    ({"state_quant": torch.round}, "quantised"),
    ({"spike_grad": torch.sigmoid}, "may not fire by a step"),
    ({"spike_grad": surrogate.SSO()}, "no slope that is a function of the membrane"),
    ({"spike_grad": surrogate.fast_sigmoid(torch.linspace(1, 25, 5))}, "parameters are tensors"),
    ({"beta": torch.tensor([0.9], dtype=torch.float64).expand(5)}, "another dtype"),
]


@pytest.mark.parametrize("kwargs, reason", REFUSED)
def test_what_is_refused_runs_on_the_reference(kwargs, reason):
    neuron = snn.Leaky(**{"beta": 0.9, **kwargs})
    x = torch.randn(T, B, 5)
    stated = problem(neuron, x, T, False, (torch.zeros(B, 5),))
    name, why = backends.choose(stated)
    assert name == "reference" and reason in why
    with pytest.raises(ValueError, match=f"'numba' cannot run this layer.*{reason}"):
        backends.choose(stated, "numba")
    with backends.use_backend("numba"), pytest.raises(ValueError, match=reason):
        backends.solve(stated)


@pytest.mark.parametrize("reset", ["subtract", "zero"])
def test_an_instant_reset_of_alpha(reset):
    model = BY_ID["alpha"]
    neuron = model.make(reset_mechanism=reset, learn_threshold=True, learn_beta=True)
    neuron.reset_delay = False
    compare(model, neuron, model.input(T, B).requires_grad_())


@pytest.mark.parametrize("row", DENSE, ids=lambda m: m.id)
def test_products_under_autocast_are_those_of_the_loop(row):
    neuron, x = row.make(init_hidden=True), row.input(T, B)
    with torch.autocast("cpu", torch.bfloat16):
        spikes, mem = snn.unroll(neuron, x), neuron.mem
        neuron.reset_hidden()
        assert torch.equal(spikes, torch.stack([neuron(step) for step in x]))
    assert spikes.any() and torch.equal(mem, neuron.mem)


def test_a_lazily_negated_input():
    neuron, x = snn.Leaky(0.9, init_hidden=True), torch.randn(T, B, 5)
    negated = torch._neg_view(x)
    assert torch.equal(snn.unroll(neuron, negated), snn.unroll(neuron, -x))


def test_choice_of_backend(monkeypatch):
    stated = problem(snn.Leaky(beta=0.9), torch.randn(T, B, 5), T, False, (torch.zeros(B, 5),))
    assert backends.choose(stated) == ("numba", None)
    assert backends.choose(stated, "reference") == ("reference", None)
    with backends.use_backend("reference"):
        assert backends.choose(stated)[0] == "reference"
        assert backends.choose(stated, "numba")[0] == "numba"
        with backends.use_backend(None):
            assert backends.choose(stated)[0] == "numba"
    monkeypatch.setenv("SNNTORCH_BACKEND", "reference")
    assert backends.choose(stated)[0] == "reference"
    monkeypatch.setenv("SNNTORCH_BACKEND", "cuda")
    names = r"'numba', 'triton', 'torch\.compile', 'reference'"
    with pytest.raises(ValueError, match=f"'cuda' must be one of {names}"):
        backends.choose(stated)
    if CLAMPS_HALF:
        half = problem(snn.Leaky(beta=0.9).half(), torch.randn(T, B, 5).half(), T, False, ())
        assert "float16" in cpu.refuses(half)


SCRIPT = """
    import torch, warnings
    import snntorch as snn
    from snntorch._engine import backends

    def run(backend=None):
        x = torch.linspace(-1, 3, 60).reshape(4, 3, 5)
        stated = snn.Leaky(beta=0.9)._snn_problem(x, 4, False, (torch.zeros(3, 5),))
        return backends.choose(stated)[0], backends.solve(stated, backend).spikes
"""


def script(body, **environment):
    code = textwrap.dedent(SCRIPT) + textwrap.dedent(body)
    return run_python(code, **environment)


def test_without_numba_the_reference_runs_and_says_so_once():
    assert script(
        """
        import sys
        sys.modules["numba"] = None
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            names = [run()[0] for _ in range(3)]
        print(*names, len(caught), "Numba cannot be used" in str(caught[0].message))
        """,
        SNNTORCH_CACHE_DIR="",
    ).split() == ["reference"] * 3 + ["1", "True"]


@pytest.mark.parametrize(
    "kind", ["read-only", pytest.param("a file", marks=pytest.mark.slow), "missing parents"]
)
def test_any_cache_folder_will_do(kind, tmp_path):
    folder = tmp_path / "cache"
    if kind == "a file":
        folder.write_text("")
    elif kind == "missing parents":
        folder = folder / "deeper"
    else:
        folder.mkdir(mode=0o500)
    out = script("print(*run()[0:1], run()[1].sum().item())", SNNTORCH_CACHE_DIR=str(folder))
    assert out.split()[0] == "numba"
    if kind == "missing parents":
        assert list(folder.glob("scan_*.py"))


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_solves_too():
    out = script(
        """
        import os
        torch.set_num_threads(2)
        x = torch.randn(50, 40, 300)
        stated = snn.Leaky(beta=0.9)._snn_problem(x, 50, False, (torch.zeros(40, 300),))
        want = backends.solve(stated).spikes
        pid = os.fork()
        if pid == 0:
            os._exit(0 if torch.equal(backends.solve(stated).spikes, want) else 1)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        """
    )
    assert out.split() == ["0"]


@pytest.mark.parametrize("name", ["leaky", "rleaky-linear"])
def test_a_sequence_is_differentiated_once(name):
    model = BY_ID[name]
    neuron, x = model.make(), model.input(T, B).requires_grad_()
    loss = snn.unroll(neuron, x)[-1].square().sum()
    with pytest.raises(RuntimeError, match=r"differentiated once; .*use_backend\('reference'\)"):
        torch.autograd.grad(loss, x, create_graph=True)
    with snn.use_backend("reference"):
        loss = snn.unroll(neuron, x)[-1].square().sum()
    (grad,) = torch.autograd.grad(loss, x, create_graph=True)
    assert torch.autograd.grad(grad.square().sum(), x)[0].any()

"""The neurons that take whole sequences, DeltaLeaky, and the layers that are not neurons."""

import copy
import io
import json
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from project import TESTS
from releases import needs_2_5
from torch import nn

import snntorch as snn
from snntorch import utils
from snntorch._engine import backends
from snntorch._neurons.sequence import linear_scan

GOLDEN = TESTS / "golden" / "sequences"
CASES = sorted(path.stem for path in GOLDEN.glob("*.npz"))
B, N = 3, 5


def randn(*shape, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)


def close(a, b, **kwargs):
    torch.testing.assert_close(a, torch.as_tensor(b).to(a), **kwargs)


# Layers of each class over N inputs that return one tensor: spikes, or the membrane.
WHOLE = {
    "state": lambda **kw: snn.StateLeaky(torch.linspace(0.1, 0.95, N), N, output=False, **kw),
    "state-cut": lambda **kw: snn.StateLeaky(0.9, N, output=False, kernel_truncation_steps=4, **kw),
    "linear": lambda **kw: snn.LinearLeaky(0.9, N, 4, output=False, threshold=0.3, **kw),
    "parallel": lambda **kw: snn.LeakyParallel(N, 4, 0.9, threshold=0.3, **kw),
    "parallel-full": lambda **kw: snn.LeakyParallel(
        N, 4, 0.2, threshold=0.3, weight_hh_enable=True, **kw
    ),
    "associative": lambda **kw: scaled(snn.AssociativeLeaky(N, 2, 3, 6, **kw)),
    "associative-plain": lambda **kw: scaled(snn.AssociativeLeaky(N, 2, 3, 6, False, **kw)),
}
every_whole = pytest.mark.parametrize("kind", WHOLE)
GOES_ON = [kind for kind in WHOLE if kind != "state-cut"]


def scaled(layer):
    """Make values and keys large enough to fire."""
    with torch.no_grad():
        for projection in (layer.to_v, layer.to_k):
            projection.weight *= 4
    return layer


def make(kind, **kwargs):
    torch.manual_seed(3)
    return WHOLE[kind](**kwargs)


# The documented equations in NumPy -------------------------------------------------------------


def numpy_membrane(kind, p, x):
    """Return the membrane ``[T, ...]`` by the documented recurrence, step by step."""
    x, trace = x.astype(np.float64), []
    if kind in ("state", "linear"):
        x = x @ p["linear.weight"].T + p["linear.bias"] if kind == "linear" else x
        decay, mem = np.exp(-1 / p["tau"]), 0
        for x_t in x:
            mem = decay * mem + x_t
            trace.append(mem)
    elif kind == "state-cut":
        decay = np.exp(-1 / p["tau"])
        for t in range(len(x)):
            trace.append(sum(decay**j * x[t - j] for j in range(min(4, t + 1))))
    elif kind.startswith("parallel"):
        mem = np.zeros((*x.shape[1:-1], 4))
        for x_t in x:
            drive = x_t @ p["rnn.weight_ih_l0"].T + p["rnn.bias_ih_l0"] + p["rnn.bias_hh_l0"]
            mem = np.maximum(0, drive + mem @ p["rnn.weight_hh_l0"].T)
            trace.append(mem)
    else:
        value, key, alpha = (
            x @ p[f"to_{name}.weight"].T + p[f"to_{name}.bias"] for name in ("v", "k", "alpha")
        )
        mem = np.zeros((x.shape[1], value.shape[-1], key.shape[-1]))
        for v, k, a in zip(value, key, 1 / (1 + np.exp(-alpha)), strict=True):
            mem = a[:, None, :] * mem + v[:, :, None] * k[:, None, :]
            trace.append(mem)
    return np.stack(trace)


def numpy_output(kind, p, x):
    """Return what the layer gives, and how far each neuron is from its threshold."""
    mem = numpy_membrane(kind, p, x)
    if kind.startswith(("state", "linear")):
        return mem, np.full(mem.shape, np.inf)
    spk = (mem > p["threshold"]).astype(np.float64) * p["graded_spikes_factor"]
    overdrive = np.abs(mem - p["threshold"])
    if kind == "associative":
        query = x.astype(np.float64) @ p["to_q.weight"].T + p["to_q.bias"]
        spk = np.einsum("tbij,tbjk->tbik", spk, query.reshape(*x.shape[:2], 3, 2))
    return spk.reshape(*spk.shape[:2], -1), overdrive


def numbers(layer):
    named = {**dict(layer.named_parameters()), **dict(layer.named_buffers())}
    return {name: value.detach().double().numpy() for name, value in named.items()}


@every_whole
@pytest.mark.parametrize("steps", [1, 2, 17, 300])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_equals_the_recurrence_step_by_step(kind, steps, dtype):
    layer, x = make(kind).to(dtype), 1.5 * randn(steps, B, N, dtype=dtype)
    layer.graded_spikes_factor.fill_(2.5)
    want, overdrive = numpy_output(kind, numbers(layer), x.numpy())
    spk = layer(x)
    assert spk.dtype == dtype and spk.shape == want.shape
    undecided = overdrive.reshape(*overdrive.shape[:2], -1).min(-1) <= 1e-5
    decided = torch.from_numpy(~undecided)
    close(spk[decided], want[~undecided])
    assert undecided.mean() < 0.1
    last = numpy_membrane(kind, numbers(layer), x.numpy())[-1]
    close(layer.mem, last)
    assert steps < 17 or kind.startswith(("state", "linear")) or spk.ne(0).double().mean() > 0.01


@pytest.mark.parametrize("backend", ["reference", "numba"])
def test_gradients_equal_those_of_a_plain_loop(backend):
    """The spikes through the surrogate, and the membrane, of StateLeaky."""
    x, first = randn(13, B, N).requires_grad_(), randn(B, N, seed=1).requires_grad_()
    learn = {"learn_beta": True, "learn_threshold": True, "learn_graded_spikes_factor": True}
    lif = snn.StateLeaky(torch.linspace(0.1, 0.95, N), N, threshold=0.4, **learn).double()
    learnt = [x, first, lif.tau, lif.threshold, lif.graded_spikes_factor]
    weights = randn(2, 13, B, N, seed=2)
    with snn.use_backend(backend):
        ours = torch.autograd.grad((weights * torch.stack(lif(x, first))).sum(), learnt)
    mem, trace = first, []
    for x_t in x:
        mem = torch.exp(-1 / lif.tau) * mem + x_t
        trace.append(mem)
    trace = torch.stack(trace)
    spk = lif.spike_grad(trace - lif.threshold) * lif.graded_spikes_factor
    want = torch.autograd.grad((weights * torch.stack((spk, trace))).sum(), learnt)
    for a, b in zip(ours, want, strict=True):
        close(a, b, rtol=1e-10, atol=1e-10)


def membrane(kind):
    """Return a layer whose output is its overdrive, which is smooth, and its parameters."""
    layer = make(kind).double().requires_grad_()
    layer.spike_grad = lambda u: u
    return layer, [p for name, p in layer.named_parameters() if "weight_hh" not in name]


@every_whole
def test_membranes_pass_gradcheck(kind):
    layer, parameters = membrane(kind)
    x = randn(6, 2, N).requires_grad_()
    inputs = [x] if kind == "state-cut" else [x, 0.1 + layer(x).new_ones(layer.mem.shape) * 0.3]
    inputs = [each.detach().requires_grad_() for each in inputs]

    def run(x, *rest):
        first, rest = (rest[:1], rest[1:]) if len(inputs) == 2 else ((), rest)
        named = dict(zip([n for n, _ in named_parameters], rest, strict=True))
        return torch.func.functional_call(layer, named, (x, *first))

    named_parameters = [
        (n, p) for n, p in layer.named_parameters() if any(p is q for q in parameters)
    ]
    assert torch.autograd.gradcheck(run, (*inputs, *parameters), atol=1e-6)
    if kind.startswith("associative"):
        assert torch.autograd.gradgradcheck(run, (*inputs, *parameters), atol=1e-5)


# The linear scan -------------------------------------------------------------------------------


def loop(decay, x, first):
    states, state = [], first
    for a, x_t in zip(decay.expand(len(x), *decay.shape[1:]), x, strict=True):
        state = a * state + x_t
        states.append(state)
    return torch.stack(states)


@given(
    steps=st.integers(1, 40),
    constant=st.booleans(),
    decays=st.lists(st.sampled_from([0.0, 1e-30, 0.3, 0.9, 1.0]), min_size=40, max_size=40),
)
def test_scan_equals_the_loop(steps, constant, decays):
    decay = torch.tensor(decays, dtype=torch.float64)[: 1 if constant else steps, None, None]
    x, first = randn(steps, 2, 3, seed=steps), randn(2, 3, seed=99)
    close(linear_scan(decay, x, first), loop(decay, x, first), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("shape", [(7, 1, 3), (7, 2, 1), (1, 2, 3), (1, 1, 1)])
def test_scan_passes_gradcheck_twice(shape):
    decay = randn(*shape, seed=5).sigmoid().requires_grad_()
    inputs = decay, randn(7, 2, 3).requires_grad_(), randn(2, 3, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(linear_scan, inputs)
    assert torch.autograd.gradgradcheck(linear_scan, inputs)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("low", [0.0, 0.999])
def test_scan_is_right_over_ten_thousand_steps(dtype, low):
    """Values and gradients, with decays whose products underflow at once, and with slow ones."""
    steps = 10_000
    decay = (low + (1 - low) * torch.rand(steps, 1, 3)).to(dtype)
    x, first, weight = randn(steps, 2, 3), randn(2, 3, seed=1), randn(steps, 2, 3, seed=2)
    grads = []
    for scan, as_type in ((linear_scan, dtype), (loop, torch.float64)):
        inputs = [each.to(as_type).requires_grad_() for each in (decay, x, first)]
        y = scan(*inputs)
        grads.append([y, *torch.autograd.grad((weight.to(as_type) * y).sum(), inputs)])
    accuracy = 1e-5 if dtype == torch.float32 else 1e-13
    for ours, want in zip(*grads, strict=True):
        assert ours.dtype == dtype
        assert (ours - want).abs().max() <= accuracy * want.abs().max()


def test_scan_promotes_and_serves_torch_func():
    x, first, decay = randn(5, 2), randn(2, seed=1).float(), torch.full((1, 1), 0.5)
    assert linear_scan(decay, x, first).dtype == torch.float64
    first = first.double()
    grad = torch.func.grad(lambda x: linear_scan(decay, x, first).sum())(x)
    close(grad, [[sum(0.5**j for j in range(5 - t))] * 2 for t in range(5)])


# Calls and states ------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", GOES_ON)
def test_a_sequence_may_be_cut(kind):
    """By hand, and by unroll(reset=False), with gradients into the first part and without."""
    layer, x = make(kind).double(), randn(9, B, N)
    layer.spike_grad = lambda u: u  # every membrane is in the output
    weights = randn(*layer(x).shape, seed=1)

    def grads(run):
        utils.reset(layer)
        x_ = x.clone().requires_grad_()
        out = run(x_)
        return out, torch.autograd.grad((weights * out).sum(), x_)[0]

    def by_hand(x):
        first = layer(x[:4])
        return torch.cat((first, layer(x[4:], layer.mem)))

    def unrolled(x, between=lambda net: None):
        first = snn.unroll(layer, x[:4])
        between(layer)
        return torch.cat((first, snn.unroll(layer, x[4:], reset=False)))

    want, grad = grads(layer)
    for run in (by_hand, unrolled):
        out, got = grads(run)
        close(out, want)
        close(got, grad)
    out, cut = grads(lambda x: unrolled(x, utils.detach))
    close(out, want)
    close(cut[4:], grad[4:])
    alone = grads(lambda x: torch.cat((layer(x[:4]), 0 * layer(x[4:]))))[1]
    close(cut[:4], alone[:4])
    assert not torch.allclose(cut[:4], grad[:4])


@every_whole
def test_calls_are_independent(kind):
    layer, x = make(kind), randn(9, B, N, dtype=torch.float32)
    want = layer(x)
    assert layer.mem.shape[0] == B
    assert torch.equal(layer(x), want) and torch.equal(snn.unroll(layer, x), want)
    utils.reset(layer)
    assert not layer.mem.any()


def test_states_of_state_leaky_by_hand():
    lif = snn.StateLeaky(0.0, 1)  # tau is 1: the decay is 1/e
    spk, mem = lif(torch.tensor([[[1.5]], [[0.5]], [[0.0]]]))
    e = 2.718281828459045
    close(mem.flatten(), [1.5, 0.5 + 1.5 / e, 0.5 / e + 1.5 / e**2])
    assert spk.flatten().tolist() == [1, 1, 0]
    _, mem = lif(torch.zeros(1, 1, 1), torch.tensor(2.0))
    close(mem.flatten(), [2 / e])


@pytest.mark.parametrize("kind", [k for k in WHOLE if k.startswith(("state", "linear"))])
def test_output_gives_the_membrane(kind):
    layer, x = make(kind), randn(9, B, N, dtype=torch.float32)
    layer.graded_spikes_factor.fill_(2.5)
    alone = layer(x)
    layer.output = True
    spk, mem = layer(x)
    assert torch.equal(mem, alone) and torch.equal(spk, 2.5 * (mem > layer.threshold))
    close(mem, numpy_membrane(kind, numbers(layer), x.numpy()))
    assert 0.05 < (spk > 0).float().mean() < 0.95


@pytest.mark.parametrize("steps", [None, 3, 20])
def test_quantised_membranes_stay_out_of_the_recurrence(steps):
    plain = snn.StateLeaky(0.9, N, kernel_truncation_steps=steps)
    lif = snn.StateLeaky(0.9, N, kernel_truncation_steps=steps, state_quant=torch.round)
    x = randn(9, B, N, dtype=torch.float32)
    spk, mem = lif(x)
    want = plain(x)[1]
    assert torch.equal(mem, want.round()) and torch.equal(spk, (mem > 1).float())
    close(lif.mem, want[-1])


def test_more_dimensions():
    for layer in (snn.StateLeaky(torch.rand(N), N), snn.LinearLeaky(0.8, N, 2)):
        x = randn(7, 2, 3, N, dtype=torch.float32)
        for cut in (None, 3):
            layer.kernel_truncation_steps = cut
            spk, mem = layer(x)
            for i in range(3):
                for got, want in zip((spk, mem), layer(x[:, :, i]), strict=True):
                    close(got[:, :, i], want)
    layer = make("parallel")
    x = randn(7, 2, N, dtype=torch.float32)
    assert torch.equal(layer(x[:, 0]), layer(x)[:, 0])


@every_whole
def test_copies_start_reset_and_compute_the_same(kind):
    layer, x = make(kind), randn(9, B, N, dtype=torch.float32)
    want = layer(x.requires_grad_())
    file = io.BytesIO()
    torch.save(layer, file)
    file.seek(0)
    for twin in (
        copy.deepcopy(layer),
        pickle.loads(pickle.dumps(layer)),
        torch.load(file, weights_only=False),
    ):
        assert twin.mem.shape == (0,) and torch.equal(twin(x), want)
        assert twin in list(snn.SpikingNeuron.instances)


@every_whole
def test_dtypes(kind):
    layer, x = make(kind), randn(9, B, N)
    want = layer(x.float())
    spikes = (x > 0).long()
    assert torch.equal(layer(spikes), layer(spikes.float()))
    assert torch.equal(layer(spikes.bool()), layer(spikes.float()))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        layer(x.bfloat16())
        assert layer.mem.dtype == torch.float32
    utils.reset(layer)
    half = layer.bfloat16()(x.bfloat16())
    assert half.dtype == layer.mem.dtype == torch.bfloat16
    assert (half - want).abs().median() < 0.02


@every_whole
def test_can_be_built_on_meta(kind):
    with torch.device("meta"):
        layer = WHOLE[kind]() if "associative" not in kind else snn.AssociativeLeaky(N, 2, 3, 6)
    assert layer(torch.empty(4, B, N, device="meta")).device.type == "meta"


@every_whole
@needs_2_5
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
def test_compiles_as_one_graph(kind):
    layer, x = make(kind), randn(9, B, N, dtype=torch.float32)
    want = layer(x)
    utils.reset(layer)
    close(torch.compile(layer, backend="eager", fullgraph=True)(x), want)


# torch announces the end of torch.jit, and warns that the number of steps is a constant.
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::torch.jit.TracerWarning")
@every_whole
def test_traces_and_saves(kind):
    layer, x = make(kind), randn(9, B, N, dtype=torch.float32)
    want = layer(x)
    utils.reset(layer)
    with torch.no_grad():
        traced = torch.jit.trace(layer, x, check_trace=False)
    file = io.BytesIO()
    torch.jit.save(traced, file)
    file.seek(0)
    close(torch.jit.load(file)(x), want)
    if kind.startswith("parallel"):  # for any length
        x = randn(30, 2, N, seed=1, dtype=torch.float32)
        close(traced(x), layer(x))


BAD = [
    (lambda: snn.StateLeaky(0.9, N)(torch.ones(2, N)), ValueError, r"StateLeaky.*\(2, 5\).*\[T, B"),
    (lambda: snn.StateLeaky(0.9, N)(torch.ones(0, 2, N)), ValueError, r"\(0, 2, 5\)"),
    (lambda: snn.StateLeaky(0.9, N)(torch.ones(3, 2, 4)), ValueError, "4 channels; it needs 5"),
    (lambda: snn.StateLeaky(torch.rand(4), N), ValueError, r"beta of shape \(4,\).*5 channels"),
    (lambda: snn.StateLeaky(0.9, N, kernel_truncation_steps=0), ValueError, "steps=0"),
    (lambda: snn.StateLeaky(0.9, N)([1]), TypeError, "StateLeaky: the input is a list"),
    (
        lambda: snn.StateLeaky(0.9, N)(torch.ones(3, 2, N), torch.ones(3, N)),
        ValueError,
        r"mem of shape \(3, 5\).*\(2, 5\)",
    ),
    (
        lambda: snn.StateLeaky(0.9, N, kernel_truncation_steps=4)(torch.ones(3, 2, N), 0),
        ValueError,
        "kernel_truncation_steps=4",
    ),
    (lambda: snn.LinearLeaky(0.9, N, 2)(torch.ones(2, N)), ValueError, r"LinearLeaky.*\(2, 5\)"),
    (lambda: snn.LeakyParallel(N, 2)(torch.ones(N)), ValueError, r"LeakyParallel.*\(5,\)"),
    (lambda: snn.LeakyParallel(N, 2, torch.rand(3)), ValueError, "3 values.*2 neurons"),
    (lambda: snn.LeakyParallel(N, 2, dropout=1.5), ValueError, "dropout=1.5"),
    (lambda: snn.AssociativeLeaky(N, 2, 3, 7), ValueError, "=7 must be d_value . d_key = 6"),
    (lambda: snn.AssociativeLeaky.from_num_spiking_neurons(N, 8), ValueError, "=8 must be the sq"),
    (lambda: snn.AssociativeLeaky(N, 2, 3, 6)(torch.ones(2, N)), ValueError, r"\(2, 5\)"),
    (lambda: snn.DeltaLeaky("a", 0.5), TypeError, "delta_threshold='a'"),
    (lambda: snn.DeltaLeaky(0.3, 0.5)(torch.ones(2), torch.ones(2)), TypeError, "pair"),
    (lambda: snn.GradedSpikes(N, 1.0)(torch.ones(N, 2)), ValueError, r"\(5, 2\).*size=5"),
    (lambda: snn.BatchNormTT1d(N, 4)(torch.ones(2, N), 4), ValueError, "step=4.*4 time steps"),
    (lambda: snn.BatchNormTT1d(N, 4)(torch.ones(2, N), -1), ValueError, "step=-1"),
]


@pytest.mark.parametrize("call, error, match", BAD)
def test_bad_input_is_named(call, error, match):
    with pytest.raises(error, match=match):
        call()


# StateLeaky and LinearLeaky --------------------------------------------------------------------


def test_beta_is_worked_out_from_tau():
    lif = snn.StateLeaky(0.75, N, learn_beta=True)
    assert dict(lif.named_parameters()).keys() == {"tau"} and lif.tau.item() == 4
    assert lif.beta.item() == 0.75
    with torch.no_grad():
        lif.tau.fill_(2)
    assert lif.beta.item() == 0.5 and lif.state_dict()["beta"].item() == 0.5
    for beta, decay in ((0.0, -1.0), (-0.5, -1.0), (1.0, 0.0), (1.5, 0.0)):
        (got,) = snn.StateLeaky(beta, N)._snn_values()
        close(got.log(), decay)


def test_files_with_either_key_load():
    lif = snn.StateLeaky(torch.rand(N), N, learn_beta=True)
    saved = {f"0.{name}": value for name, value in lif.state_dict().items()}
    for missing in ("0.beta", "0.tau"):
        net = nn.Sequential(snn.StateLeaky(torch.rand(N), N))
        net.load_state_dict({n: v for n, v in saved.items() if n != missing})
        close(net[0].tau, lif.tau)
    with pytest.raises(RuntimeError, match="tau"):
        net.load_state_dict({n: v for n, v in saved.items() if n not in ("0.beta", "0.tau")})


def test_a_tau_below_one_acts_as_one():
    lif = snn.StateLeaky(0.5, 1, learn_beta=True)
    with torch.no_grad():
        lif.tau.fill_(-3)
    _, mem = lif(torch.tensor([[[1.0]], [[0.0]]]))
    close(mem[1].item() * torch.ones(()).exp(), 1.0)


def test_no_inhibition_and_no_reset():
    lif = snn.StateLeaky(0.9, N)
    with pytest.raises(NotImplementedError, match="StateLeaky has no inhibition"):
        lif.fire_inhibition(1, torch.ones(1, N))
    with pytest.raises(NotImplementedError, match="StateLeaky has no reset"):
        lif.mem_reset(torch.ones(1, N))


def test_runs_on_a_backend_where_one_can(monkeypatch):
    solved = []
    solve = backends.solve
    monkeypatch.setattr(backends, "solve", lambda *args: solved.append(args) or solve(*args))
    x = randn(200, B, N)
    layer = snn.LinearLeaky(0.99, N, 40, threshold=0.3, learn_beta=True).double()
    outs = {}
    for backend in ("numba", "reference"):
        x_ = x.clone().requires_grad_()
        spk, mem = snn.unroll(layer, x_, backend=backend)
        grads = torch.autograd.grad(spk.sum() + mem.sum(), [x_, *layer.parameters()])
        outs[backend] = spk, mem, *grads
    assert len(solved) == 1
    for a, b in zip(*outs.values(), strict=True):
        close(a, b, rtol=1e-10, atol=1e-10)
    cut = snn.StateLeaky(0.9, N, kernel_truncation_steps=4)
    cut(x.float())
    assert len(solved) == 1


@pytest.mark.parametrize("backend", [None, "reference"])
def test_can_be_differentiated_twice(backend):
    lif = snn.StateLeaky(0.5, N, learn_beta=True).double()
    x = randn(6, B, N).requires_grad_()
    with snn.use_backend(backend):
        (grad,) = torch.autograd.grad((lif(x)[1] ** 3).sum(), lif.tau, create_graph=True)
        (second,) = torch.autograd.grad(grad, lif.tau)

    def first_derivative(tau):
        decay = torch.exp(-1 / tau).reshape(1, 1, 1)
        mem = loop(decay, x.detach(), torch.zeros(B, N, dtype=torch.float64))
        return torch.autograd.grad((mem**3).sum(), tau)[0]

    taus = [(lif.tau.detach() + step).requires_grad_() for step in (1e-5, -1e-5)]
    high, low = map(first_derivative, taus)
    close(second, (high - low) / 2e-5, rtol=1e-6, atol=1e-6)


# LeakyParallel ---------------------------------------------------------------------------------


def test_parallel_feedback():
    betas = torch.tensor([0.1, 0.4, 1.5])
    layer = snn.LeakyParallel(N, 3, betas)
    assert torch.equal(layer.rnn.weight_hh_l0.detach(), torch.diag(betas.clamp(0, 1)))
    assert not layer.rnn.weight_hh_l0.requires_grad
    full = snn.LeakyParallel(N, 3, betas, weight_hh_enable=True).rnn.weight_hh_l0.detach()
    assert torch.equal(full, betas.clamp(0, 1)[:, None].expand(3, 3))
    drawn = snn.LeakyParallel(N, 3).rnn.weight_hh_l0.detach()
    assert torch.equal(drawn, torch.diag(drawn.diagonal())) and drawn.diagonal().abs().min() > 0


@pytest.mark.parametrize("twin", [lambda net: net, copy.deepcopy])
def test_parallel_feedback_stays_diagonal_in_training(twin):
    layer = snn.LeakyParallel(N, 3, 0.5, threshold=0.1, learn_beta=True)
    with torch.no_grad():
        layer.rnn.weight_ih_l0.abs_()
    layer = twin(layer)
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        layer(randn(9, B, N, dtype=torch.float32).abs()).sum().backward()
        optimizer.step()
    weight = layer.rnn.weight_hh_l0.detach()
    assert torch.equal(weight, torch.diag(weight.diagonal()))
    assert (weight.diagonal() - 0.5).abs().min() > 0.01


def test_parallel_in_both_ways():
    layer, x = make("parallel", learn_beta=True), randn(9, B, N, dtype=torch.float32)
    first = layer._snn_first(None, x, torch.Size((B, 4)))
    stepped, whole = layer._snn_stepped(x, first), layer._snn_rnn(x, first)
    close(stepped, whole)
    for a, b in zip(
        *(torch.autograd.grad(t.sum(), list(layer.parameters())) for t in (stepped, whole)),
        strict=True,
    ):
        close(a, b)


def test_parallel_dropout_is_that_of_the_output():
    layer, x = make("parallel", dropout=0.25), 3 * randn(200, B, N, dtype=torch.float32)
    spk = layer.eval()(x)
    dropped = layer.train()(x)
    close(dropped[dropped != 0], torch.full((int((dropped != 0).sum()),), 1 / 0.75))
    assert (dropped != 0).sum() < spk.sum() and not spk[dropped != 0].eq(0).any()
    close((dropped != 0).float().sum() / spk.sum(), 0.75, rtol=0.05, atol=0)


def test_parallel_type_and_device():
    layer = snn.LeakyParallel(N, 3, 0.5, dtype=torch.float64, device="cpu")
    assert {value.dtype for value in layer.state_dict().values()} == {torch.float64}
    assert layer(randn(9, B, N)).dtype == torch.float64
    linear = snn.LinearLeaky(0.9, N, 3, dtype=torch.float64, device="cpu")
    assert linear(randn(9, B, N))[1].dtype == torch.float64


# AssociativeLeaky ------------------------------------------------------------------------------


def test_associative_by_hand():
    layer = snn.AssociativeLeaky(1, 1, 2, 2, use_q_projection=False).requires_grad_(False)
    for name, weight in (("v", [2.0]), ("k", [1.0, -0.5]), ("alpha", [0.0, 0.0])):
        getattr(layer, f"to_{name}").weight.copy_(torch.tensor(weight)[:, None])
        getattr(layer, f"to_{name}").bias.zero_()
    spk = layer(torch.tensor([[[0.5]], [[1.0]], [[0.0]]]))
    # v k^T is 0.5, -0.25, then 2, -1, then 0; both leak by a half: 0.5, 2.25, 1.125.
    assert spk[:, 0].tolist() == [[0, 0], [1, 0], [1, 0]]
    close(layer.mem, [[[1.125, -0.5625]]])
    assert layer.from_num_spiking_neurons(4, 9).state_dict()["to_q.weight"].shape == (9, 4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_associative_over_ten_thousand_steps(dtype):
    layer = make("associative-plain").to(dtype).requires_grad_()
    layer.spike_grad = lambda u: u
    x = randn(10_000, 1, N, dtype=dtype).requires_grad_()
    mem = layer(x) + 1
    want = numpy_membrane("associative-plain", numbers(layer), x.detach().numpy())
    accuracy = 1e-5 if dtype == torch.float32 else 1e-13
    error = (mem.detach() - torch.tensor(want).flatten(-2)).abs().max()
    assert error <= accuracy * np.abs(want).max() and np.abs(want[-100:]).max() > 1
    twin = copy.deepcopy(layer).double()
    wide = x.detach().double().requires_grad_()
    v, k, a = twin.to_v(wide), twin.to_k(wide), twin.to_alpha(wide).sigmoid()
    charge = v.unsqueeze(-1) * k.unsqueeze(-2)
    looped = loop(a.unsqueeze(-2), charge, charge.new_zeros(1, 2, 3)).flatten(-2)
    weight = randn(*mem.shape, seed=1)
    learnt = [p for name, p in layer.named_parameters() if "to_" in name]
    learnt_ = [p for name, p in twin.named_parameters() if "to_" in name]
    ours = torch.autograd.grad((weight.to(dtype) * mem).sum(), [x, *learnt])
    theirs = torch.autograd.grad((weight * looped).sum(), [wide, *learnt_])
    for a, b in zip(ours, theirs, strict=True):
        assert (a - b).abs().max() <= 100 * accuracy * b.abs().max()


# DeltaLeaky ------------------------------------------------------------------------------------


def delta_loop(x, delta, beta, first=0.0):
    mem, spikes, trace, before = np.zeros(x.shape[1:]) + first, [], [], []
    for x_t in x.astype(np.float64):
        before.append(mem)
        mem = beta * mem + x_t
        trace.append(mem)
        spikes.append((np.abs(mem - before[-1]) > delta).astype(np.float64))
    return [np.stack(each) for each in (spikes, trace, before)]


def flat(out):
    return out[0], *out[1]


def test_delta_by_hand():
    lif, spikes = snn.DeltaLeaky(0.3, beta=0.5), []
    mem = lif.init_leaky()
    for x in (1.0, 0.6, -0.25, 0.75):
        spk, mem = lif(torch.tensor([[x]]), mem)
        spikes.append((spk.item(), *(round(each.item(), 4) for each in mem)))
    # The membrane is 1, 1.1, 0.3, 0.9.
    assert spikes == [(1, 1, 0), (0, 1.1, 1), (1, 0.3, 1.1), (1, 0.9, 0.3)]


@pytest.mark.parametrize("delta", [0.6, torch.linspace(0.2, 1, N)])
@pytest.mark.parametrize("beta", [0.8, torch.linspace(0.1, 0.9, N)])
@pytest.mark.parametrize("hidden", [False, True])
def test_delta_equals_the_loop(delta, beta, hidden):
    lif = snn.DeltaLeaky(delta, beta, init_hidden=hidden).double()
    x = randn(20, B, N)
    want = delta_loop(x.numpy(), np.asarray(delta), np.asarray(lif.beta))
    got = [torch.stack(each) for each in zip(*(flat(lif(x_t)) for x_t in x), strict=True)]
    unrolled = flat(snn.unroll(nn.Sequential(nn.Identity(), lif), x))
    for a, b, c in zip(got, unrolled, want, strict=True):
        close(a, c)
        assert torch.equal(a, b)
    assert 0.1 < got[0].mean() < 0.9
    assert torch.equal(lif.mem, got[1][-1]) and torch.equal(lif.mem_prev, got[2][-1])


def test_delta_gradients():
    """Through the size of the change, by the surrogate; None in the pair starts from zeros."""
    lif = snn.DeltaLeaky(0.3, beta=0.5, learn_beta=True).double()
    x = torch.tensor([[1.0, 0.2, -1.0]], dtype=torch.float64, requires_grad=True)
    mem = torch.full((1, 3), 0.2, dtype=torch.float64, requires_grad=True)
    spk, (new, before) = lif(x, (mem, None))
    grads = torch.autograd.grad(spk.sum(), (x, mem, lif.beta))
    change = x.detach() - 0.1
    slope = change.sign() / (1 + (torch.pi * (change.abs() - 0.3)) ** 2)
    close(grads[0], slope)
    close(grads[1], -0.5 * slope)
    close(grads[2], (0.2 * slope).sum())
    assert torch.equal(before, mem) and torch.equal(new, x + 0.1)
    assert lif.mem is new and lif.mem_prev is before


def test_delta_states_are_like_everyones():
    lif, x = snn.DeltaLeaky(torch.tensor([0.3]), beta=0.5), randn(4, B, N, dtype=torch.float32)
    want = [lif(x_t) for x_t in x.requires_grad_()]
    assert lif.mem.requires_grad
    utils.detach(lif)
    assert not lif.mem.requires_grad and not lif.mem_prev.requires_grad
    for twin in (copy.deepcopy(lif), pickle.loads(pickle.dumps(lif))):
        assert twin.mem.shape == twin.mem_prev.shape == (0,)
        assert all(map(torch.equal, flat(twin(x[0])), flat(want[0])))
    utils.reset(nn.Sequential(snn.Leaky(0.9), lif))
    assert not lif.mem.any() and lif.state_dict().keys() == snn.Leaky(0.9).state_dict().keys()
    lif(x[0])
    snn.DeltaLeaky.reset_hidden()
    assert not lif.mem.any()
    half = lif.bfloat16()(x[0].bfloat16())
    assert {each.dtype for each in flat(half)} == {torch.bfloat16}
    assert lif.to("meta").delta_threshold.is_meta


def test_delta_takes_the_shared_arguments():
    x = randn(6, B, N, dtype=torch.float32)
    plain = snn.unroll(snn.DeltaLeaky(0.6, beta=0.8), x)[0]
    graded = snn.unroll(snn.DeltaLeaky(0.6, beta=0.8, graded_spikes_factor=3.0), x)[0]
    assert torch.equal(graded, 3 * plain)
    for reset in ("subtract", "zero", "none"):
        other = snn.DeltaLeaky(0.6, 0.8, threshold=0.1, reset_mechanism=reset, reset_delay=False)
        assert torch.equal(snn.unroll(other, x)[0], plain)
    one, (mem, before) = snn.unroll(snn.DeltaLeaky(0.6, beta=0.8, inhibition=True), x)
    change = (mem - before).abs()
    winner = change == change.amax(-1, keepdim=True)
    assert torch.equal(one, (winner & (change > 0.6)).float()) and one.sum() < plain.sum()
    rounded = snn.unroll(snn.DeltaLeaky(0.6, beta=0.8, state_quant=torch.round), x)[1]
    assert all(torch.equal(each, each.round()) for each in rounded)
    assert repr(snn.DeltaLeaky(0.6, beta=0.8)).endswith("delta_threshold=0.6)")


# Whole networks --------------------------------------------------------------------------------


def network(kind):
    torch.manual_seed(1)
    layer = make(kind)
    features = layer(torch.zeros(1, 1, N)).shape[-1]
    head = [nn.Linear(features, 4), snn.GradedSpikes(4, None), snn.Leaky(0.9, init_hidden=True)]
    return nn.Sequential(nn.Linear(7, N), snn.Leaky(0.9, init_hidden=True), layer, *head)


def in_parts(net, x):
    """Run layer by layer, the step-wise ones in a loop."""
    utils.reset(net)
    for layer in net:
        stepwise = isinstance(layer, snn.Leaky)
        x = torch.stack([layer(x_t) for x_t in x]) if stepwise else layer(x)
    return x


@every_whole
def test_unroll_calls_the_layer_once(kind):
    net, calls = network(kind), []
    net[2].register_forward_hook(lambda layer, args, out: calls.append(args[0].shape))
    x = 2 * randn(11, B, 7, dtype=torch.float32)
    want = in_parts(net, x)
    plan = snn.explain(net, x)
    assert [stage.how for stage in plan] == ["fold", "scan", "whole", "fold", "fold", "scan"]
    calls.clear()
    close(snn.unroll(net, x), want)
    assert calls == [(11, B, N)]
    close(snn.unroll(net, x[0], 11), in_parts(net, x[:1].expand(11, B, 7)))
    first = snn.unroll(net[2:3], x[0, :, :N], 11)
    close(first, net[2](x[:1, :, :N].expand(11, B, N)))


@pytest.mark.parametrize("kind", GOES_ON)
def test_unroll_goes_on(kind):
    net, x = network(kind), 2 * randn(11, B, 7, dtype=torch.float32)
    want = snn.unroll(net, x)
    parts = snn.unroll(net, x[:5]), snn.unroll(net, x[5:], reset=False)
    close(torch.cat(parts), want)


def test_unroll_cannot_go_on_from_a_truncated_sum():
    net, x = network("state-cut"), randn(11, B, 7, dtype=torch.float32)
    utils.reset(net)
    snn.unroll(net, x, reset=False)
    with pytest.raises(ValueError, match="kernel_truncation_steps=4"):
        snn.unroll(net, x, reset=False)
    snn.unroll(net, x)


def test_what_cannot_be_taken_apart_is_refused():
    class Custom(nn.Module):
        def __init__(self):
            super().__init__()
            self.lif = make("parallel")

        def forward(self, x):
            return self.lif(x)

    twice, x = make("parallel-full"), torch.rand(6, B, N)
    for net, match in (
        (Custom(), "LeakyParallel takes a whole sequence.*Custom.*not known to be stateless"),
        (nn.Sequential(nn.Linear(N, N), Custom()), "LeakyParallel takes a whole sequence"),
        (nn.Sequential(twice, twice), "LeakyParallel.*shared with another layer"),
        (
            nn.Sequential(snn.StateLeaky(0.9, N), nn.ReLU()),
            "StateLeaky.*build it with output=False",
        ),
    ):
        for call in (snn.unroll, snn.explain):
            with pytest.raises(TypeError, match=match):
                call(net, x)
    spk, mem = snn.unroll(nn.Sequential(nn.ReLU(), snn.StateLeaky(0.9, N)), x)
    assert torch.equal(mem[0], x[0]) and torch.equal(spk, (mem > 1).float())


# Layers ----------------------------------------------------------------------------------------


def test_graded_spikes_weigh_each_neuron():
    layer = snn.GradedSpikes(3, 2)
    assert layer.weights.tolist() == [[2], [2], [2]]
    with torch.no_grad():
        layer.weights.copy_(torch.tensor([[1.0], [2.0], [-3.0]]))
    spikes = torch.tensor([[1.0, 0, 1], [0, 1, 1]])
    assert layer(spikes).tolist() == [[1, 0, -3], [0, 2, -3]]
    layer(spikes.expand(4, 2, 3)).sum().backward()
    assert layer.weights.grad.tolist() == [[4], [4], [8]]
    drawn = snn.GradedSpikes(1000, None).weights
    assert drawn.min() >= 0.5 and drawn.max() < 1.5 and abs(drawn.mean() - 1) < 0.05


@pytest.mark.parametrize("cls, shape", [("BatchNormTT1d", (6, 4)), ("BatchNormTT2d", (3, 4, 2, 2))])
def test_bntt_normalises_each_step_by_itself(cls, shape):
    layer = getattr(snn, cls)(4, 3, eps=0.1, momentum=0.25).double()
    x = randn(3, *shape) * torch.tensor([1.0, 2, 3], dtype=torch.float64).reshape(
        3, *[1] * len(shape)
    )
    axes = (0, *range(2, len(shape)))
    gamma = torch.rand(3, 4, dtype=torch.float64)
    per = (1, 4, *[1] * (len(shape) - 2))
    for t in range(3):
        with torch.no_grad():
            layer[t].weight.copy_(gamma[t])
    for t in (2, 0, 1):
        mean = x[t].mean(axes).reshape(per)
        var = x[t].var(axes, unbiased=False).reshape(per)
        want = gamma[t].reshape(per) * (x[t] - mean) / (var + 0.1).sqrt()
        close(layer(x[t], t), want)
        close(layer[t].running_mean, 0.25 * mean.flatten())
        unbiased = x[t].var(axes, unbiased=True)
        close(layer[t].running_var, 0.75 + 0.25 * unbiased)
    assert layer[-1] is layer[2] and len(layer) == 3 and list(layer)[1] is layer[1]
    assert type(layer[:2]) is nn.ModuleList and layer[:2][1] is layer[1]
    assert isinstance(layer, nn.ModuleList) and layer[0].bias is None
    twin = copy.deepcopy(layer).eval()
    close(twin(x[1], 1), layer.eval()[1](x[1]))


def test_bntt_in_a_loop_of_the_users_own():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.bntt, self.lif, self.step = snn.BatchNormTT1d(4, 3), snn.Leaky(0.9), -1

        def forward(self, x):
            self.step = (self.step + 1) % 3
            return self.lif(self.bntt(x, self.step))[0]

    net, x = Net(), 3 * randn(3, 6, 4, dtype=torch.float32)
    want = torch.stack([net(x_t) for x_t in x])
    utils.reset(net)
    assert torch.equal(snn.unroll(net, x), want)
    assert [stage.how for stage in snn.explain(net, x)] == ["loop"]


# What 1.0.0 recorded ---------------------------------------------------------------------------


def recorded(case):
    data = np.load(GOLDEN / f"{case}.npz")
    meta = json.loads(str(data["meta"]))
    kwargs = {k: torch.tensor(v) if isinstance(v, list) else v for k, v in meta["kwargs"].items()}
    torch.manual_seed(meta.get("seed", 0))
    layer = getattr(snn, meta["cls"])(**kwargs)
    return data, meta, layer


def rerun(layer, meta, x):
    how = meta.get("run", "whole")
    if how == "stepped":
        state, steps = (None, None), []
        for x_t in x:
            spk, state = layer(x_t, state)
            steps.append((spk, *state))
        return [torch.stack(each) for each in zip(*steps, strict=True)]
    if how == "normalised":
        training = torch.stack([layer(x_t, t) for t, x_t in enumerate(x)])
        layer.eval()
        return [training, torch.stack([layer(x_t, t) for t, x_t in enumerate(x)])]
    out = layer(x) if how == "whole" else ()
    return list(out) if isinstance(out, tuple) else [out]


def of(data, prefix):
    found = {k[2:]: torch.tensor(data[k]) for k in data.files if k.startswith(prefix + ":")}
    return found


@pytest.mark.parametrize("case", CASES)
def test_state_dict_is_that_recorded(case):
    data, meta, layer = recorded(case)
    want, got = of(data, "p"), layer.state_dict()
    assert got.keys() == want.keys()
    for name, value in got.items():
        if "seed" in meta or name in ("beta", "tau", "threshold", "reset_mechanism_val"):
            close(value, want[name], rtol=1e-6, atol=0)
        assert value.shape == want[name].shape


@pytest.mark.parametrize("case", CASES)
def test_outputs_and_gradients_are_those_recorded(case):
    data, meta, layer = recorded(case)
    layer.load_state_dict(of(data, "p"))
    x = torch.tensor(data["x"]).requires_grad_()
    outs = rerun(layer, meta, x)
    assert f"out_{len(outs)}" not in data.files
    for i, out in enumerate(outs):
        close(out, data[f"out_{i}"], rtol=1e-5, atol=1e-5)
    for name, value in of(data, "q").items():
        close(layer.state_dict()[name], value, rtol=1e-5, atol=1e-6)
    if "grad_x" in data.files:
        sum((torch.tensor(data[f"w_{i}"]) * out).sum() for i, out in enumerate(outs)).backward()
        want = {"x": torch.tensor(data["grad_x"]), **of(data, "g")}
        named = dict(layer.named_parameters(), x=x)
        assert want.keys() == {name for name, p in named.items() if p.grad is not None}
        # The products that 1.0.0 divides by are small after twelve steps.
        accuracy = 3e-3 if meta["cls"] == "AssociativeLeaky" else 1e-4
        for name, grad in want.items():
            assert (named[name].grad - grad).norm() <= accuracy * grad.norm() + 1e-6

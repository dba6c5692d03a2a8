"""Single steps in one kernel each way give what PyTorch's operations give.

Triton's interpreter runs the kernels.
"""

import copy
import pickle
import textwrap

import pytest
import torch
from models import MODELS
from project import run_python
from releases import gradients_of, needs_triton
from sequences import learnable
from torch import nn
from torch.utils.checkpoint import checkpoint

import snntorch as snn
from snntorch import surrogate
from snntorch._engine import single

T, B = 5, 3
BY_ID = {model.id: model for model in MODELS}
pytestmark = needs_triton


@pytest.fixture(autouse=True)
def interpreted(monkeypatch):
    monkeypatch.setenv("TRITON_INTERPRET", "1")


@pytest.fixture(autouse=True)
def taken(monkeypatch):
    """Return a list of the passes that kernels take."""
    passes = []
    for name in ("forward", "backward"):
        method = getattr(single._Plan, name)

        def counted(self, *args, method=method, name=name):
            passes.append(name)
            return method(self, *args)

        monkeypatch.setattr(single._Plan, name, counted)
    return passes


def loop(neuron, x, states=()):
    """Return outputs over time, and the last states."""
    outs = []
    for x_t in x:
        out = neuron(x_t, *states)
        out = out if isinstance(out, tuple) else (out,)
        outs.append(out)
        if not neuron.init_hidden:
            states = out if neuron._snn_model.recurrent else out[1:]
    return [torch.stack(each) for each in zip(*outs, strict=True)], states


def run(neuron, x, backend, states=(), only=None):
    """Return the outputs of a loop, and the gradients of their weighted sum by all leaves."""
    snn.utils.reset(neuron)
    leaf = x.detach().requires_grad_()
    states = [state.detach().requires_grad_() for state in states]
    with snn.use_backend(backend):
        outs, last = loop(neuron, leaf, states)
    torch.manual_seed(3)
    chosen = [*outs, *last] if only is None else [outs[only]]
    chosen = [out for out in chosen if out.requires_grad]
    loss = sum((torch.randn(out.shape).sign() * out.float()).sum() for out in chosen)
    leaves = [leaf, *states, *(p for p in neuron.parameters() if p.requires_grad)]
    grads = gradients_of(loss, leaves)
    return outs, grads


def check(neuron, x, taken, exact=True, **how):
    outs, grads = run(neuron, x, "triton", **how)
    assert taken == ["forward"] * len(x) + ["backward"] * len(x)
    want, truth = run(neuron, x, "reference", **how)
    assert len(taken) == 2 * len(x) and want[0].any()
    for out, true in zip(outs, want, strict=True):
        assert out.dtype == true.dtype and out.requires_grad == true.requires_grad
        if exact:
            assert torch.equal(out, true)
        else:
            torch.testing.assert_close(out, true)
    tolerance = 1e-10 if x.dtype == torch.float64 else 1e-5
    for grad, true in zip(grads, truth, strict=True):
        assert (grad - true).norm() <= tolerance * true.norm()


ELEMENTWISE = [
    row for row in MODELS if not row.id.endswith(("-linear", "-conv")) and "lstm" not in row.id
]
RULES = [
    pytest.param(
        *(row, reset, late),
        id=f"{row.id}-{reset}-{'late' if late else 'now'}",
        marks=() if reset == "zero" and row.id in ("leaky", "alif") else pytest.mark.slow,
    )
    for row in ELEMENTWISE
    for reset in (("subtract", "zero", "none") if row.mechanism else ("none",))
    for late in ((True, False) if row.delay and reset != "none" else (True,))
]


@pytest.mark.parametrize("row, mechanism, late", RULES)
def test_steps_through_time(row, mechanism, late, taken):
    options = {} if late else {"reset_delay": False}
    neuron = learnable(row, reset_mechanism=mechanism, **options)
    check(neuron, row.input(T, B), taken, exact=not row.rounded)


class Adaptive(snn.Neuron):
    """A user's neuron."""

    states = ("mem", "slow")
    initial = {"slow": 0.1}  # noqa: RUF012

    def __init__(self, beta=0.8, **options):
        super().__init__(**options)
        self.parameter("beta", beta, learn=True)
        self.parameter("gain", torch.linspace(0.1, 0.3, 5), learn=True)

    @staticmethod
    def step(x, mem, slow, beta, gain, threshold, spike, fired):
        mem = beta * mem + x * x.abs() - fired(mem - threshold) * threshold
        slow = 0.9 * slow + gain * mem.clamp(-0.5, 1.2) ** 2
        return spike(mem - threshold - slow), mem, slow


NEURONS = {
    "numbers": lambda: snn.Leaky(0.9),
    "vectors": lambda: snn.Leaky(torch.linspace(0.8, 0.99, 5), learn_beta=True),
    "graded": lambda: snn.Leaky(0.9, graded_spikes_factor=2.5, learn_graded_spikes_factor=True),
    "disabled": lambda: snn.Leaky(0.9, surrogate_disable=True),
    "reset at once": lambda: snn.Synaptic(0.9, 0.8, reset_delay=False, reset_mechanism="zero"),
    "refractory": lambda: snn.Leaky(0.9, refractory=2),
    "refractory and recurrent": lambda: snn.Leaky(0.9, refractory=1, recurrent=0.3),
    "a user's": Adaptive,
    "a user's, recurrent and refractory": lambda: Adaptive(refractory=1, recurrent=-0.2),
    **{
        slope: lambda slope=slope: snn.Leaky(0.9, spike_grad=slope)
        for slope in ("fast_sigmoid", "sigmoid", "straight_through_estimator", "triangular", "LSO")
    },
}


@pytest.mark.parametrize("name", NEURONS)
def test_every_kind_of_neuron(name, taken):
    check(NEURONS[name](), 0.3 + torch.randn(T, B, 5), taken)


def test_long_backpropagation_from_given_states(taken):
    neuron, x = snn.Synaptic(0.9, 0.8, learn_alpha=True), 0.3 + torch.randn(10, B, 5)
    check(neuron, x, taken, states=torch.randn(2, B, 5).unbind())


@pytest.mark.parametrize("only", [0, 1, 2])
def test_gradients_of_one_output(only, taken):
    """Where there is no gradient, none is read; of the last membrane none depends on spikes."""
    check(snn.Synaptic(0.9, 0.8, learn_beta=True), 0.5 + torch.randn(T, B, 5), taken, only=only)


def layouts():
    images = torch.randn(T, B, 2, 4, 4)
    return {
        "expanded in batch": torch.randn(T, 1, 5).expand(T, B, 5),
        "one of two": torch.randn(T, B, 10)[..., ::2],
        "transposed": torch.randn(T, 5, B).mT,
        "no batch": torch.randn(T, 5),
        "single numbers": 1 + torch.randn(T).abs(),
        "one neuron": 1 + torch.randn(T, 1, 1).abs(),
        "channels last": images.permute(0, 1, 3, 4, 2).contiguous().permute(0, 1, 4, 2, 3),
        "a part of an image": torch.randn(T, B, 3, 6, 6)[:, :, 1:, 1:-1, 2:],
    }


@pytest.mark.parametrize("layout", layouts())
def test_inputs_are_read_where_they_are(layout, taken):
    x = layouts()[layout]
    vector = x.dim() > 1 and x.shape[-1] > 1
    beta = torch.linspace(0.8, 0.99, x.shape[-1]) if vector else 0.9
    neuron = snn.Leaky(beta, learn_beta=True, learn_threshold=True, reset_mechanism="zero")
    check(neuron, 0.5 + x, taken)
    if layout in ("transposed", "channels last"):
        with snn.use_backend("triton"):
            spk, mem = neuron(x[0])
        assert spk.stride() == mem.stride() == x[0].stride()


def test_gradients_are_read_where_they_are(taken):
    neuron, x = snn.Leaky(0.9), torch.randn(B, 5, requires_grad=True)
    grads = [torch.randn(5, B).mT, torch.randn(5).expand(B, 5)]
    found = []
    for backend in ("triton", "reference"):
        with snn.use_backend(backend):
            found += torch.autograd.grad(neuron(x, torch.ones(B, 5)), x, grads)
    assert torch.equal(*found) and taken == ["forward", "backward"]


def test_double_precision(taken):
    neuron = snn.Leaky(0.9, learn_beta=True).double()
    check(neuron, torch.randn(T, B, 5, dtype=torch.float64), taken)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("wide", [False, True], ids=["half state", "single state"])
def test_half_precision_is_rounded_once_in_a_step(dtype, wide, taken):
    kwargs = {"learn_beta": True, "reset_mechanism": "zero", "reset_delay": False}
    neuron, twin = snn.Leaky(0.875, **kwargs).to(dtype), snn.Leaky(0.875, **kwargs)
    x, mem = 0.5 + torch.randn(B, 5), torch.rand(B, 5)
    x, mem = x.to(dtype), mem.to(torch.float32 if wide else dtype)
    found = []
    for each, backend, given in ((neuron, "triton", x), (twin, "reference", x.float())):
        leaves = [given.requires_grad_(), (mem if each is neuron else mem.float()).requires_grad_()]
        with snn.use_backend(backend):
            outs = each(*leaves)
        loss = sum(out.float().sum() for out in outs)
        found.append((outs, torch.autograd.grad(loss, [*leaves, each.beta])))
    (outs, grads), (want, truth) = found
    assert outs[0].dtype == dtype and outs[1].dtype == mem.dtype and want[0].any()
    eps = torch.finfo(dtype).eps  # the interpreter rounds bfloat16 towards zero
    for out, true in zip((*outs, *grads), (*want, *truth), strict=True):
        assert ((out - true).abs() <= eps * true.abs()).all()
    assert taken == ["forward", "backward"]


# In training ---------------------------------------------------------------------------------


def both(function):
    """Return what a function returns with kernels and without."""
    found = []
    for backend in ("triton", "reference"):
        with snn.use_backend(backend):
            found.append(function())
    return found


def test_a_network_with_hidden_states_learns_the_same(taken):
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Linear(4, 5),
        snn.Leaky(0.9, init_hidden=True, learn_beta=True),
        nn.Linear(5, 2),
        snn.Synaptic(0.9, 0.8, init_hidden=True, output=True),
    )
    x = torch.randn(10, B, 4)

    def train():
        learner = copy.deepcopy(net)
        optimizer = torch.optim.SGD(learner.parameters(), lr=0.1)
        for _ in range(2):
            snn.utils.reset(learner)
            out = [learner(each) for each in x]
            loss = sum(mem.square().sum() + spk.sum() for spk, _, mem in out)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return [*learner.parameters(), learner[1].mem]

    ours, theirs = both(train)
    torch.testing.assert_close(ours, theirs)
    assert taken.count("forward") == taken.count("backward") == 40


@pytest.mark.parametrize("name", ["numbers", "vectors", "refractory and recurrent", "a user's"])
def test_second_derivatives(name, taken):
    neuron = NEURONS[name]().double()
    x = 0.3 + torch.randn(2, B, 5, dtype=torch.float64)
    leaves = [x.requires_grad_(), *neuron.parameters()]

    def derivatives():
        snn.utils.reset(neuron)
        outs, _ = loop(neuron, leaves[0])
        loss = sum((out * out.detach().cos()).square().sum() for out in outs)
        first = torch.autograd.grad(loss, leaves, create_graph=True)
        return [*first, *torch.autograd.grad(sum(each.square().sum() for each in first), leaves)]

    ours, theirs = both(derivatives)
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)
    assert taken.count("forward") == 2 and all(each.any() for each in ours)


def test_the_same_tensor_twice(taken):
    neuron, x = snn.Leaky(0.9, learn_beta=True), torch.rand(B, 5, requires_grad=True)

    def derivatives():
        (first,) = torch.autograd.grad(neuron(x, x)[1].square().sum(), x, create_graph=True)
        return first, torch.autograd.grad(first.square().sum(), x)

    torch.testing.assert_close(*both(derivatives))


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")  # inside forward_ad
def test_batched_gradients_and_forward_mode(taken):
    neuron, x = snn.Leaky(0.9), torch.randn(2, 3, requires_grad=True)
    mem = torch.rand(2, 3)

    def batched():
        grads = torch.eye(6).view(6, 2, 3)
        outs = neuron(x, mem)
        return torch.autograd.grad(outs, x, (grads, grads), is_grads_batched=True)

    assert torch.equal(*(each[0] for each in both(batched)))

    def forward_over_reverse():
        out = neuron(x, mem)[0]
        with torch.autograd.forward_ad.dual_level():
            dual = torch.autograd.forward_ad.make_dual(torch.ones(2, 3), torch.full((2, 3), 2.0))
            (grad,) = torch.autograd.grad(out, x, dual)
            return torch.autograd.forward_ad.unpack_dual(grad)

    assert all(map(torch.equal, *both(forward_over_reverse)))
    assert set(taken) == {"forward"}


def test_what_needs_a_gradient_is_what_needs_one_without_kernels(taken):
    cases = {
        "nothing": (snn.Leaky(0.9), False),
        "the factor": (snn.Leaky(0.9, learn_graded_spikes_factor=True), False),
        "the threshold": (
            snn.Leaky(0.9, learn_threshold=True, reset_mechanism="none", refractory=1),
            False,
        ),
        "the input": (snn.Leaky(0.9, refractory=1), True),
        "no spikes": (snn.Leaky(0.9, surrogate_disable=True), True),
    }
    for neuron, grad in cases.values():
        x = torch.randn(B, 5, requires_grad=grad)
        flags = both(lambda neuron=neuron, x=x: [out.requires_grad for out in neuron(x)])
        assert flags[0] == flags[1]
    with torch.no_grad():
        assert not any(both(lambda: neuron(x)[0].requires_grad))
    with torch.inference_mode():
        assert all(both(lambda: neuron(x)[0].is_inference()))
    assert taken == ["forward"] * 7


def test_states_may_be_overwritten(taken):
    """As buffers that keep them, or where episodes end."""
    neuron, x = snn.Leaky(0.9, reset_mechanism="zero"), torch.randn(T, B, 5, requires_grad=True)

    def gradients():
        kept, total = torch.zeros(B, 5), 0
        for x_t in x:
            spk, mem = neuron(x_t, kept)
            total = total + spk.sum() + mem.sum()
            kept.copy_(mem.detach())
            mem[1] = 0  # in place
            total = total + neuron(x_t, mem)[1].sum()
        return torch.autograd.grad(total, x)

    ours, theirs = both(gradients)
    torch.testing.assert_close(ours, theirs)
    kept = torch.zeros(B, 5)
    with snn.use_backend("triton"):
        mem = snn.Leaky(0.9)(x[0], kept)[1]
    kept += 1
    torch.autograd.grad(mem.sum(), x, retain_graph=True)
    with pytest.raises(RuntimeError, match="needs mem of a step as it was"):
        torch.autograd.grad(mem.sum(), x, create_graph=True)


def test_checkpoints_and_saved_tensors_elsewhere(taken):
    neuron = snn.Leaky(0.9, learn_beta=True)
    x = layouts()["channels last"][0].requires_grad_()
    leaves = [x, neuron.beta]

    def plain():
        outs = neuron(x, torch.ones_like(x))
        return torch.autograd.grad(sum(out.sum() for out in outs), leaves)

    def recomputed():
        outs = checkpoint(neuron, x, torch.ones_like(x), use_reentrant=False)
        return torch.autograd.grad(sum(out.sum() for out in outs), leaves)

    def elsewhere():
        contiguous = torch.Tensor.contiguous  # another layout than what was saved
        with torch.autograd.graph.saved_tensors_hooks(contiguous, contiguous):
            return plain()

    for function in (recomputed, elsewhere):
        torch.testing.assert_close(*both(function), rtol=1e-5, atol=1e-5)
    assert "backward" in taken


@pytest.mark.parametrize("twin", [copy.deepcopy, lambda n: pickle.loads(pickle.dumps(n))])
def test_copies_take_the_same_steps(twin, taken):
    neuron, x = snn.Leaky(0.9, init_hidden=True, learn_beta=True), 0.5 + torch.randn(T, B, 5)
    with snn.use_backend("triton"):
        neuron(x[0])
        snn.utils.reset(neuron)
        replica = twin(neuron)
        want, got = loop(neuron, x)[0][0], loop(replica, x)[0][0]
    assert torch.equal(want, got) and want.any() and taken == ["forward"] * 11


# What is left to PyTorch's operations --------------------------------------------------------


class Tagged(torch.Tensor):
    pass


class Bump(surrogate.SurrogateFunction):
    @staticmethod
    def slope(input_, width=0.5):
        return torch.special.i0e(input_ / width)  # which kernels do not have


class Own(snn.Leaky):
    def fire(self, mem):
        return (mem > 0.1).to(mem)


PLAIN = {
    "inhibition": lambda: snn.Leaky(0.9, inhibition=True),
    "quantised": lambda: snn.Leaky(0.9, state_quant=torch.round),
    "dense": lambda: snn.RLeaky(0.9, linear_features=5),
    "gates": lambda: snn.SLSTM(5, 5),
    "overridden": lambda: Own(0.9),
    "random": lambda: snn.Leaky(0.9, spike_grad=surrogate.SSO()),
    "a function": lambda: snn.Leaky(0.9, spike_grad=lambda u: (u > 0).to(u)),
    "another slope": lambda: snn.Leaky(0.9, spike_grad=Bump(0.4)),
    "a learnt slope": lambda: snn.Leaky(0.9, spike_grad=surrogate.fast_sigmoid(torch.tensor(25.0))),
    "another type": lambda: snn.Leaky(torch.full((5,), 0.9).double()),
}


@pytest.mark.parametrize("name", PLAIN)
def test_what_kernels_do_not_take_runs_as_ever(name, taken):
    neuron, x = PLAIN[name](), 0.5 + torch.randn(B, 5)

    def outs():
        torch.manual_seed(0)
        snn.utils.reset(neuron)
        return neuron(x)

    assert all(map(torch.equal, *both(outs)))
    assert not taken


def test_transforms_traces_and_subclasses_run_as_ever(taken):
    neuron, x = snn.Leaky(0.9), torch.randn(2, B, 5)
    with snn.use_backend("triton"):
        torch.vmap(lambda x: neuron(x, torch.zeros(B, 5)))(x)
        torch.func.grad(lambda x: neuron(x, torch.zeros(B, 5))[1].sum())(x[0])
        assert isinstance(neuron(x[0].as_subclass(Tagged))[0], Tagged)
        snn.Leaky(0.9)(torch.empty(0, 5))
    assert not taken


def test_no_kernel_is_taken_unless_it_is_asked_for(monkeypatch, taken):
    neuron, x = snn.Leaky(0.9), torch.randn(T, B, 5)
    neuron(x[0])
    snn.unroll(neuron, x, backend="reference")
    for name in ("numba", "reference"):
        with snn.use_backend(name):
            neuron(x[0])
    monkeypatch.delenv("TRITON_INTERPRET")
    with snn.use_backend("triton"):
        neuron(x[0])
    assert not taken


def test_a_step_on_the_cpu_does_not_load_the_engine():
    code = """
        import sys, torch, snntorch as snn
        snn.Leaky(0.9)(torch.ones(1))
        print("snntorch._engine.backends" in sys.modules)
    """
    assert run_python(textwrap.dedent(code)).split() == ["False"]


def test_without_triton_single_steps_run_as_ever_without_a_warning():
    code = """
        import sys, warnings, torch, snntorch as snn
        from snntorch._engine import cpu, cuda
        sys.modules["triton"] = None
        cpu.DEVICES, cuda.DEVICES = (), ("cpu",)
        warnings.simplefilter("error")
        with snn.use_backend("triton"):
            print(*snn.Leaky(0.9)(torch.full((1,), 2.0)))
        warnings.simplefilter("always")
        with warnings.catch_warnings(record=True) as caught:
            snn.unroll(snn.Leaky(0.9), torch.ones(2, 1))
        print("Triton cannot be used" in str(caught[0].message))
    """
    assert run_python(textwrap.dedent(code)).split() == ["tensor([1.])", "tensor([2.])", "True"]


def test_few_kinds_of_steps_are_remembered(monkeypatch):
    monkeypatch.setattr(single, "_plans", {})
    monkeypatch.setattr(single, "MOST", 3)
    with snn.use_backend("triton"):
        for batch in range(1, 9):
            snn.Leaky(0.9)(torch.randn(batch, 5))
    assert 1 <= len(single._plans) <= 3

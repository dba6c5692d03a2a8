"""Neurons of users' own: what the class promises, and what it refuses."""

import copy
import pickle

import pytest
import torch
from torch import nn

import snntorch as snn
from snntorch import utils

B, N, T = 3, 5, 12


class ALIF(snn.Neuron):
    states = ("mem", "adaptation")

    def __init__(self, beta=0.9, rho=0.8, gain=0.5, **options):
        super().__init__(**options)
        self.parameter("beta", beta)
        self.parameter("rho", rho)
        self.parameter("gain", gain, learn=True)

    @staticmethod
    def step(x, mem, adaptation, beta, rho, gain, threshold, spike, fired):
        reset = fired(mem - threshold - gain * adaptation)
        adaptation = rho * adaptation + (1 - rho) * reset
        mem = beta * mem + x - reset * threshold
        return spike(mem - threshold - gain * adaptation), mem, adaptation


class Second(snn.Neuron):
    """Synaptic by another name, the membrane first."""

    states = ("mem", "syn")
    membrane = "mem"

    def __init__(self, alpha, beta, **options):
        super().__init__(**options)
        self.parameter("alpha", alpha)
        self.parameter("beta", beta)

    @staticmethod
    def update(x, mem, syn, alpha, beta):
        syn = alpha * syn + x
        return beta * mem + syn, syn


class Decaying(snn.Neuron):
    """A parameter that a property works out from a time constant."""

    states = ("mem",)

    def __init__(self, tau=5.0, **options):
        super().__init__(**options)
        self.parameter("tau", tau, learn=True)

    @property
    def decay(self):
        return torch.exp(-1 / self.tau)

    @staticmethod
    def update(x, mem, decay):
        return decay * mem + x


def current(*lead):
    return 0.4 + torch.randn(*lead, N)


def test_by_hand():
    alif = ALIF(beta=0.5, rho=0.5, gain=2.0)
    spk, mem, adaptation = alif(torch.tensor([[1.5, 0.5]]))
    assert spk.tolist() == [[1, 0]] and mem.tolist() == [[1.5, 0.5]] and not adaptation.any()
    spk, mem, adaptation = alif(torch.tensor([[2.0, 0.9]]), mem, adaptation)
    # The one that fired is reset, and its threshold rises by gain * adaptation.
    assert mem.tolist() == [[1.75, pytest.approx(1.15)]] and adaptation.tolist() == [[0.5, 0]]
    assert spk.tolist() == [[0, 1]]


@pytest.mark.parametrize("reset", ["subtract", "zero", "none"])
@pytest.mark.parametrize("late", [True, False])
def test_an_update_fires_and_is_reset_as_the_built_in_ones(reset, late):
    x, how = current(T, B), {"reset_mechanism": reset, "reset_delay": late}
    spk, mem, syn = snn.unroll(Second(0.8, 0.9, **how), x)
    want = snn.unroll(snn.Synaptic(0.8, 0.9, **how), x)
    assert spk.any() and all(map(torch.equal, (spk, syn, mem), want))


def test_a_property_is_a_parameter():
    x, results = current(T, B), []
    for backend in ("numba", "reference"):
        neuron = Decaying(spike_grad="fast_sigmoid").double()
        spk, mem = snn.unroll(neuron, x.double(), backend=backend)
        (spk.sum() + mem.sum()).backward()
        results.append((spk, mem, neuron.tau.grad))
    assert torch.equal(results[0][1], results[1][1]) and results[0][2] != 0
    torch.testing.assert_close(results[0][2], results[1][2])
    want = snn.unroll(snn.Leaky(beta=float(torch.exp(torch.tensor(-0.2)))), x)
    assert torch.equal(snn.unroll(Decaying(), x)[0], want[0])


class Odd(snn.Neuron):
    """Names that the text of kernels uses itself."""

    states = ("x", "n", "at_x", "out")

    def __init__(self, **options):
        super().__init__(**options)
        names = ("t", "N", "F", "q0", "v0", "first", "p_t", "at_n", "ZERO", "stride_at_x", "low")
        for i, name in enumerate(names):
            self.parameter(name, 0.3 + 0.05 * i + torch.zeros(N if i % 2 else 1), learn=True)

    @staticmethod
    def step(
        i, x, n, at_x, out, t, N, F, q0, v0, first, p_t, at_n, ZERO, stride_at_x, low,
        threshold, spike,
    ):  # fmt: skip
        x = t * x + N * i + low
        n = F * n + q0 * x - ZERO
        at_x = v0 * at_x + first * n * stride_at_x
        spk = spike(at_x - threshold / 4)
        return spk, x, n, at_x, p_t * out + at_n * spk


def test_any_name_may_be_used():
    x, results = current(T, B), []
    for backend in ("numba", "reference"):
        neuron = Odd().double()
        leaf = x.double().requires_grad_()
        outs = snn.unroll(neuron, leaf, backend=backend)
        grads = torch.autograd.grad(sum(out.sum() for out in outs), [leaf, *neuron.parameters()])
        results.append((outs, grads))
    assert results[0][0][0].any() and all(map(torch.equal, results[0][0], results[1][0]))
    for got, want in zip(results[0][1], results[1][1], strict=True):
        torch.testing.assert_close(got, want)


# Options of every neuron ----------------------------------------------------------------------


def test_a_refractory_period_by_hand():
    """Fires at 1.2; then two steps without input, while the membrane is reset and decays."""
    lif, states = snn.Leaky(beta=0.5, refractory=2), ()
    spikes, mems, left = [], [], []
    for _ in range(5):
        spk, *states = lif(torch.tensor([[1.2]]), *states)
        spikes.append(spk.item())
        mems.append(states[0].item())
        left.append(states[1].item())
    assert spikes == [1, 0, 0, 1, 0] and left == [2, 1, 0, 2, 1]
    assert mems == pytest.approx([1.2, -0.4, -0.2, 1.1, -0.45])
    assert torch.equal(lif.countdown, torch.tensor([[1.0]]))
    utils.reset(lif)
    assert not lif.countdown.any()


ALL = {
    "leaky": lambda **o: snn.Leaky(0.9, **o),
    "leaky-zero-now": lambda **o: snn.Leaky(0.9, reset_mechanism="zero", reset_delay=False, **o),
    "lapicque": lambda **o: snn.Lapicque(beta=0.9, threshold=0.1, **o),
    "synaptic": lambda **o: snn.Synaptic(0.8, 0.9, **o),
    "alpha": lambda **o: snn.Alpha(0.9, 0.8, threshold=0.5, **o),
    "alif": ALIF,
    "second": lambda **o: Second(0.8, 0.9, **o),
}
OPTIONS = {
    "refractory": lambda: {"refractory": 2},
    "one-to-one": lambda: {"recurrent": nn.Parameter(torch.full((N,), 0.3))},
    "linear": lambda: {"recurrent": nn.Linear(N, N)},
    "both": lambda: {"recurrent": nn.Linear(N, N, bias=False), "refractory": 1},
    "both-one-to-one": lambda: {"recurrent": -0.4, "refractory": 1},
}


@pytest.mark.parametrize(
    "name, option", [*(("alif", option) for option in OPTIONS), *((name, "both") for name in ALL)]
)
def test_options_are_the_loop_written_out(name, option):
    """A sequence in a kernel, its gradients included, against a loop that does it by hand."""
    options = OPTIONS[option]()
    neuron = ALL[name](**options).double()
    plain, period = ALL[name]().double(), options.get("refractory", 0)
    x = current(T, B).double().requires_grad_()
    outs = snn.unroll(neuron, x, backend="numba")
    spk, rest, left, spikes = torch.zeros(B, N).double(), (), torch.zeros(B, N), []
    for step in x:
        ready = (left == 0).double()
        step = step * ready
        if neuron._snn_feedback == "dense":
            step = step + neuron.recurrent(spk) * ready
        elif neuron._snn_feedback:  # what a spike leaves in its own neuron is not blocked
            step = step + neuron.V * spk
        spk, *rest = plain(step, *rest)
        if period:
            # A neuron that is held back is not reset by what it did not fire.
            assert name != "leaky-zero-now" or not (spk * (1 - ready)).any()
            spk = spk * ready
            left = torch.where(spk.detach() > 0, float(period), (left - 1).clamp(min=0))
        spikes.append(spk)
    assert outs[0].any() and torch.equal(outs[0], torch.stack(spikes))
    if period:
        gaps = outs[0].unfold(0, period + 1, 1).sum(-1)
        assert gaps.max() == 1 and torch.equal(neuron.countdown, left.double())
    weights = torch.linspace(0.5, 1.5, outs[0].numel()).double().reshape(outs[0].shape)
    leaves = [x, *(p for n, p in neuron.named_parameters() if n in ("V", "recurrent.weight"))]
    got = torch.autograd.grad((outs[0] * weights).sum(), leaves)
    want = torch.autograd.grad((torch.stack(spikes) * weights).sum(), leaves)
    for a, b in zip(got, want, strict=True):
        torch.testing.assert_close(a, b)


def test_a_recurrent_convolution():
    x = torch.randn(T, B, 2, 4, 4)
    recurrent = nn.Conv2d(2, 2, 3, padding=1)
    neuron = ALIF(recurrent=recurrent)
    outs = snn.unroll(neuron, x, backend="numba")
    want = snn.unroll(neuron, x, backend="reference")
    assert outs[0].any() and torch.equal(outs[0], want[0])
    assert torch.equal(neuron.spk, outs[0][-1])
    dilated = ALIF(recurrent=nn.Conv2d(2, 2, 3, padding=2, dilation=2))
    (stage,) = snn.explain(dilated, x)
    assert stage.backend == "reference" and "more than a kernel" in stage.reason
    assert snn.unroll(dilated, x)[0].shape == x.shape


def test_states_by_name_and_init():
    neuron = ALIF(recurrent=0.5, refractory=1)
    assert neuron.init_states() and len(neuron.init_states()) == 4
    assert [each.shape for each in neuron.init_states(B, N)] == [(B, N)] * 4
    x, adaptation = current(B), torch.rand(B, N)
    a = neuron(x, None, None, adaptation)
    zero = torch.zeros(())
    b = neuron(x, zero, countdown=zero, mem=zero, adaptation=adaptation)
    assert all(map(torch.equal, a, b)) and len(a) == 4
    # What a call returned is what the next one takes.
    assert len(neuron(x, *a)) == 4
    with pytest.raises(TypeError, match="'speed' is not a state that is left to be given; those"):
        neuron(x, speed=x)
    with pytest.raises(TypeError, match=r"has 4 states \(spk, mem, adaptation, countdown\), but 5"):
        neuron(x, *a, x)
    with pytest.raises(TypeError, match=r"has 1 state \(mem\), but 2 were given"):
        snn.Leaky(0.9)(x, x, x)


def test_initial_values():
    class Resting(snn.Neuron):
        states = ("mem",)
        initial = {"mem": -2.0}  # noqa: RUF012

        @staticmethod
        def update(x, mem):
            return mem + x

    neuron = Resting(init_hidden=True, output=True)
    x = torch.full((B, N), 0.5)
    assert (neuron(x)[1] == -1.5).all()
    assert (neuron(x)[1] == -1.0).all()
    utils.reset(neuron)
    assert (neuron.mem == -2).all() and (neuron(x)[1] == -1.5).all()
    assert (snn.unroll(neuron, x, 4)[1][-1] == 0).all()
    explicit = Resting()
    assert (explicit.init_states(2, N)[1] == -2).all()
    assert (explicit(x, explicit.init_states())[1] == -1.5).all()
    explicit = Resting(threshold=9)
    explicit.initial = {"mem": torch.arange(5.0)}
    utils.reset(explicit)
    assert torch.equal(explicit(x)[1], torch.arange(5.0) + x)


@pytest.mark.parametrize("options", [{}, {"recurrent": 0.3}, {"recurrent": nn.Linear(N, N)}])
def test_copies_and_files(options):
    neuron, x = ALIF(**options, refractory=1), current(T, B)
    want = snn.unroll(neuron, x)
    fresh = ALIF(0.1, 0.1, 0.1, **copy.deepcopy(options), refractory=1)
    fresh.load_state_dict(neuron.state_dict())
    for other in (copy.deepcopy(neuron), pickle.loads(pickle.dumps(neuron)), fresh):
        assert not other.mem.any()
        assert all(map(torch.equal, snn.unroll(other, x), want))


# What is refused ------------------------------------------------------------------------------


def make(**body):
    return type("Mine", (snn.Neuron,), body)


def good(x, mem, threshold, spike):
    return spike(mem + x - threshold), mem + x


REFUSED = [
    ({"states": "mem"}, TypeError, "states='mem' must be a tuple of names"),
    ({"states": ("mem", "mem")}, ValueError, "'mem' in states="),
    ({"states": ("threshold",)}, ValueError, "cannot be the name of a state"),
    ({"states": ("_mem",)}, ValueError, "cannot be the name of a state"),
    ({"states": ("mem",), "step": good}, TypeError, "step must be a @staticmethod"),
    (
        {"states": ("syn", "mem"), "step": staticmethod(good)},
        TypeError,
        r"step\(x, mem, threshold, spike\) must take x, syn, mem, \.\.\.: the input",
    ),
    (
        {"states": ("mem",), "step": staticmethod(lambda x, mem, spike, beta: None)},
        TypeError,
        "must take",
    ),
    (
        {"states": ("a", "b"), "update": staticmethod(lambda x, a, b: (a, b))},
        TypeError,
        "membrane=None must name the one of",
    ),
    (
        {
            "states": ("mem",),
            "step": staticmethod(good),
            "update": staticmethod(lambda x, mem: mem),
        },
        TypeError,
        "defines both step and update",
    ),
]


@pytest.mark.parametrize("body, error, message", REFUSED)
def test_classes_that_are_refused(body, error, message):
    with pytest.raises(error, match=message):
        make(**body)


def test_calls_that_are_refused():
    with pytest.raises(TypeError, match="has neither a step nor an update"):
        make(states=("mem",))()
    mine = make(states=("mem",), step=staticmethod(good))
    with pytest.raises(TypeError, match="reset_delay=False, but its step is reset in its own way"):
        mine(reset_delay=False)
    with pytest.raises(ValueError, match="parameter name='mem' must be"):
        mine().parameter("mem", 0.5)
    with pytest.raises(ValueError, match="refractory is -1; expected an integer of at least 0"):
        mine(refractory=-1)
    with pytest.raises(TypeError, match="RLeaky is recurrent by itself"):
        snn.RLeaky(0.9, linear_features=5, recurrent=0.5)
    with pytest.raises(
        ValueError, match=r"returns the shape \(3, 2\) for spikes of shape \(3, 5\)"
    ):
        mine(recurrent=nn.Linear(N, 2))(torch.zeros(B, N))
    short = make(states=("mem",), step=staticmethod(lambda x, mem, spike: spike(x)))
    with pytest.raises(TypeError, match="step returned 1 values; expected 2: spikes, mem"):
        short()(torch.zeros(B, N))
    fires = make(states=("mem",), step=staticmethod(good), fire=lambda self, mem: mem)
    with pytest.raises(TypeError, match="fire belongs to neurons that are overridden in parts"):
        fires()(torch.zeros(B, N))

    class Own(snn.Leaky):
        def mem_reset(self, mem):
            return torch.zeros_like(mem)

    with pytest.raises(TypeError, match="refractory=2 with mem_reset of the subclass"):
        Own(0.9, refractory=2)(torch.zeros(B, N))


def test_an_operation_that_kernels_do_not_have_is_named():
    odd = make(
        states=("mem",),
        step=staticmethod(lambda x, mem, spike: (spike(x), torch.special.i0(mem + x))),
    )
    (stage,) = snn.explain(odd(), current(T, B))
    assert stage.backend == "reference" and "i0" in stage.reason
    assert snn.unroll(odd(), current(T, B))[1].shape == (T, B, N)


@pytest.mark.parametrize("recurrent", [0.3, nn.Linear(N, N)])
def test_the_gradient_of_what_the_input_and_the_feedback_are_multiplied_by(recurrent):
    class Gain(snn.Neuron):
        states = ("mem",)

        def __init__(self, **options):
            super().__init__(**options)
            self.parameter("gain", 0.7, learn=True)

        @staticmethod
        def update(x, mem, gain):
            return 0.9 * mem + gain * x

    x, results = current(T, B).double(), []
    for backend in ("numba", "reference"):
        neuron = Gain(recurrent=copy.deepcopy(recurrent)).double()
        leaf = x.clone().requires_grad_()
        spk, mem = snn.unroll(neuron, leaf, backend=backend)
        parameters = [p for p in neuron.parameters()]
        results.append((spk, torch.autograd.grad(spk.sum() + mem.sum(), [leaf, *parameters])))
    assert results[0][0].any() and torch.equal(results[0][0], results[1][0])
    for got, want in zip(results[0][1], results[1][1], strict=True):
        torch.testing.assert_close(got, want)


@pytest.mark.parametrize(
    "look",
    [
        lambda x: x * x.dim(),
        lambda x: x * x.numel(),
        lambda x: x if x.dim() else 2 * x,
        lambda x: x.flip(0),
        lambda x: x if x.sum() > 0 else 2 * x,
    ],
)
def test_a_step_that_looks_at_the_layer_is_not_compiled(look):
    odd = make(
        states=("mem",),
        step=staticmethod(lambda x, mem, spike: (spike(mem - 1), mem + look(x))),
    )
    x = torch.ones(T, B, N)
    (stage,) = snn.explain(odd(), x)
    assert stage.backend == "reference" and stage.reason
    _, mem = snn.unroll(odd(), x)
    assert torch.equal(mem[-1], T * look(x[0]))


def test_options_of_delta_leaky():
    neuron = snn.DeltaLeaky(0.3, beta=0.9, refractory=2, recurrent=0.2)
    x = current(B)
    _, states = neuron(x)
    assert len(states) == 4
    again = neuron(x, states)
    neuron(x, [torch.zeros(())] * 4)
    assert torch.equal(neuron(x)[0], again[0])
    with pytest.raises(TypeError, match=r"pass the tuple \(spk, mem, mem_prev, countdown\)"):
        neuron(x, states[:2])


def test_a_step_may_take_the_spikes_of_the_last_step():
    class Counting(snn.Neuron):
        states = ("spk", "mem", "count")

        @staticmethod
        def step(x, spk, mem, count, threshold, spike):
            count = 0.5 * count + spk
            mem = 0.9 * mem + x - spk.detach() * threshold
            return spike(mem - threshold - count), mem, count

    neuron = Counting()
    assert len(neuron.init_states(B, N)) == 3
    out = neuron(torch.full((1, 1), 3.0))
    assert [each.item() for each in out] == [1, 3, 0]
    assert [each.item() for each in neuron(torch.zeros(1, 1), *out)] == [0, pytest.approx(1.7), 1]
    x, results = current(T, B).double(), []
    for backend in ("numba", "reference"):
        neuron = Counting(recurrent=nn.Parameter(torch.tensor(0.3)), refractory=1).double()
        assert neuron.init_states(B, N)[0].shape == (B, N) and len(neuron.init_states()) == 4
        leaf = x.clone().requires_grad_()
        outs = snn.unroll(neuron, leaf, backend=backend)
        grads = torch.autograd.grad(sum(out.sum() for out in outs), [leaf, neuron.V])
        results.append((*outs, *grads))
    assert results[0][0].any() and results[1][-1] != 0
    assert all(map(torch.equal, results[0][:4], results[1][:4]))
    for got, want in zip(results[0][4:], results[1][4:], strict=True):
        torch.testing.assert_close(got, want)
    with pytest.raises(ValueError, match="'spk' in states"):
        make(states=("mem", "spk"))


def test_a_step_that_calls_spike_otherwise_than_once_is_not_compiled():
    readout = make(states=("mem",), step=staticmethod(lambda x, mem: (0.9 * mem + x, mem + x)))
    twice = make(
        states=("mem",),
        step=staticmethod(lambda x, mem, spike: (spike(mem - 1) + spike(x), mem + x)),
    )
    x = current(T, B)
    for cls, count in ((readout, 0), (twice, 2)):
        (stage,) = snn.explain(cls(), x)
        assert stage.backend == "reference" and f"not {count} times" in stage.reason
        assert snn.unroll(cls(), x)[0].any()
        with pytest.raises(TypeError, match=f"calls spike {count} times; it must call it once"):
            cls(refractory=1)(x[0])


def test_a_network_of_own_neurons_learns():
    torch.manual_seed(1)
    net = nn.Sequential(
        nn.Linear(6, 20), ALIF(init_hidden=True), nn.Linear(20, 2), Decaying(init_hidden=True)
    )
    optimizer = torch.optim.Adam(net.parameters(), lr=0.02)
    x = torch.rand(T, 32, 6)
    targets = (x[..., :3].sum((0, 2)) > x[..., 3:].sum((0, 2))).long()
    losses = []
    for _ in range(40):
        counts = snn.unroll(net, x).sum(0)
        loss = nn.functional.cross_entropy(counts, targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0] and net[1].gain.grad != 0
    assert (snn.unroll(net, x).sum(0).argmax(1) == targets).float().mean() > 0.9

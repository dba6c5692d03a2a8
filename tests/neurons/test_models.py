"""The models of papers with the papers' parameters: their equations over long runs, and what they
are known for."""

import math

import numpy as np
import pytest
import torch
from models import MODELS
from reference import NumpyOps, run

import snntorch as snn

ROWS = {model.cls: model for model in MODELS if model.equation}

# By class: arguments, and the constant input that makes it fire now and then.
PAPERS = {
    "PLIF": ({}, 1.2),
    "ALIF": ({"alpha": math.exp(-1 / 20), "rho": math.exp(-1 / 200)}, 0.1),
    "AdLIF": ({"alpha": math.exp(-1 / 15), "beta": math.exp(-1 / 60), "a": 0.1, "b": 0.5}, 12.0),
    "SEAdLIF": ({"alpha": math.exp(-1 / 15), "beta": math.exp(-1 / 100), "a": 20, "b": 60}, 12.0),
    "RF": ({"omega": 10.0}, 15.0),
    "BRF": ({"omega": 10.0}, 15.0),
    "Izhikevich": ({}, 10.0),
    "QIF": ({}, 1.5),
    "EIF": ({}, 1.5),
    "AdEx": ({}, 1200.0),
}
T = 400


def inputs(size):
    """Return inputs over time, side by side: constants, a ramp, a wave, a pulse, and noise."""
    t = torch.arange(T, dtype=torch.float64) / T
    rng = np.random.default_rng(1)
    noise = torch.from_numpy(rng.normal(0.7, 1.5, T))
    pulse = ((t > 0.2) & (t < 0.5)).double()
    wave = 0.6 + torch.sin(2 * math.pi * 10 * t)
    return size * torch.stack([0 * t, 0 * t + 1, 0 * t + 2, 2 * t, wave, 2 * pulse, noise], 1)


def recorded(neuron, x):
    """Run a sequence ``[T, samples]`` of one neuron; return spikes and states by their names."""
    outs = snn.unroll(neuron, x[..., None])
    return {
        name: out[..., 0].detach().numpy()
        for name, out in zip(dict.fromkeys(("spk", *neuron.states)), outs, strict=True)
    }


def intervals(spikes):
    return np.diff(np.flatnonzero(spikes))


@pytest.mark.parametrize("cls", PAPERS)
def test_long_runs_equal_the_equation(cls):
    kwargs, size = PAPERS[cls]
    row, neuron = ROWS[cls], getattr(snn, cls)(**kwargs).double()
    x = inputs(size)
    assert snn.explain(neuron, x[..., None])[0].backend == "numba"
    got = recorded(neuron, x)
    p = {name: value.numpy() for name, value in neuron.state_dict().items()}
    with np.errstate(over="ignore"):
        want = run(
            NumpyOps(), cls, p, x.numpy(), x.shape[1:], neuron.reset_mechanism, False, model=row
        )
    assert 0 < want["spk"].mean() < 0.7 and want["spk"].any(0).sum() >= 4
    np.testing.assert_array_equal(got["spk"], want["spk"])
    # Above the peak of a spike the exponent is limited.
    top = p["threshold"] if cls in ("EIF", "AdEx") else np.inf
    got["mem"], want["mem"] = (np.minimum(each["mem"], top) for each in (got, want))
    for name in neuron.states:
        scale = np.abs(want[name]).max()
        np.testing.assert_allclose(got[name], want[name], rtol=1e-9, atol=1e-9 * scale)


@pytest.mark.parametrize("cls", PAPERS)
def test_gradients_below_threshold_equal_finite_differences(cls):
    kwargs, size = PAPERS[cls]
    neuron = getattr(snn, cls)(**kwargs, surrogate_disable=True).double()
    for name in ROWS[cls].keys & neuron._buffers.keys():
        neuron.register_parameter(name, torch.nn.Parameter(neuron._buffers.pop(name)))
    parameters = dict(neuron.named_parameters())

    def traces(x, *values):
        states = torch.func.functional_call(
            Run(neuron), {f"neuron.{n}": v for n, v in zip(parameters, values, strict=True)}, (x,)
        )
        return tuple(each / scale for each, scale in zip(states, scales, strict=True))

    x = (0.2 * size * torch.rand(6, 2, dtype=torch.float64)).requires_grad_()
    spk, *states = snn.unroll(neuron, x)
    assert not spk.any()
    scales = [each.abs().max().clamp(min=1).detach() for each in states]
    values = [value.detach().clone().requires_grad_() for value in parameters.values()]
    assert torch.autograd.gradcheck(traces, (x, *values), eps=1e-6, rtol=1e-4, atol=1e-6)


class Run(torch.nn.Module):
    """All states over time."""

    def __init__(self, neuron):
        super().__init__()
        self.neuron = neuron

    def forward(self, x):
        self.neuron.reset_hidden()
        outs = [self.neuron(x_t)[1:] for x_t in x]
        return [torch.stack(each) for each in zip(*outs, strict=True)]


# What they are known for ----------------------------------------------------------------------


def test_plif_approaches_a_constant_input_at_its_rate():
    plif = snn.PLIF(tau=5.0, threshold=10.0)
    mem = snn.unroll(plif, torch.ones(20, 1))[1][:, 0]
    torch.testing.assert_close(mem, 1 - 0.8 ** torch.arange(1, 21))
    torch.testing.assert_close(plif.tau.detach(), torch.tensor(5.0))


def test_plif_learns_its_time_constant():
    plif = snn.PLIF(reset_mechanism="none")
    mem = snn.unroll(plif, torch.ones(3, 1))[1][-1]
    # mem = 1 - (1 - r)^3 at r = 1/2, which is sigmoid(0) with a slope of 1/4
    (grad,) = torch.autograd.grad(mem.sum(), plif.w)
    torch.testing.assert_close(grad, torch.tensor(3 * 0.5**2 / 4))
    assert not list(snn.PLIF(learn_tau=False).parameters())
    taus = torch.tensor([1.5, 2.0, 30.0])
    torch.testing.assert_close(snn.PLIF(tau=taus).tau.detach(), taus)


@pytest.mark.parametrize("tau", [1.0, 0.0, torch.tensor([2.0, 0.5]), math.nan])
def test_plif_names_a_time_constant_that_is_too_short(tau):
    with pytest.raises(ValueError, match=r"PLIF: tau=.* must be greater than 1 time step"):
        snn.PLIF(tau=tau)


def test_plif_is_reset_in_the_step_in_which_it_fires():
    for kwargs, after in (({}, 0.0), ({"reset_mechanism": "subtract"}, 1.0)):
        spk, mem = snn.PLIF(**kwargs)(torch.tensor([4.0]))
        assert spk.item() == 1 and mem.item() == after


@pytest.mark.parametrize("cls", ["ALIF", "AdLIF", "SEAdLIF", "AdEx"])
def test_spikes_of_adaptive_neurons_become_rarer(cls):
    kwargs, size = PAPERS[cls]
    steps = 4000 if cls == "AdEx" else T
    spikes = recorded(getattr(snn, cls)(**kwargs).double(), torch.full((steps, 1), 1.0 * size))
    found = intervals(spikes["spk"][:, 0])
    assert len(found) > 4 and found[-1] > 1.3 * found[0]


def test_the_symplectic_method_decays_alike_whatever_the_oscillation():
    """Both states together shrink by sqrt(alpha beta) at each step, for any ``a``."""
    for a in (0.0, 10.0, 120.0):
        neuron = snn.SEAdLIF(alpha=0.9, beta=0.99, a=a, b=0.0, threshold=1e9).double()
        unit = torch.eye(2, dtype=torch.float64)
        _, mem, adaptation = neuron(torch.zeros(2).double(), unit[0], unit[1])
        determinant = torch.det(torch.stack([mem, adaptation]))
        assert determinant.item() == pytest.approx((neuron.alpha * neuron.beta).item(), rel=1e-12)


# The bounds of ``a`` that the documentation states.
BOUNDS = {
    "AdLIF": lambda alpha, beta: (beta - 1, (1 - alpha * beta) / (1 - alpha)),
    "SEAdLIF": lambda alpha, beta: (-1, (1 + alpha) * (1 + beta) / ((1 - alpha) * (1 - beta))),
}


@pytest.mark.parametrize("cls", BOUNDS)
@pytest.mark.parametrize("alpha, beta", [(0.0, 0.0), (0.5, 0.9), (0.9, 0.5), (0.82, 0.967)])
def test_adaptive_neurons_are_stable_in_the_stated_range(cls, alpha, beta):
    """By the eigenvalues of a step at rest."""

    def radius(a):
        neuron = getattr(snn, cls)(alpha, beta, a=a, b=0.5, surrogate_disable=True).double()
        at_rest = torch.zeros(2, dtype=torch.float64)

        def step(states):
            spk = torch.zeros(()).double()
            given = (spk, *states) if cls == "AdLIF" else states
            return torch.stack(neuron(torch.zeros(()).double(), *given)[1:])

        return torch.linalg.eigvals(torch.autograd.functional.jacobian(step, at_rest)).abs().max()

    low, high = BOUNDS[cls](alpha, beta)
    assert max(radius(low * 0.999), radius(high * 0.999)) < 1
    assert min(radius(low * 1.001), radius(high * 1.001)) > 1


@pytest.mark.parametrize("alpha, beta", [(0.5, 0.9), (0.82, 0.967), (0.95, 0.99)])
def test_adlif_stays_bounded_in_the_stated_range_alone(alpha, beta):
    """Also while it fires."""
    x = 20 * torch.randn(6000, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    low, high = BOUNDS["AdLIF"](alpha, beta)

    def largest(a):
        spk, mem, _ = snn.unroll(snn.AdLIF(alpha=alpha, beta=beta, a=a, b=1.0).double(), x)
        assert spk.any() or a < low
        return mem.abs().nan_to_num(nan=math.inf).amax().item()

    assert max(largest(0.5 * low), largest(0), largest(0.5 * high)) < 1e4
    assert min(largest(1.5 * low), largest(1.5 * high)) > 1e6


def test_rf_answers_most_to_its_own_frequency():
    omegas = torch.linspace(4, 30, 27, dtype=torch.float64)
    # At b = p(omega) - 1 each decays alike.
    b = ((1 - (0.01 * omegas) ** 2).sqrt() - 1) / 0.01 - 1
    rf = snn.RF(omega=omegas, b=b, threshold=5.0).double()
    t = 0.01 * torch.arange(1500, dtype=torch.float64)
    for own in (3, 11, 20):
        wave = 15 * torch.sin(omegas[own] * t)
        spk, mem, _ = snn.unroll(rf, wave[:, None].expand(-1, len(omegas)))
        assert mem[-500:].abs().amax(0).argmax() == own
        assert spk.sum(0).argmax() == own and not spk[:, 0 if own > 5 else -1].any()


def test_brf_neither_grows_nor_decays_at_the_boundary():
    omega = torch.tensor([1.0, 30.0, 90.0], dtype=torch.float64)
    brf = snn.BRF(omega=omega, b_offset=0.0, threshold=10.0).double()
    brf.mem = torch.ones(3, dtype=torch.float64)
    _, mem, imag, q = snn.unroll(brf, torch.zeros(1000, 3).double(), reset=False)
    torch.testing.assert_close(mem**2 + imag**2, torch.ones(1000, 3).double())
    assert not q.any()


def test_brf_rests_after_a_spike():
    brf = snn.BRF(omega=20.0, b_offset=3.0).double()
    brf.mem = torch.tensor([3.0], dtype=torch.float64)
    outs = snn.unroll(brf, torch.zeros(100, 1).double(), reset=False)
    spk, mem, _, q = (out[:, 0] for out in outs)
    assert spk[:3].tolist() == [1, 1, 0] and mem[2] > 1 and not spk[2:].any()
    torch.testing.assert_close(q[1:].max(), torch.tensor(1.9, dtype=torch.float64))


def test_the_sign_of_a_frequency_does_not_matter():
    x = 15 + 10 * torch.randn(200, 3)
    spikes = [snn.unroll(snn.BRF(omega=omega), x)[0] for omega in (8.0, -8.0)]
    assert torch.equal(*spikes) and spikes[0].any()


@pytest.mark.parametrize(
    "pattern, kwargs",
    [
        ("regular", {}),
        ("fast", {"a": 0.1, "d": 2.0}),
        ("chattering", {"c": -50.0, "d": 2.0}),
    ],
)
def test_izhikevich_fires_in_patterns(pattern, kwargs):
    neuron = snn.Izhikevich(**kwargs).double()
    found = intervals(recorded(neuron, torch.full((2000, 1), 10.0).double())["spk"][:, 0]) / 2
    if pattern == "regular":  # it slows down at first
        assert found[0] < 0.7 * found[-1] and np.ptp(found[3:]) <= 2 and 20 < found[-1] < 100
    elif pattern == "fast":
        assert np.ptp(found[2:]) <= 2 and found[-1] < 15
    else:  # bursts
        assert found.min() < 5 and found.max() > 20


def test_izhikevich_settles_at_rest():
    """0.04 v^2 + 5 v + 140 = 0.2 v at -70."""
    neuron = snn.Izhikevich().double()
    first = neuron.init_states(1, 1)
    assert first[1].item() == -65 and first[2].item() == pytest.approx(-13)
    spk, mem, recovery = snn.unroll(neuron, torch.zeros(4000, 1).double())
    assert not spk.any()
    assert mem[-1].item() == pytest.approx(-70) and recovery[-1].item() == pytest.approx(-14)


@pytest.mark.parametrize("cls, rheobase", [("QIF", 15 / 4 / 10), ("EIF", (5.1 - 3.48) / 10)])
def test_a_current_above_the_rheobase_fires(cls, rheobase):
    x = rheobase * torch.tensor([0.98, 1.02], dtype=torch.float64).expand(10_000, 2)
    spk, _ = snn.unroll(getattr(snn, cls)().double(), x)
    assert spk.any(0).tolist() == [False, True]


def test_the_period_of_qif():
    """The integral of dU / dU/dt from reset to peak, which is an arc tangent."""
    qif = snn.QIF(dt=0.001).double()
    spikes = recorded(qif, torch.full((40_000, 1), 3.0).double())["spk"][:, 0]
    # (u^2 + c) / 15 with u = U + 57.5 and c = 15 R X - 7.5^2
    root = math.sqrt(15 * 30 - 7.5**2)
    period = 10 * 15 / root * (math.atan(87.5 / root) - math.atan(-12.5 / root))
    assert intervals(spikes)[0] * 0.001 == pytest.approx(period, rel=2e-3)


@pytest.mark.parametrize("cls", ["EIF", "AdEx"])
def test_an_upswing_stays_finite(cls):
    """Also where its exponential is beyond the range of the dtype."""
    neuron = getattr(snn, cls)(slope_factor=torch.nn.Parameter(torch.tensor(0.1)))
    x = torch.linspace(0, 3 * PAPERS[cls][1], 300)[:, None].requires_grad_()
    for backend in ("numba", "reference"):
        spk, *states = snn.unroll(neuron, x, backend=backend)
        assert spk.sum() > 3 and all(each.isfinite().all() for each in states)
        grads = torch.autograd.grad(sum(map(torch.sum, (spk, *states))), [x, neuron.slope_factor])
        assert all(each.isfinite().all() for each in grads)


def test_a_neuron_that_starts_elsewhere_learns_where():
    rest = torch.nn.Parameter(torch.tensor(-65.0))
    eif = snn.EIF(rest=rest)
    (grad,) = torch.autograd.grad(eif(torch.zeros(1))[1].sum(), rest)
    # U + dt / tau (rest - U + upswing), in which the upswing's slope is exp(-5.1 / 3.48)
    assert grad.item() == pytest.approx(1 + 0.01 * math.exp(-5.1 / 3.48), rel=1e-4)

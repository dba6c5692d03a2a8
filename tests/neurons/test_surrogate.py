"""Surrogates: slopes against their formulas, and every form that a neuron accepts."""

import copy
import pickle

import pytest
import torch
from releases import half
from slopes import SLOPES

import snntorch as snn
from snntorch import surrogate

GRID = torch.linspace(-3, 3, 61, dtype=torch.float64)

CASES = [
    ("atan", ()),
    ("atan", (3.0,)),
    ("fast_sigmoid", ()),
    ("fast_sigmoid", (10,)),
    ("sigmoid", ()),
    ("sigmoid", (5,)),
    ("straight_through_estimator", ()),
    ("heaviside", ()),
    ("triangular", ()),
    ("triangular", (0.3,)),
    ("spike_rate_escape", ()),
    ("spike_rate_escape", (2, 10)),
    ("SFS", ()),
    ("SFS", (10, 0.5)),
    ("LSO", ()),
    ("LSO", (0.3,)),
]
every = pytest.mark.parametrize("name, parameters", CASES)

CLASSES = {
    "atan": surrogate.ATan,
    "fast_sigmoid": surrogate.FastSigmoid,
    "sigmoid": surrogate.Sigmoid,
    "straight_through_estimator": surrogate.StraightThroughEstimator,
    "heaviside": surrogate.Heaviside,
    "triangular": surrogate.Triangular,
    "spike_rate_escape": surrogate.SpikeRateEscape,
    "SFS": surrogate.SparseFastSigmoid,
    "LSO": surrogate.LeakySpikeOperator,
    "SSO": surrogate.StochasticSpikeOperator,
}


def gradient(spike_grad, u=GRID):
    u = u.clone().requires_grad_()
    (grad,) = torch.autograd.grad(spike_grad(u).sum(), u)
    return grad


def fast_sigmoid_25(input_, grad_input, spikes):
    return grad_input / (25 * input_.abs() + 1) ** 2


@every
def test_slope_is_its_formula(name, parameters):
    spike_grad = getattr(surrogate, name)(*parameters)
    want = SLOPES[name](GRID, *parameters)
    torch.testing.assert_close(gradient(spike_grad), want, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(spike_grad.slope(GRID), want, rtol=1e-12, atol=1e-14)


@every
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, half])
def test_fires_strictly_above_zero(name, parameters, dtype):
    u = torch.tensor([-torch.inf, -1, -1e-7, -0.0, 0.0, 1e-7, 1, torch.inf, torch.nan])
    u = u.to(dtype).requires_grad_()
    spikes = getattr(surrogate, name)(*parameters)(u)
    assert spikes.dtype == dtype
    assert spikes.tolist() == (u > 0).tolist()


@every
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, half])
def test_gradient_is_finite_everywhere(name, parameters, dtype):
    u = torch.tensor([-6e4, -1e3, -1, 0, 1, 1e3, 6e4]).to(dtype)
    grad = gradient(getattr(surrogate, name)(*parameters), u)
    assert grad.dtype == dtype
    assert grad.isfinite().all()


@every
def test_gradient_is_scaled_by_the_incoming_one(name, parameters):
    u = GRID.clone().requires_grad_()
    incoming = torch.linspace(-2, 2, len(u), dtype=u.dtype)
    (grad,) = torch.autograd.grad(getattr(surrogate, name)(*parameters)(u), u, incoming)
    torch.testing.assert_close(grad, incoming * SLOPES[name](GRID, *parameters))


@every
def test_detached_arithmetic_gives_the_same(name, parameters):
    spike_grad = getattr(surrogate, name)(*parameters)
    assert torch.equal(spike_grad.by_detach(GRID), spike_grad(GRID))
    torch.testing.assert_close(gradient(spike_grad.by_detach), gradient(spike_grad))
    assert spike_grad.by_detach(torch.tensor([torch.inf, -torch.inf])).tolist() == [1, 0]


def test_a_bound_method_is_taken_for_what_it_is():
    class Shifted:
        @classmethod
        def apply(cls, u):
            return surrogate.atan()(u - 1)

    u = torch.tensor([0.5, 1.5])
    assert snn.Leaky(beta=0.9, spike_grad=Shifted.apply).spike_grad(u).tolist() == [0, 1]
    assert snn.Leaky(beta=0.9, spike_grad=surrogate.ATan.apply).spike_grad == surrogate.atan()


@every
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")  # from torch.func itself
def test_torch_func(name, parameters):
    spike_grad = getattr(surrogate, name)(*parameters)
    want = SLOPES[name](GRID, *parameters)
    total = lambda u: spike_grad(u).sum()  # noqa: E731
    torch.testing.assert_close(torch.func.grad(total)(GRID), want)
    torch.testing.assert_close(torch.func.jacfwd(spike_grad)(GRID).diagonal(), want)
    rows = GRID[:60].reshape(4, 15)
    torch.testing.assert_close(
        torch.func.vmap(torch.func.grad(total))(rows), want[:60].reshape(4, 15)
    )


@pytest.mark.parametrize("name", ["atan", "fast_sigmoid", "sigmoid", "spike_rate_escape"])
def test_second_derivative_of_smooth_slopes(name):
    spike_grad = getattr(surrogate, name)(3)
    u = GRID[GRID.abs() > 0.05].clone()
    u = u[(u - 1).abs() > 0.05].requires_grad_()
    (first,) = torch.autograd.grad(spike_grad(u).sum(), u, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), u)
    step = 1e-6
    slope = SLOPES[name]
    want = (slope(u.detach() + step, 3) - slope(u.detach() - step, 3)) / (2 * step)
    torch.testing.assert_close(second, want, rtol=1e-6, atol=1e-7)


def test_sigmoid_slope_keeps_its_digits_far_out():
    # k e^-ku / (1 + e^-ku)^2 at u = 1, k = 25: 25 e^-25 to the last digits.
    assert gradient(surrogate.sigmoid(), torch.tensor([1.0])).item() == pytest.approx(
        3.4719859e-10, rel=1e-5
    )


@pytest.mark.parametrize("mean, variance", [(0, 0.2), (0.5, 0.2), (1.0, 2.0)])
def test_stochastic_slope_is_uniform_below_the_threshold(mean, variance):
    torch.manual_seed(3)
    grad = gradient(surrogate.SSO(mean, variance), torch.full((100_000,), -0.5))
    low, high = (mean - 0.5) * variance, (mean + 0.5) * variance
    assert low <= grad.min() < low + 0.01 * variance
    assert high - 0.01 * variance < grad.max() <= high
    four_errors = 4 * variance / 12**0.5 / len(grad) ** 0.5
    assert abs(grad.mean() - mean * variance) < four_errors
    assert gradient(surrogate.SSO(mean, variance), torch.tensor([0.5])).item() == 1


def test_custom_surrogate_receives_input_gradient_and_spikes():
    seen = []

    def spy(input_, grad_input, spikes):
        seen.append((input_.clone(), grad_input.clone(), spikes.clone()))
        return grad_input * 3

    u = torch.tensor([-1.0, 2.0], requires_grad=True)
    incoming = torch.tensor([5.0, 7.0])
    (grad,) = torch.autograd.grad(surrogate.custom_surrogate(spy)(u), u, incoming)
    assert grad.tolist() == [15, 21]
    ((input_, grad_input, spikes),) = seen
    assert torch.equal(input_, u) and torch.equal(grad_input, incoming)
    assert spikes.tolist() == [0, 1]
    custom = surrogate.custom_surrogate(fast_sigmoid_25)
    torch.testing.assert_close(gradient(custom), gradient(surrogate.fast_sigmoid()))


@pytest.mark.parametrize("name", CLASSES)
def test_every_form_is_accepted_and_pickles(name):
    factory, cls = getattr(surrogate, name), CLASSES[name]
    want = factory()
    u = torch.tensor([-0.3, 0.4])
    for form in (name, cls, cls(), factory(), factory):
        spike_grad = snn.Leaky(beta=0.9, spike_grad=form).spike_grad
        assert spike_grad == want
        assert pickle.loads(pickle.dumps(spike_grad)) == want
        assert copy.deepcopy(spike_grad) == want
    torch.manual_seed(1)
    a = gradient(cls.apply, u)
    torch.manual_seed(1)
    assert torch.equal(a, gradient(want, u))


def test_parameters_reach_the_slope_by_every_way():
    want = SLOPES["spike_rate_escape"](GRID, 2, 10)
    for spike_grad in (
        surrogate.spike_rate_escape(beta=2, slope=10),
        surrogate.SpikeRateEscape(2, 10),
        lambda u: surrogate.SpikeRateEscape.apply(u, 2, 10),
    ):
        torch.testing.assert_close(gradient(spike_grad), want)
    assert surrogate.fast_sigmoid(10) != surrogate.fast_sigmoid(25)


def test_foreign_functions_and_callables_are_accepted():
    class Double(torch.autograd.Function):
        @staticmethod
        def forward(ctx, u):
            return (u > 0).to(u)

        @staticmethod
        def backward(ctx, grad):
            return 2 * grad

    x = torch.tensor([1.5, 0.5], requires_grad=True)
    for form in (Double, Double.apply):
        spk, _ = snn.Leaky(beta=0.5, spike_grad=form)(x)
        (grad,) = torch.autograd.grad(spk.sum(), x)
        assert spk.tolist() == [1, 0] and grad.tolist() == [2, 2]
    spk, mem = snn.Leaky(beta=0.5, spike_grad=torch.sigmoid, reset_mechanism="none")(x)
    assert torch.equal(spk, torch.sigmoid(mem - 1)) and torch.equal(mem, x)


class Wide(surrogate.FastSigmoid):
    """Its own backward, 1 / (1 + |u|) at slope 1."""

    @staticmethod
    def backward(ctx, grad_output):
        (input_,) = ctx.saved_tensors
        return grad_output / (1 + ctx.slope * input_.abs()), None


class Late(surrogate.FastSigmoid):
    """Its own forward, with the parent's gradient."""

    @staticmethod
    def forward(ctx, input_, slope=1):
        ctx.save_for_backward(input_)
        ctx.slope = slope
        return (input_ > 0.5).to(input_)


class LaterStill(Late):
    @staticmethod
    def slope(input_, slope=1):
        return slope * torch.ones_like(input_)


class Number(surrogate.FastSigmoid):
    slope = 1


WIDE = [1 / 1.6, 1 / 1.8, 1 / 1.2, 1 / 2.8]
FAST = [1 / 1.6**2, 1 / 1.8**2, 1 / 1.2**2, 1 / 2.8**2]
# Spikes and gradients at -0.6, -0.8, 0.2, 1.8.
OWN = [
    (Wide(1), [0, 0, 1, 1], WIDE),
    (lambda u: Wide.apply(u, 1), [0, 0, 1, 1], WIDE),
    (Late, [0, 0, 0, 1], FAST),
    (Late(1), [0, 0, 0, 1], FAST),
    (Late.apply, [0, 0, 0, 1], FAST),
    (LaterStill(3), [0, 0, 0, 1], [3, 3, 3, 3]),
    (Number(1), [0, 0, 1, 1], FAST),
]


@pytest.mark.parametrize("form, spikes, slopes", OWN)
def test_a_subclass_is_never_run_by_its_parent(form, spikes, slopes):
    steps = torch.tensor([[0.4, 0.2, 1.2, 2.8], [0, 0, 0, 0]], dtype=torch.float64)
    for run in (lambda lif, x: torch.stack([lif(x_t)[0] for x_t in x]), snn.unroll):
        lif = snn.Leaky(beta=0.5, spike_grad=form)
        x = steps.clone().requires_grad_()
        out = run(lif, x)
        spk = out[0] if isinstance(out, tuple) else out
        (grad,) = torch.autograd.grad(spk[0].sum(), x)
        assert spk[0].tolist() == spikes
        torch.testing.assert_close(grad[0], torch.tensor(slopes, dtype=x.dtype))
        # The neurons that fired are reset, and no others.
        want = steps[0] / 2 - torch.tensor(spikes, dtype=x.dtype)
        torch.testing.assert_close(lif.mem.detach(), want)


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")  # from torch.func itself
@pytest.mark.parametrize("function", [Wide, Late])
def test_torch_func_does_not_take_the_slope_of_the_parent(function):
    with pytest.raises(RuntimeError, match="setup_context"):
        torch.func.grad(lambda u: function.apply(u, 1).sum())(GRID)


def test_a_subclass_pickles_and_compares():
    assert pickle.loads(pickle.dumps(Wide(3))) == Wide(3) != Wide(4)
    assert repr(Late(2)) == "Late(2)"


def test_what_cannot_fire_is_refused():
    with pytest.raises(ValueError, match=r"'fast_sigmod'.*fast_sigmoid"):
        snn.Leaky(beta=0.9, spike_grad="fast_sigmod")
    for wrong in (3, torch.ones(1), int):
        with pytest.raises(TypeError, match="cannot fire"):
            snn.Leaky(beta=0.9, spike_grad=wrong)
    for bare in (surrogate.CustomSurrogate, surrogate.custom_surrogate):
        with pytest.raises(TypeError, match="custom_surrogate_function"):
            snn.Leaky(beta=0.9, spike_grad=bare)
    with pytest.raises(TypeError, match="alpha"):
        surrogate.ATan(1.0, 2.0)

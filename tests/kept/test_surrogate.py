"""Surrogates as code for 1.0.0 writes them: subclasses, autograd functions, callables."""

import functools

import pytest
import torch

import snntorch as snn
from snntorch import surrogate

U = torch.tensor([-1.5, -0.2, 0.0, 0.3, 1.5])
FIRED = [0.0, 0.0, 0.0, 1.0, 1.0]

# Parameters of each class, and which of the input and the spikes it saves.
CLASSES = {
    "ATan": ({"alpha": 3.0}, "i"),
    "FastSigmoid": ({"slope": 10}, "i"),
    "Sigmoid": ({"slope": 5}, "i"),
    "StraightThroughEstimator": ({}, ""),
    "Heaviside": ({}, "s"),
    "Triangular": ({"threshold": 0.3}, "i"),
    "SpikeRateEscape": ({"beta": 2, "slope": 10}, "i"),
    "SparseFastSigmoid": ({"slope": 10, "B": 0.5}, "i"),
    "LeakySpikeOperator": ({"slope": 0.3}, "s"),
    "StochasticSpikeOperator": ({"mean": 0.5, "variance": 0.2}, "is"),
    "CustomSurrogate": ({"custom_surrogate_function": lambda u, grad, spk: grad * spk * 3}, "is"),
}
every = pytest.mark.parametrize("name", CLASSES)


def gradient(function, incoming=None):
    u = U.clone().requires_grad_()
    spikes = function(u)
    spikes.backward(torch.ones_like(u) if incoming is None else incoming)
    return spikes.tolist(), u.grad


def trained(spike_grad):
    """Return the gradient of four steps of a neuron, in its input."""
    lif = snn.Leaky(beta=0.8, spike_grad=spike_grad)
    x = torch.tensor([[-1.5, -0.2, 0.0, 0.3, 1.5], [2, 1.2, 1.0, 0.9, 3.0]], requires_grad=True)
    mem, loss = lif.init_leaky(), 0
    for i in range(1, 5):
        spk, mem = lif(x * i / 2, mem)
        loss = loss + (spk * i).sum() + mem.sum() / 10
    loss.backward()
    assert loss.item() == pytest.approx(64.141121)
    return x.grad.flatten()


def same(got, want):
    torch.testing.assert_close(got, torch.tensor(want, dtype=got.dtype), rtol=1e-5, atol=2e-6)


@every
def test_own_backward_finds_what_the_parent_kept(name):
    parameters, saves = CLASSES[name]
    seen = {}

    class Mine(getattr(surrogate, name)):
        @staticmethod
        def backward(ctx, grad_output):
            seen.update(vars(ctx))
            seen["saved"] = [tensor.tolist() for tensor in ctx.saved_tensors]
            return 7 * grad_output, *(None for _ in parameters)

    spikes, grad = gradient(lambda u: Mine.apply(u, *parameters.values()))
    assert spikes == FIRED and grad.tolist() == [7] * 5
    assert seen.pop("saved") == [{"i": U.tolist(), "s": FIRED}[each] for each in saves]
    assert seen == parameters


# The backward of 1.0.0's LeakySpikeOperator raises.
@pytest.mark.parametrize("name", [name for name in CLASSES if name != "LeakySpikeOperator"])
def test_own_forward_with_the_backward_of_the_parent(name):
    parameters, saves = CLASSES[name]
    parent = getattr(surrogate, name)

    class Late(parent):
        @staticmethod
        def forward(ctx, input_, *values):
            spikes = (input_ > 0.5).float()
            ctx.save_for_backward(*({"i": input_, "s": spikes}[each] for each in saves))
            for key, value in zip(parameters, values, strict=True):
                setattr(ctx, key, value)
            return spikes

    incoming = torch.tensor([1.0, -2.0, 0.5, 3.0, 2.0])
    torch.manual_seed(0)
    spikes, grad = gradient(lambda u: Late.apply(u, *parameters.values()), incoming)
    assert spikes == [0, 0, 0, 0, 1]
    want = {
        "Heaviside": [0.0, 0, 0, 0, 2],
        "CustomSurrogate": [0.0, 0, 0, 0, 6],
    }
    if name == "StochasticSpikeOperator":
        # Uniform in [0, 0.2) below the threshold.
        slope = grad / incoming
        assert slope[-1] == 1 and (slope[:3] >= 0).all() and (slope[:3] < 0.2).all()
    elif name in want:
        same(grad, want[name])
    else:
        unchanged = gradient(lambda u: parent.apply(u, *parameters.values()), incoming)[1]
        assert torch.equal(grad, unchanged)


class Fires(surrogate.FastSigmoid):
    @staticmethod
    def forward(ctx, input_, slope=25):
        ctx.save_for_backward(input_)
        ctx.slope = slope
        return (input_ > 0.1).float()


class Learns(surrogate.FastSigmoid):
    @staticmethod
    def backward(ctx, grad_output):
        (input_,) = ctx.saved_tensors
        return grad_output * torch.exp(-ctx.slope * input_.abs()), None


class Shifted(surrogate.StraightThroughEstimator):
    @staticmethod
    def forward(ctx, input_):
        return (input_ > 0.1).float()


class Clipped(surrogate.Sigmoid):
    """Both, by means of the parent's."""

    @staticmethod
    def forward(ctx, input_, slope):
        return surrogate.Sigmoid.forward(ctx, input_, slope * 2)

    @staticmethod
    def backward(ctx, grad_output):
        grad, none = surrogate.Sigmoid.backward(ctx, grad_output)
        return grad.clamp(-1, 1), none


class Inherits(Clipped):
    slope = 5


class Plain(torch.autograd.Function):
    @staticmethod
    def forward(ctx, u, k=3.0):
        ctx.save_for_backward(u)
        ctx.k = k
        return u.gt(0).float()

    @staticmethod
    def backward(ctx, grad):
        (u,) = ctx.saved_tensors
        return grad / (ctx.k * u.abs() + 1) ** 2, None


def factory(k):
    def inner(u):
        return Plain.apply(u, k)

    return inner


# Recorded from 1.0.0.
FIRES = [0.863321, 0.877512, 0.902346, 1.432004, 0.880089]
FIRES += [1.364981, 0.888989, 0.931041, 1.023613, 0.866052]
CLIPPED = [0.8616, 0.861782, 0.874104, 7.662878, 1.212587]
CLIPPED += [1.3616, 0.981875, 1.54865, 4.378832, 0.89484]
PLAIN = [0.964878, 1.654228, 2.5831, 9.950495, 1.481403]
PLAIN += [1.553892, 1.971678, 3.166777, 4.867431, 1.041696]
LEARNS = [0.864483, 1.091332, 2.232935, 13.775792, 1.225812]
LEARNS += [1.37472, 1.659075, 3.375743, 6.073398, 0.976976]
STEEP = [0.922044, 1.348765, 1.96336, 7.889946, 1.265267]
STEEP += [1.475743, 1.573748, 2.408817, 3.705092, 0.976104]
TRAINED = [
    (lambda u: Fires.apply(u, 25), FIRES),
    (Fires.apply, FIRES),
    (lambda u: Learns.apply(u, 3), LEARNS),
    (Shifted.apply, [28.405602] * 10),
    (lambda u: Clipped.apply(u, 5), CLIPPED),
    (lambda u: Inherits.apply(u, Inherits.slope), CLIPPED),
    (Plain.apply, PLAIN),
    (functools.partial(lambda k, u: Plain.apply(u, k), 3.0), PLAIN),
    (factory(4.0), STEEP),
]


@pytest.mark.parametrize("case", range(len(TRAINED)))
def test_a_neuron_trains_on_the_slope_it_is_given(case):
    spike_grad, want = TRAINED[case]
    same(trained(spike_grad), want)


def test_own_firing_decides_over_the_reset():
    x = torch.tensor([1.05, 1.2])  # 0.05 and 0.2 above the threshold
    for spike_grad in (Fires.apply, lambda u: Fires.apply(u, 25), Shifted.apply):
        lif = snn.Leaky(beta=0.5, spike_grad=spike_grad)
        spk, mem = lif(x, lif.init_leaky())
        assert spk.tolist() == [0, 1]
        _, mem = lif(torch.zeros(2), mem)
        same(mem, [0.525, -0.4])


@pytest.mark.filterwarnings("ignore")  # torch's own
def test_a_subclass_can_be_traced():
    traced = torch.jit.trace(lambda u: Learns.apply(u, 3), torch.tensor([0.2, -0.4]))
    assert traced(U).tolist() == FIRED


def test_a_surrogate_has_a_name():
    for spike_grad in (surrogate.atan(), surrogate.custom_surrogate(torch.mul), Learns.apply):
        assert isinstance(snn.Leaky(beta=0.8, spike_grad=spike_grad).spike_grad.__name__, str)


def test_the_surrogate_of_a_neuron_can_be_replaced():
    lif = snn.Leaky(beta=0.8)
    for spike_grad, want in (
        (surrogate.fast_sigmoid(slope=10), [1 / 25, 1 / 9]),
        (surrogate.straight_through_estimator(), [1, 1]),
        (lambda u: Learns.apply(u, 2), [0.449329, 0.67032]),
    ):
        lif.spike_grad = spike_grad
        x = torch.tensor([0.6, 1.2], requires_grad=True)
        spk, _ = lif(x, lif.init_leaky())
        spk.sum().backward()
        same(x.grad, want)

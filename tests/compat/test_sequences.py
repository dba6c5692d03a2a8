"""What 1.0.0 got wrong in the neurons that take whole sequences, in DeltaLeaky and in the layers.

Only names that 1.0.0 has are used, so that the file can be run against it too (with --noconftest),
where every test must fail.
"""

import io
import math

import pytest
import torch
from torch import nn

import snntorch as snn
from snntorch import utils


def close(actual, expected, **kwargs):
    torch.testing.assert_close(actual, torch.as_tensor(expected, dtype=actual.dtype), **kwargs)


def current(*shape, seed=1):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def make(cls, *args, **kwargs):
    torch.manual_seed(0)
    return cls(*args, **kwargs)


# StateLeaky and LinearLeaky --------------------------------------------------------------------


@pytest.mark.parametrize(
    "layer",
    [
        lambda **kw: snn.StateLeaky(0.5, 1, **kw),
        lambda **kw: snn.LinearLeaky(0.5, 1, 1, **kw),
    ],
    ids=["StateLeaky", "LinearLeaky"],
)
def test_graded_spikes_are_scaled_once(layer):
    spk, _ = make(layer, threshold=-10.0, graded_spikes_factor=3.0)(torch.zeros(2, 1, 1))
    assert spk.flatten().tolist() == [3, 3]


@pytest.mark.parametrize("cls", ["StateLeaky", "LinearLeaky"])
def test_every_parameter_is_used(cls):
    sizes = {"channels": 3} if cls == "StateLeaky" else {"in_features": 3, "out_features": 3}
    lif = make(getattr(snn, cls), beta=0.5, learn_beta=True, **sizes)
    lif(torch.ones(4, 1, 3))[1].sum().backward()
    assert {name for name, p in lif.named_parameters() if p.grad is None} == set()
    with torch.no_grad():
        lif.tau.fill_(4)
    close(lif.beta, 0.75)
    # Files have both keys, and either will do.
    assert {"beta", "tau"} <= lif.state_dict().keys()
    for missing in ("beta", "tau"):
        twin = make(getattr(snn, cls), beta=0.1, learn_beta=True, **sizes)
        twin.load_state_dict({k: v for k, v in lif.state_dict().items() if k != missing})
        close(twin.tau, 4)


# AssociativeLeaky ------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [50, 1000])
def test_associative_leaky_is_the_recurrence_at_any_length(steps):
    layer = make(snn.AssociativeLeaky, 4, 2, 3, 6, use_q_projection=False)
    x = 4 * current(steps, 2, 4)
    v, k, alpha = (p(x).detach().double() for p in (layer.to_v, layer.to_k, layer.to_alpha))
    mem, trace = torch.zeros(2, 2, 3, dtype=torch.float64), []
    for t in range(steps):
        mem = alpha[t].sigmoid()[:, None] * mem + v[t][:, :, None] * k[t][:, None]
        trace.append(mem.flatten(1))
    trace = torch.stack(trace)
    decided = (trace - 1).abs() > 1e-4
    assert torch.equal(layer(x)[decided].bool(), trace[decided] > 1)
    late = trace[-20:][decided[-20:]] > 1
    assert 0 < late.sum() < late.numel()


def test_associative_leaky_has_gradients_at_any_length():
    layer = make(snn.AssociativeLeaky, 2, 1, 1, 1, use_q_projection=False)
    x = current(200, 1, 2).requires_grad_()
    layer(x)[-1].sum().backward()
    assert x.grad.isfinite().all() and x.grad[-1].abs().sum() > 0
    # What the last step's surrogate passes back to a step shrinks by the decays between.
    with torch.no_grad():
        v, k, alpha = layer.to_v(x), layer.to_k(x), layer.to_alpha(x).sigmoid()
        mem, trace = torch.zeros(1, 1), []
        for t in range(200):
            mem = alpha[t] * mem + v[t] * k[t]
            trace.append(mem)
        slope = 1 / (1 + (math.pi * (trace[-1] - 1)) ** 2)
        before = trace[-2] * alpha[-1] * (1 - alpha[-1]) * layer.to_alpha.weight
        both = k[-1] * layer.to_v.weight + v[-1] * layer.to_k.weight
        close(x.grad[-1], slope * (before + both), rtol=1e-4, atol=1e-6)


# LeakyParallel ---------------------------------------------------------------------------------


def test_leaky_parallel_uses_a_vector_beta():
    layer = make(snn.LeakyParallel, 2, 3, beta=torch.tensor([0.25, 0.5, 0.75]))
    close(layer.rnn.weight_hh_l0.detach(), torch.diag(torch.tensor([0.25, 0.5, 0.75])))


@pytest.mark.filterwarnings("ignore:dropout option adds dropout")
def test_leaky_parallel_drops_out():
    layer = make(snn.LeakyParallel, 4, 50, beta=0.9, threshold=-1.0, dropout=0.5)
    x = current(20, 4, 4)
    dropped = (layer(x) == 0).float().mean()
    assert 0.4 < dropped < 0.6
    assert (layer.eval()(x) == 1).all()


def test_leaky_parallel_is_built_on_a_device():
    layer = make(snn.LeakyParallel, 2, 3, beta=0.9, device="meta")
    assert {value.device.type for value in layer.state_dict().values()} == {"meta"}
    assert layer(torch.ones(4, 1, 2, device="meta")).device.type == "meta"


def test_leaky_parallel_is_built_in_a_type():
    layer = make(snn.LeakyParallel, 2, 3, beta=0.9, dtype=torch.float64)
    assert {value.dtype for value in layer.state_dict().values()} == {torch.float64}
    assert layer(current(4, 1, 2).double()).dtype == torch.float64


# torch announces the end of torch.jit.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_leaky_parallel_is_traceable():
    layer = make(snn.LeakyParallel, 2, 3, beta=0.9, threshold=0.3)
    x, longer = current(6, 2, 2), current(30, 4, 2, seed=2)
    file = io.BytesIO()
    torch.jit.save(torch.jit.trace(layer, x, check_trace=False), file)
    file.seek(0)
    loaded = torch.jit.load(file)
    for each in (x, longer):
        assert torch.equal(loaded(each), layer(each)) and layer(each).sum() > 0


@pytest.mark.skipif(not hasattr(torch, "compiler"), reason="needs PyTorch 2.1")
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
def test_leaky_parallel_compiles_as_one_graph():
    layer, x = make(snn.LeakyParallel, 2, 3, beta=0.9, threshold=0.3), current(6, 2, 2)
    compiled = torch.compile(layer, backend="eager", fullgraph=True)
    assert torch.equal(compiled(x), layer(x))


# DeltaLeaky ------------------------------------------------------------------------------------


def test_a_delta_leaky_leaves_others_alone():
    delta = snn.DeltaLeaky(0.3, beta=0.5)
    lif = snn.Leaky(0.5, init_hidden=True)
    lif(torch.ones(2))
    utils.reset(nn.Sequential(lif))
    assert lif.mem.abs().sum() == 0
    delta.detach_hidden()


def test_delta_leaky_has_states_like_other_neurons():
    delta = snn.DeltaLeaky(0.3, beta=0.5)
    x = torch.tensor([[1.0, 0.25]], requires_grad=True)
    spk, (mem, mem_prev) = delta(x)  # carries on without states
    assert (spk.tolist(), mem.tolist(), mem_prev.tolist()) == ([[1, 0]], [[1, 0.25]], [[0, 0]])
    spk, (mem, mem_prev) = delta(torch.zeros(1, 2))
    assert (spk.tolist(), mem.tolist()) == ([[1, 0]], [[0.5, 0.125]])
    assert torch.equal(mem_prev, x) and torch.equal(delta.mem, mem)
    (grad,) = torch.autograd.grad(mem.sum(), x)
    assert grad.tolist() == [[0.5, 0.5]]
    delta.detach_hidden()
    assert not delta.mem.requires_grad and mem.requires_grad
    delta.reset_hidden()
    spk, (mem, mem_prev) = delta(torch.ones(3, 4))
    assert mem_prev.abs().sum() == 0 and torch.equal(mem, torch.ones(3, 4))


# BNTT and GradedSpikes -------------------------------------------------------------------------


@pytest.mark.parametrize("cls, shape", [("BatchNormTT1d", (3, 4)), ("BatchNormTT2d", (3, 4, 2, 2))])
def test_batch_norm_through_time_is_called_with_the_step(cls, shape):
    bntt, twin = getattr(snn, cls)(4, 2), getattr(snn, cls)(4, 2)
    for step in (1, 0):
        x = current(*shape, seed=step)
        assert torch.equal(bntt(x, step), twin[step](x))
    for name, value in bntt.state_dict().items():
        assert torch.equal(value, twin.state_dict()[name])


def test_graded_spikes_weigh_features():
    layer = snn.GradedSpikes(3, 2.0)
    with torch.no_grad():
        layer.weights.copy_(torch.tensor([[1.0], [2.0], [4.0]]))
    assert layer(torch.ones(2, 3)).tolist() == [[1, 2, 4], [1, 2, 4]]
    assert layer(torch.ones(3, 3)).tolist() == [[1, 2, 4]] * 3

"""What 1.0.0 got wrong in the step-wise neurons.

Only names that 1.0.0 has are used, so that the file can be run against it too (with --noconftest),
where every test must fail.
"""

import copy
import gc
import io
import math
import pickle
import sys
import weakref

import pytest
import torch
from torch import nn
from torch._dynamo.testing import CompileCounter
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

import snntorch as snn
from snntorch import surrogate, utils

# How each model is made, the names of its states in the order of the call, and its input's shape.
MODELS = {
    "Leaky": (lambda **kw: snn.Leaky(0.5, **kw), ["mem"], (2, 3)),
    "Lapicque": (lambda **kw: snn.Lapicque(0.5, **kw), ["mem"], (2, 3)),
    "Synaptic": (lambda **kw: snn.Synaptic(0.75, 0.5, **kw), ["syn", "mem"], (2, 3)),
    "Alpha": (lambda **kw: snn.Alpha(0.75, 0.5, **kw), ["syn_exc", "syn_inh", "mem"], (2, 3)),
    "RLeaky": (lambda **kw: snn.RLeaky(0.5, linear_features=3, **kw), ["spk", "mem"], (2, 3)),
    "RSynaptic": (
        lambda **kw: snn.RSynaptic(0.75, 0.5, linear_features=3, **kw),
        ["spk", "syn", "mem"],
        (2, 3),
    ),
    # The hidden state of an LSTM stays below 1: lower the threshold.
    "SLSTM": (lambda **kw: snn.SLSTM(3, 4, threshold=0.1, **kw), ["syn", "mem"], (2, 3)),
    "SConv2dLSTM": (
        lambda **kw: snn.SConv2dLSTM(1, 2, 3, threshold=0.1, **kw),
        ["syn", "mem"],
        (2, 1, 3, 3),
    ),
}
every_model = pytest.mark.parametrize("name", MODELS)


def make(name, **kwargs):
    torch.manual_seed(0)
    return MODELS[name][0](**kwargs)


def current(name, seed=1):
    return 2 * torch.rand(MODELS[name][2], generator=torch.Generator().manual_seed(seed))


def close(actual, expected, **kwargs):
    torch.testing.assert_close(actual, torch.as_tensor(expected, dtype=actual.dtype), **kwargs)


@pytest.fixture(autouse=True)
def no_neurons_of_other_tests():
    """1.0.0 keeps them in a list, and stumbles over them."""
    snn.SpikingNeuron.init()


# Resetting networks ----------------------------------------------------------------------------


def calls_of(function, *args):
    """How many Python functions a call runs through."""
    count = 0

    def profile(frame, event, arg):
        nonlocal count
        count += event == "call"

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        function(*args)
    finally:
        sys.setprofile(before)
    return count


@pytest.mark.parametrize("root", ["net", "neuron"])
def test_reset_reaches_nested_layers_and_the_root(root):
    neuron = snn.Leaky(0.5, init_hidden=True)
    net = nn.Sequential(nn.Sequential(nn.Sequential(neuron)))
    net(torch.ones(1, 2))
    utils.reset({"net": net, "neuron": neuron}[root])
    assert not neuron.mem.any()


def test_reset_leaves_other_nets_alone():
    a, b = (nn.Sequential(snn.Leaky(0.5, init_hidden=True)) for _ in range(2))
    for net in a, b:
        net(torch.ones(1, 2))
    utils.reset(a)
    assert not a[0].mem.any()
    assert b[0].mem.tolist() == [[1, 1]]


def test_reset_reaches_deep_copies():
    net = copy.deepcopy(nn.Sequential(snn.Leaky(0.5, init_hidden=True)))
    net(torch.ones(1, 2))
    utils.reset(net)
    assert not net[0].mem.any()


def test_nothing_keeps_dropped_neurons_alive():
    dropped = [weakref.ref(snn.Leaky(0.5)) for _ in range(1000)]
    gc.collect()
    assert not any(ref() for ref in dropped)


def test_reset_takes_no_longer_with_every_neuron_ever_made():
    net = nn.Sequential(snn.Leaky(0.5, init_hidden=True))
    alone = calls_of(utils.reset, net)
    others = [snn.Leaky(0.5, init_hidden=True) for _ in range(1000)]
    # Some room for a garbage collection that happens to run.
    assert calls_of(utils.reset, net) < alone + len(others) / 10


# SLSTM -----------------------------------------------------------------------------------------


def test_slstm_of_another_size_than_its_input_is_an_lstm():
    lstm, cell = snn.SLSTM(2, 5), nn.LSTMCell(2, 5)
    cell.load_state_dict(lstm.lstm_cell.state_dict())
    syn, mem = lstm.init_slstm()
    expected = None
    for x in torch.randn(4, 3, 2):
        _, syn, mem = lstm(x, syn, mem)
        expected = cell(x, expected)
    close(mem, expected[0])
    close(syn, expected[1])


# States are not buffers ------------------------------------------------------------------------


@every_model
def test_broadcasting_buffers_leaves_states_alone(name):
    # What DistributedDataParallel does before each forward pass, without its processes.
    rank0, rank1 = (make(name, init_hidden=True) for _ in range(2))
    rank0(current(name, seed=1))
    rank1(current(name, seed=2))
    before = [getattr(rank1, state).clone() for state in MODELS[name][1]]
    for mine, first in zip(rank1.buffers(), rank0.buffers(), strict=True):
        mine.data.copy_(first.data)
    for state, value in zip(MODELS[name][1], before, strict=True):
        assert torch.equal(getattr(rank1, state), value)


# Replicas of data parallelism ------------------------------------------------------------------


def replicated(neuron, **parameters):
    """One of the copies that DataParallel makes, with that copy's parameters."""
    replica = neuron._replicate_for_data_parallel()
    for name, value in parameters.items():
        setattr(replica, name, value)
    return replica


@pytest.mark.parametrize("reset_mechanism", ["subtract", "zero", "none"])
def test_a_replica_uses_itself(reset_mechanism):
    lif = snn.Leaky(0.5, learn_beta=True, reset_mechanism=reset_mechanism)
    lif(torch.full((1, 2), 0.25))
    beta = torch.tensor(0.25, requires_grad=True)
    _, mem = replicated(lif, beta=beta)(torch.ones(1, 2), torch.full((1, 2), 0.5))
    assert mem.tolist() == [[1.125, 1.125]]
    assert torch.autograd.grad(mem.sum(), beta)[0] == 1
    assert lif.mem.tolist() == [[0.25, 0.25]]


def test_a_replica_of_lapicque_uses_its_own_beta():
    beta = torch.tensor(0.75, requires_grad=True)
    lif = replicated(snn.Lapicque(0.5, learn_beta=True), beta=beta)
    _, mem = lif(torch.zeros(1, 1), torch.ones(1, 1))
    close(mem, [[1 + math.log(0.75)]])
    close(torch.autograd.grad(mem.sum(), beta)[0], 1 / 0.75)


# Devices ---------------------------------------------------------------------------------------


def test_new_states_are_on_the_inputs_device():
    spk, mem = snn.Leaky(0.5)(torch.ones(2, 3, device="meta"))
    assert (spk.device.type, mem.device.type) == ("meta", "meta")


def test_a_fixed_one_to_one_weight_moves_along():
    V = torch.tensor([0.25, 0.5])
    lif = snn.RLeaky(0.5, V=V, all_to_all=False, learn_recurrent=False).double()
    # A weight that stayed behind would not be loaded.
    lif.load_state_dict({**lif.state_dict(), "V": torch.tensor([1.0, 2.0])})
    ones = torch.ones(1, 2, dtype=torch.float64)
    assert lif(0 * ones, ones, ones)[1].tolist() == [[1.5, 2.5]]
    assert lif.recurrent.V.dtype == torch.float64


# Pickling and copying --------------------------------------------------------------------------


def half(input_, grad, spikes):
    return grad * 0.5


FACTORIES = {
    "atan": surrogate.atan,
    "fast_sigmoid": surrogate.fast_sigmoid,
    "sigmoid": surrogate.sigmoid,
    "straight_through_estimator": surrogate.straight_through_estimator,
    "heaviside": surrogate.heaviside,
    "triangular": surrogate.triangular,
    "spike_rate_escape": surrogate.spike_rate_escape,
    "SFS": surrogate.SFS,
    "LSO": surrogate.LSO,
    "SSO": surrogate.SSO,
    "custom_surrogate": lambda: surrogate.custom_surrogate(half),
}


def spikes_and_slope(fire, u):
    u = torch.tensor(u, requires_grad=True)
    torch.manual_seed(0)  # SSO draws its slope.
    spk = fire(u)
    spk.sum().backward()
    return spk.tolist(), u.grad.tolist()


@pytest.mark.parametrize("name", FACTORIES)
def test_surrogates_can_be_pickled(name):
    fire = FACTORIES[name]()
    loaded = pickle.loads(pickle.dumps(fire))
    u = [-1.0, -0.1, 0.1, 1.5]
    assert spikes_and_slope(loaded, u) == spikes_and_slope(fire, u)


def by_torch_save(net):
    file = io.BytesIO()
    torch.save(net, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


@every_model
@pytest.mark.parametrize("duplicate", [copy.deepcopy, by_torch_save], ids=["deepcopy", "save"])
def test_copies_of_a_net_in_use_start_from_rest(name, duplicate):
    net = make(name, init_hidden=True, output=True)
    x = current(name).requires_grad_()
    first = net(x)
    net(x)
    for copied, original in zip(duplicate(net)(x), first, strict=True):
        assert torch.equal(copied, original)


# Types -----------------------------------------------------------------------------------------


@every_model
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_spikes_and_states_have_the_inputs_dtype(name, dtype):
    reference, lif = make(name), make(name).to(dtype)
    for seed in range(3):
        # The states of the run in float32, so that no rounding adds up to another spike.
        states = [getattr(reference, state).to(dtype) for state in MODELS[name][1]]
        x = current(name, seed)
        expected = reference(x)
        actual = lif(x.to(dtype), *states)
        assert {tensor.dtype for tensor in actual} == {dtype}
        close(actual[-1].float(), expected[-1], atol=0.05, rtol=0.01)
        assert torch.equal(actual[0], (actual[-1] > lif.threshold).to(dtype))


def test_dtypes_are_promoted():
    beta = torch.tensor([0.25, 0.5], dtype=torch.float64)
    x = torch.full((1, 2), 2.0)
    for lif, x_ in [(snn.Leaky(0.5), x.double()), (snn.Leaky(beta), x.double())]:
        spk, mem = lif(x_)
        assert (spk.dtype, mem.dtype) == (torch.float64, torch.float64)
        assert spk.tolist() == [[1, 1]]


# RSynaptic -------------------------------------------------------------------------------------


def one_to_one(**kwargs):
    return snn.RSynaptic(0.5, 0.5, V=1.0, all_to_all=False, **kwargs)


def test_rsynaptic_forgets_its_spikes_on_reset():
    lif = one_to_one(init_hidden=True, output=True)
    lif(torch.full((1, 1), 2.0))
    lif.reset_hidden()
    spk, syn, mem = lif(torch.zeros(1, 1))
    assert (spk.item(), syn.item(), mem.item()) == (0, 0, 0)


def test_rsynaptic_detaches_its_spikes():
    lif = one_to_one(init_hidden=True)
    lif(torch.full((1, 1), 2.0, requires_grad=True))
    lif.detach_hidden()
    assert not lif.spk.requires_grad
    assert lif.spk.item() == 1


@pytest.mark.parametrize(("mechanism", "left"), [("subtract", [1.5, 2.0]), ("zero", [0, 0])])
def test_rsynaptic_resets_without_delay(mechanism, left):
    lif = one_to_one(reset_mechanism=mechanism, reset_delay=False)
    spk, syn, mem = lif.init_rsynaptic()
    # syn is 2.5, then 1.25 + feedback 1 = 2.25; the membrane 2.5, then half of what is left + syn.
    for x, mem_left in zip([2.5, 0.0], left, strict=True):
        spk, syn, mem = lif(torch.full((1, 1), x), spk, syn, mem)
        assert (spk.item(), mem.item()) == (1, mem_left)
    assert syn.item() == 2.25


# A reset mechanism set or loaded later ---------------------------------------------------------


def test_a_reset_mechanism_set_later_takes_effect():
    lif, x, mem = snn.Leaky(0.5), torch.ones(1, 1), torch.full((1, 1), 3.0)
    left = {}
    for mechanism in ("zero", "none", "subtract"):
        lif.reset_mechanism = mechanism
        left[mechanism] = lif(x, mem)[1].item()
    assert left == {"zero": 1, "none": 2.5, "subtract": 1.5}


@pytest.mark.parametrize(("mechanism", "left"), [("zero", 1), ("none", 2.5)])
def test_a_loaded_reset_mechanism_takes_effect(mechanism, left):
    lif = snn.Leaky(0.5)
    lif.load_state_dict(snn.Leaky(0.5, reset_mechanism=mechanism).state_dict())
    assert lif.reset_mechanism == mechanism
    assert lif(torch.ones(1, 1), torch.full((1, 1), 3.0))[1].item() == left


# Shapes of states ------------------------------------------------------------------------------


@pytest.mark.parametrize("mem", [[[0.5, 1.0]], [0.5, 1.0], [[0.5]], [0.5]])
def test_states_broadcast(mem):
    mem = torch.tensor(mem)
    _, new = snn.Leaky(0.5)(torch.ones(3, 2), mem)
    assert torch.equal(new, 0.5 * mem.expand(3, 2) + 1)


def test_other_shapes_are_an_error_that_names_both():
    with pytest.raises(ValueError, match=r"mem.*\(2, 3\).*\(4, 3\)"):
        snn.Leaky(0.5)(torch.ones(4, 3), torch.ones(2, 3))


# Rejected states -------------------------------------------------------------------------------


def test_a_refused_state_is_not_stored():
    lif = snn.Leaky(0.5, init_hidden=True)
    lif(torch.ones(1, 2))
    with pytest.raises(TypeError, match="init_hidden"):
        lif(torch.ones(1, 2), torch.full((1, 2), 7.0))
    assert lif.mem.tolist() == [[1, 1]]


# Learnable parameters --------------------------------------------------------------------------


def test_alpha_learns_alpha():
    lif = snn.Alpha(0.75, 0.5, learn_alpha=True)
    exc, inh = torch.full((1, 1), 2.0), torch.full((1, 1), -1.0)
    _, _, _, mem = lif(torch.zeros(1, 1), exc, inh, torch.zeros(1, 1))
    alpha = torch.tensor(0.75, requires_grad=True)
    expected = (alpha.log() / (math.log(0.5) - alpha.log()) + 1) * (2 * alpha - 0.5)
    close(mem, expected.reshape(1, 1))
    mem.backward()
    close(lif.alpha.grad, torch.autograd.grad(expected, alpha)[0])


def test_integer_parameters_are_learnable():
    lif = snn.Leaky(beta=1, threshold=2, learn_beta=True, learn_threshold=True)
    _, mem = lif(torch.ones(1, 1), torch.full((1, 1), 3.0))
    mem.backward()
    assert mem.item() == 3 + 1 - 2
    assert (lif.beta.grad.item(), lif.threshold.grad.item()) == (3, -1)


def test_lapicque_takes_tensors():
    lif = snn.Lapicque(R=torch.tensor([2.0, 4.0]), C=torch.tensor([2.0, 0.5]))
    # U = x / C + (1 - 1 / RC) U
    _, mem = lif(torch.ones(1, 2), torch.full((1, 2), 0.5))
    assert mem.tolist() == [[0.5 + 0.375, 2 + 0.25]]
    close(lif.beta, [math.exp(-1 / 4), math.exp(-1 / 2)])


@pytest.mark.parametrize("given", ["R", "C"])
def test_lapicque_learns_beta_and_the_circuit_follows(given):
    lif = snn.Lapicque(beta=0.5, **{given: 2.0}, learn_beta=True)
    optimizer = torch.optim.SGD(lif.parameters(), lr=0.1)
    beta = 0.5
    for _ in range(3):
        rate = -math.log(beta)
        close(lif.R * lif.C, 1 / rate)
        R = 2.0 if given == "R" else 1 / (2.0 * rate)
        _, mem = lif(torch.full((1, 1), 0.25), torch.full((1, 1), 0.5))
        close(mem, [[0.25 * R * rate + (1 - rate) * 0.5]])
        optimizer.zero_grad()
        mem.backward()
        optimizer.step()
        # With C given, R * rate is 1 / C and only the decay depends on beta.
        beta -= 0.1 * (0.5 - (0.25 * 2 if given == "R" else 0)) / beta
        close(lif.beta.detach(), beta)


# Inhibition ------------------------------------------------------------------------------------


def test_inhibition_has_one_winner_among_all_neurons_of_a_sample():
    x = torch.tensor([[[[0.5, 3.0]], [[2.0, 1.5]]], [[[0.1, 0.2]], [[0.3, 0.4]]]])
    spk, _ = snn.Leaky(0.5, inhibition=True)(x)
    assert spk.tolist() == [[[[0, 1]], [[0, 0]]], [[[0, 0]], [[0, 0]]]]


def test_inhibition_scales_graded_spikes():
    lif = snn.Leaky(0.5, inhibition=True, graded_spikes_factor=2.5)
    spk, _ = lif(torch.tensor([[1.5, 3.0], [1.5, 0.0]]))
    assert spk.tolist() == [[0, 2.5], [2.5, 0]]


# Graded spikes ---------------------------------------------------------------------------------


def test_a_graded_factor_of_zero_still_resets():
    spk, mem = snn.Leaky(0.5, graded_spikes_factor=0, reset_delay=False)(torch.full((1, 1), 2.5))
    assert (spk.item(), mem.item()) == (0, 1.5)


# The work of the zero reset --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "layer"),
    [("RLeaky", "recurrent"), ("RSynaptic", "recurrent"), ("SConv2dLSTM", "conv")],
)
def test_zero_reset_runs_the_layer_once_a_step(name, layer):
    lif, runs = make(name, reset_mechanism="zero"), []
    lif.get_submodule(layer).register_forward_hook(lambda *_: runs.append(1))
    for step in range(3):
        lif(current(name))
        assert len(runs) == step + 1


class Count(TorchDispatchMode):
    """Counts the calls of one operator."""

    def __init__(self, operator):
        super().__init__()
        self.operator, self.calls = operator, 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.calls += func is self.operator
        return func(*args, **(kwargs or {}))


def test_zero_reset_computes_the_update_once():
    products = {}
    for mechanism in ("none", "zero"):
        lif = snn.Synaptic(0.75, 0.5, reset_mechanism=mechanism)
        with Count(torch.ops.aten.mul.Tensor) as count:
            lif(torch.ones(1, 2), torch.ones(1, 2), torch.ones(1, 2))
        products[mechanism] = count.calls
    assert products["zero"] == products["none"] + 1


# Errors that explain ---------------------------------------------------------------------------


def test_an_input_with_states_is_explained():
    x = torch.ones(1, 2)
    with pytest.raises(TypeError, match=r"Leaky.*tuple.*init_hidden=True"):
        snn.Leaky(0.5)((x, x))


def test_a_state_that_is_not_a_tensor_is_explained():
    with pytest.raises(TypeError, match=r"Leaky.*mem.*float.*pass"):
        snn.Leaky(0.5)(torch.ones(1, 2), 0.5)


def test_a_parameter_that_is_not_a_number_is_explained():
    with pytest.raises(TypeError, match=r"Leaky.*beta=None.*number"):
        snn.Leaky(beta=None)


# Reset without delay ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "build",
    [
        lambda: snn.Leaky(0.9, reset_delay=False),
        lambda: snn.RLeaky(0.9, V=0.0, all_to_all=False, reset_delay=False),
        lambda: snn.Synaptic(0.0, 0.9, reset_delay=False),
    ],
    ids=["Leaky", "RLeaky", "Synaptic"],
)
def test_a_membrane_far_above_the_threshold_goes_on_firing(build):
    lif, trace = build(), []
    for x in (2.5, 0.0, 0.0):
        spk, *_, mem = lif(torch.full((1, 1), x))
        trace.append((spk.item(), pytest.approx(mem.item())))
    assert trace == [(1, 1.5), (1, 0.9 * 1.5 - 1), (0, 0.9 * (0.9 * 1.5 - 1))]


# Parameters from one tensor --------------------------------------------------------------------


def test_neurons_made_from_one_tensor_do_not_share_it():
    beta = torch.tensor(0.5)
    trained, other = (snn.Leaky(beta, learn_beta=True) for _ in range(2))
    trained(torch.ones(1, 1), torch.full((1, 1), 2.0))[1].backward()
    torch.optim.SGD(trained.parameters(), lr=0.125).step()
    assert (trained.beta.item(), other.beta.item(), beta.item()) == (0.25, 0.5, 0.5)


# Detaching -------------------------------------------------------------------------------------


def test_detaching_leaves_recorded_traces_whole():
    lif = snn.Leaky(0.5, init_hidden=True, output=True)
    x = torch.full((1, 1), 0.25, requires_grad=True)
    recorded = [lif(x)[1] for _ in range(3)]
    lif.detach_hidden()
    recorded[-1].backward()
    assert x.grad.item() == 1 + 0.5 + 0.25


# Meta device -----------------------------------------------------------------------------------


@every_model
def test_neurons_can_be_made_on_meta(name):
    lif = make(name)
    with torch.device("meta"):
        empty = make(name)
    assert all(value.is_meta for value in empty.state_dict().values())
    empty.to_empty(device="cpu").load_state_dict(lif.state_dict())
    for actual, expected in zip(empty(current(name)), lif(current(name)), strict=True):
        assert torch.equal(actual, expected)


# Even kernels, and input of other types --------------------------------------------------------


@pytest.mark.parametrize("kernel_size", [2, 4, (2, 3)])
def test_even_kernels_of_feedback_keep_the_image(kernel_size):
    lif = snn.RLeaky(0.5, conv2d_channels=2, kernel_size=kernel_size)
    weight, bias = lif.recurrent.weight, lif.recurrent.bias
    spk, mem = (torch.rand(3, 2, 5, 6) > 0.5).float(), torch.rand(3, 2, 5, 6)
    _, new = lif(torch.ones(3, 2, 5, 6), spk, mem)
    # As padding="same" does: what is odd goes to the end.
    height, width = weight.shape[-2] - 1, weight.shape[-1] - 1
    padding = (width // 2, width - width // 2, height // 2, height - height // 2)
    close(new, 0.5 * mem + 1 + F.conv2d(F.pad(spk, padding), weight, bias))


@pytest.mark.parametrize("kernel_size", [2, 4])
def test_even_kernels_of_an_lstm_keep_the_image(kernel_size):
    lstm = snn.SConv2dLSTM(1, 2, kernel_size)
    x, syn, mem = torch.rand(3, 1, 5, 6), torch.rand(3, 2, 5, 6), torch.rand(3, 2, 5, 6)
    _, new_syn, new_mem = lstm(x, syn, mem)
    before, after = (kernel_size - 1) // 2, kernel_size // 2
    stacked = F.pad(torch.cat([x, mem], 1), (before, after, before, after))
    gates = F.conv2d(stacked, lstm.conv.weight, lstm.conv.bias)
    into, forget, out, candidate = gates.chunk(4, 1)
    expected = forget.sigmoid() * syn + into.sigmoid() * candidate.tanh()
    close(new_syn, expected)
    close(new_mem, out.sigmoid() * expected.tanh())


@pytest.mark.parametrize(
    ("dtype", "name"),
    # What 1.0.0 runs already is left out.
    [(torch.bool, name) for name in MODELS if name != "SConv2dLSTM"]
    + [(torch.uint8, name) for name in ("RLeaky", "RSynaptic", "SLSTM")],
)
def test_boolean_and_integer_input_is_cast(dtype, name):
    x = (current(name) > 1).to(dtype)
    with_floats, lif = make(name), make(name)
    for _ in range(2):
        for actual, expected in zip(lif(x), with_floats(x.float()), strict=True):
            assert torch.equal(actual, expected)


# Lengths of parameters -------------------------------------------------------------------------


@pytest.mark.parametrize("mechanism", ["subtract", "none"])
@pytest.mark.parametrize("parameter", ["beta", "threshold", "graded_spikes_factor"])
def test_parameters_of_the_wrong_length_are_an_error(parameter, mechanism):
    wrong = {"beta": 0.5, parameter: torch.full((3,), 0.5)}
    # [4, 1] would broadcast to [4, 3]: one neuron that becomes three.
    with pytest.raises(ValueError, match=rf"Leaky.*{parameter}.*\(3,\).*\(4, 1\)"):
        snn.Leaky(**wrong, reset_mechanism=mechanism)(torch.ones(4, 1))


# Compiling and tracing -------------------------------------------------------------------------


# The compiler itself makes an object that torch warns of.
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
@pytest.mark.parametrize(
    ("init_hidden", "programs"),
    # A first step finds no hidden state: it is a separate program.
    [(False, 1), (True, 2)],
    ids=["explicit", "hidden"],
)
@pytest.mark.skipif(not hasattr(torch, "compiler"), reason="needs PyTorch 2.1")
def test_compiling_does_not_start_again_for_every_batch_size(init_hidden, programs):
    torch._dynamo.reset()
    counter = CompileCounter()
    lif = snn.Leaky(0.5, init_hidden=init_hidden, output=True)
    compiled = torch.compile(lif, backend=counter)
    for batch in (2, 3, 5, 8):
        utils.reset(lif)
        mem = torch.zeros(batch, 3)
        for _ in range(2):
            x = torch.full((batch, 3), 2.0)
            spk, mem = compiled(x) if init_hidden else compiled(x, mem)
            # 2, then 0.5 * 2 + 2 - 1.
            assert torch.equal(mem, x)
            assert torch.equal(spk, torch.ones(batch, 3))
    # Each once for the first size, and once for all others.
    assert counter.frame_count <= 2 * programs


# torch announces the end of torch.jit.
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:.*has no memory")
def test_a_traced_net_can_be_saved():
    net = nn.Sequential(nn.Linear(3, 2), snn.Leaky(0.5))
    file = io.BytesIO()
    torch.jit.save(torch.jit.trace(net, torch.rand(2, 3), check_trace=False), file)
    file.seek(0)
    loaded = torch.jit.load(file)
    results = []
    for run in (loaded, net):
        utils.reset(net)
        x = 3 * torch.rand(5, 3, generator=torch.Generator().manual_seed(0))
        spk, mem = run(x.requires_grad_())
        (spk.sum() + mem.square().sum()).backward()
        results.append((spk, mem, x.grad))
    for actual, expected in zip(*results, strict=True):
        close(actual, expected)


# One neuron's reset and detach -----------------------------------------------------------------


def used(count):
    """Neurons with a membrane of 1 and its graph."""
    neurons = [snn.Leaky(0.5, init_hidden=True) for _ in range(count)]
    for lif in neurons:
        lif(torch.ones(1, 1, requires_grad=True))
    return neurons


def test_reset_hidden_on_an_instance_resets_it_alone():
    a, b, c = used(3)
    a.reset_hidden()
    assert [lif.mem.sum().item() for lif in (a, b, c)] == [0, 1, 1]
    snn.Leaky.reset_hidden()
    assert [lif.mem.sum().item() for lif in (a, b, c)] == [0, 0, 0]


def test_detach_hidden_on_an_instance_detaches_it_alone():
    a, b, c = used(3)
    a.detach_hidden()
    assert [lif.mem.requires_grad for lif in (a, b, c)] == [False, True, True]
    snn.Leaky.detach_hidden()
    assert [lif.mem.requires_grad for lif in (a, b, c)] == [False, False, False]
    assert [lif.mem.item() for lif in (a, b, c)] == [1, 1, 1]

import copy
import io
import json
import math
import pickle
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from project import TESTS
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

import snntorch.functional as SF
from snntorch.functional.quant import StateQuant, state_quant

GOLDEN = np.load(TESTS / "golden" / "functional.npz")
ENTRIES = {
    k: meta["kwargs"]
    for k in range(int(GOLDEN["count"]))
    for meta in [json.loads(str(GOLDEN[f"{k}:meta"]))]
    if meta["call"] == "functional.quant.state_quant"
}


def levels(quantise):
    """The levels of a quantiser, met on a fine walk through its range."""
    return quantise(torch.linspace(-8, 8, 400_001, dtype=torch.float64)).unique()


def test_the_recording_has_six_quantisers():
    assert len(ENTRIES) == 6


@pytest.mark.parametrize("k", ENTRIES)
def test_recorded_values_and_gradients(k):
    states = torch.tensor(GOLDEN[f"{k}:in_0"], requires_grad=True)
    output = state_quant(**ENTRIES[k])(states)
    output.sum().backward()
    exact = {"rtol": 1e-6, "atol": 1e-6}
    torch.testing.assert_close(output.detach(), torch.tensor(GOLDEN[f"{k}:out"]), **exact)
    torch.testing.assert_close(states.grad, torch.tensor(GOLDEN[f"{k}:grad"]), **exact)


@pytest.mark.parametrize(
    ("kwargs", "expected"),
    [
        # uniform: from -2 to 2.5 in 3 steps
        ({"num_bits": 2, "threshold": 2, "upper_limit": 0.25}, [-2, -0.5, 1, 2.5]),
        ({"num_bits": 1, "lower_limit": 0.5}, [-1.5, 1.2]),
        # floor(8 * 7 / 8.5) = 6 levels below 1, by steps of 32, 16, 8, 4, 2, 1 of 63 from -6;
        # the 2 above by steps of 2 and 1 of 3 from 2.5
        (
            {
                "num_bits": 3,
                "uniform": False,
                "lower_limit": 5,
                "upper_limit": 1.5,
                "multiplier": 0.5,
            },
            [*(-6 + 7 * k / 63 for k in (0, 32, 48, 56, 60, 62)), 2.5 - 1.5 * 2 / 3, 2.5],
        ),
        # two levels on either side of 0, by steps of 2 and 1 of 3
        (
            {
                "num_bits": 2,
                "uniform": False,
                "thr_centered": False,
                "upper_limit": 0,
                "multiplier": 0.5,
            },
            [-1, -1 / 3, 1 / 3, 1],
        ),
        # multiplier 1, so equal steps on each side: 2 of 1 below the threshold, 2 of 0.5 above
        (
            {"num_bits": 2, "uniform": False, "upper_limit": 1, "multiplier": 1},
            [-1, 0, 1.5, 2],
        ),
    ],
)
def test_levels_by_hand(kwargs, expected):
    torch.testing.assert_close(
        levels(state_quant(**kwargs)), torch.tensor(expected, dtype=torch.float64)
    )


@pytest.mark.parametrize(
    ("num_bits", "multiplier"),
    [(2, 0.1), (3, 0.3), (4, 0.5), (5, 0.7), (6, 0.9), (7, 0.925), (8, 0.95), (10, 0.95)],
)
def test_default_multiplier(num_bits, multiplier):
    kwargs = {"num_bits": num_bits, "uniform": False, "lower_limit": 6, "upper_limit": 0}
    found = levels(state_quant(**kwargs))
    ratio = (found[2] - found[1]) / (found[1] - found[0])
    assert ratio.item() == pytest.approx(multiplier)


def test_nearest_level_by_hand():
    quantise = state_quant(num_bits=2, lower_limit=0.5, upper_limit=0.5)  # -1.5 -0.5 0.5 1.5
    states = torch.tensor([-9.0, -1.01, -0.99, 0.4, 0.99, 1.01, 9.0, math.inf, -math.inf])
    expected = [-1.5, -1.5, -0.5, 0.5, 0.5, 1.5, 1.5, 1.5, -1.5]
    assert quantise(states).tolist() == expected


def test_ties_go_down():
    quantise = state_quant(num_bits=2, lower_limit=0.5, upper_limit=0.5)
    assert quantise(torch.tensor([-1.0, 0.0, 1.0])).tolist() == [-1.5, -0.5, 0.5]


def test_nan_stays_visible():
    output = state_quant()(torch.tensor([0.5, math.nan]))
    assert output.isnan().tolist() == [False, True]


@given(
    st.lists(st.floats(-4, 4, width=32), min_size=1, max_size=20),
    st.lists(st.floats(-4, 4, width=32), min_size=1, max_size=20),
)
@settings(deadline=None, max_examples=100)
def test_exactly_the_nearest_level(states, some_levels):
    midpoints = [np.float32(low / 2 + high / 2).item() for low, high in pairwise(some_levels)]
    states = states + midpoints
    output = StateQuant.apply(torch.tensor(states), torch.tensor(some_levels)).tolist()
    for state, level in zip(states, output, strict=True):
        nearest = min(some_levels, key=lambda a: (abs(Fraction(a) - Fraction(state)), a))
        assert level == nearest


@pytest.mark.parametrize("uniform", [True, False])
@pytest.mark.parametrize(
    "dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16], ids=str
)
def test_levels_follow_the_dtype(dtype, uniform):
    quantise = state_quant(num_bits=4, uniform=uniform)
    states = torch.linspace(-2, 2, 101, dtype=torch.float64).to(dtype)
    output = quantise(states)
    assert output.dtype == dtype
    resolution = torch.finfo(dtype).eps
    exact = quantise(states.double()).to(dtype)
    # Rounding may move a state across a midpoint, by one level at most and seldom.
    same = (output - exact).abs() <= 4 * resolution
    assert same.double().mean() > (0.99 if torch.finfo(dtype).bits > 16 else 0.9)
    assert output.max().double().item() == pytest.approx(1.2, rel=resolution)


def test_float64_levels_have_full_precision():
    assert state_quant()(torch.tensor([9.0], dtype=torch.float64)).item() == 1.2


def test_integers_become_floating():
    output = state_quant(num_bits=2, lower_limit=0.5, upper_limit=0.5)(torch.tensor([0, 1, 2]))
    assert output.dtype == torch.float32
    assert output.tolist() == [-0.5, 0.5, 1.5]


@pytest.mark.parametrize("shape", [(), (0, 3), (1,), (2, 3, 4)])
def test_shapes(shape):
    assert state_quant()(torch.zeros(shape)).shape == shape


def test_non_contiguous_input():
    states = torch.randn(5, 7, generator=torch.Generator().manual_seed(0)).T
    assert torch.equal(state_quant()(states), state_quant()(states.contiguous()))


def test_input_stays_as_it_is():
    states = torch.tensor([0.1, math.nan])
    state_quant()(states)
    assert states[0].item() == np.float32(0.1)
    threshold = torch.tensor(1.0)
    state_quant(num_bits=3, uniform=False, threshold=threshold)
    assert threshold.item() == 1.0


def test_gradient_passes_straight_through():
    states = torch.tensor([-3.0, 0.2, 5.0], requires_grad=True)
    (state_quant(num_bits=2)(states) * torch.tensor([1.0, 2.0, 3.0])).sum().backward()
    assert states.grad.tolist() == [1.0, 2.0, 3.0]


# torch.func.jvp itself scripts its decompositions.
@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning")
def test_function_transforms():
    quantise = state_quant(num_bits=2, lower_limit=0.5, upper_limit=0.5)
    states = torch.tensor([[0.2, -0.7], [3.0, -3.0]])
    quantised = torch.tensor([[0.5, -0.5], [1.5, -1.5]])

    def energy(state):
        return quantise(state).square().sum()

    assert torch.equal(torch.func.vmap(quantise)(states), quantised)
    assert torch.equal(torch.func.vmap(quantise, in_dims=1, out_dims=1)(states), quantised)
    assert torch.equal(torch.func.vmap(torch.func.grad(energy))(states), 2 * quantised)
    output, tangent = torch.func.jvp(quantise, (states,), (3 * states,))
    assert torch.equal(output, quantised)
    assert torch.equal(tangent, 3 * states)


def test_levels_may_not_differ_within_a_vmapped_batch():
    with pytest.raises(NotImplementedError, match="one set of levels"):
        torch.func.vmap(StateQuant.apply)(torch.zeros(2, 3), torch.zeros(2, 4))


@pytest.mark.parametrize("uniform", [True, False])
def test_pickle_and_deepcopy(uniform):
    quantise = state_quant(num_bits=4, uniform=uniform, threshold=1.5)
    states = torch.linspace(-2, 2, 51)
    for other in (pickle.loads(pickle.dumps(quantise)), copy.deepcopy(quantise)):
        assert torch.equal(other(states), quantise(states))
    assert repr(quantise) == "state_quant(16 levels from -1.5 to 1.8)"


class Largest(TorchDispatchMode):
    """Remembers the size in bytes of the largest tensor that an operation returns."""

    size = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        output = func(*args, **(kwargs or {}))
        for tensor in tree_flatten(output)[0]:
            if isinstance(tensor, torch.Tensor):
                self.size = max(self.size, tensor.numel() * tensor.element_size())
        return output


def test_memory_is_that_of_the_input():
    states = torch.randn(100_000, generator=torch.Generator().manual_seed(0)).requires_grad_()
    with Largest() as largest:
        state_quant(num_bits=8)(states).sum().backward()
    # at least the output, and nothing with an axis of 256 levels
    assert largest.size == states.numel() * states.element_size()


def test_names():
    assert SF.state_quant is SF.quant.state_quant is state_quant
    assert SF.StateQuant is StateQuant


@pytest.mark.parametrize("num_bits", [0, -1, 25])
def test_number_of_bits_out_of_range(num_bits):
    with pytest.raises(ValueError, match=f"num_bits is {num_bits}; expected an integer from 1"):
        state_quant(num_bits=num_bits)


def test_integers_of_other_libraries_and_what_is_no_tensor():
    assert repr(state_quant(np.int64(4))) == repr(state_quant(4))
    with pytest.raises(TypeError, match="input_ is a list; expected a tensor"):
        state_quant(4)([1.0])


@pytest.mark.parametrize("num_bits", [2.5, True, "8", None])
def test_number_of_bits_of_a_wrong_type(num_bits):
    with pytest.raises(TypeError, match=f"num_bits is {num_bits!r}; expected an integer"):
        state_quant(num_bits=num_bits)


def test_threshold_out_of_range():
    with pytest.raises(ValueError, match=r"threshold is 0.0; expected a finite number above 0"):
        state_quant(threshold=0)
    with pytest.raises(ValueError, match=r"threshold is -1.0; expected"):
        state_quant(threshold=-1)
    with pytest.raises(ValueError, match=r"threshold is nan; expected"):
        state_quant(threshold=math.nan)


def test_one_threshold_for_all_neurons():
    with pytest.raises(ValueError, match=r"threshold has shape \(2,\); .*threshold.max\(\)"):
        state_quant(threshold=torch.ones(2))


@pytest.mark.parametrize("multiplier", [0, -0.5, math.inf, math.nan])
def test_multiplier_out_of_range(multiplier):
    with pytest.raises(ValueError, match=f"multiplier is {multiplier}; expected a finite number"):
        state_quant(uniform=False, multiplier=multiplier)


@pytest.mark.parametrize(
    "limits", [{"upper_limit": -3}, {"lower_limit": -2.5}, {"lower_limit": math.nan}]
)
def test_limits_without_a_range(limits):
    with pytest.raises(ValueError, match=r"lower_limit .* and upper_limit .* an increasing range"):
        state_quant(**limits)


def test_limits_that_leave_out_the_centre():
    with pytest.raises(ValueError, match=r"exclude their center 1.0.*widen the limits"):
        state_quant(uniform=False, upper_limit=-0.5)
    with pytest.raises(ValueError, match=r"exclude their center 0.0.*widen the limits"):
        state_quant(uniform=False, thr_centered=False, lower_limit=-1.1, upper_limit=0.2)
    assert levels(state_quant(num_bits=1, upper_limit=-0.5)).tolist() == [-1.0, 0.5]


# torch announces the end of torch.jit, and warns that the number of elements is a constant.
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::torch.jit.TracerWarning")
def test_traces_and_saves():
    quantise = state_quant(3)
    x = torch.linspace(-2, 2, 77)
    traced = torch.jit.trace(quantise.__call__, x, check_trace=False)
    file = io.BytesIO()
    torch.jit.save(traced, file)
    file.seek(0)
    u = x.clone().requires_grad_()
    rounded = torch.jit.load(file)(u)
    assert torch.equal(rounded, quantise(x))
    assert torch.autograd.grad(rounded.sum(), u)[0].tolist() == [1] * 77

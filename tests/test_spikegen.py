import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from snntorch import spikegen


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def check_rate(spikes, probability):
    """The mean of the draws lies within four standard errors of their probability."""
    assert set(spikes.unique().tolist()) <= {0.0, 1.0}
    error = math.sqrt(probability * (1 - probability) / spikes.numel())
    assert abs(spikes.double().mean().item() - probability) <= 4 * error


@pytest.mark.parametrize(
    ("value", "gain", "offset", "probability"),
    [
        (0.3, 1, 0, 0.3),
        (0.8, 0.25, 0, 0.2),
        (0.5, 0.5, 0.4, 0.65),
        (-0.5, -1, 0, 0.5),
        (0.0, 1, 0, 0.0),
        (0.5, 3, 0, 1.0),
        (0.5, 1, -0.6, 0.0),
        (0.5, -1, 0, 0.0),
    ],
)
@pytest.mark.parametrize("time_var_input", [False, True])
def test_rates(value, gain, offset, probability, time_var_input):
    shape, steps = ((100, 5, 40), {}) if time_var_input else ((5, 40), {"num_steps": 100})
    spikes = spikegen.rate(
        torch.full(shape, value),
        gain=gain,
        offset=offset,
        time_var_input=time_var_input,
        generator=seeded(),
        **steps,
    )
    assert spikes.shape == (100, 5, 40)
    check_rate(spikes, probability)


def test_each_feature_has_its_own_rate():
    data = torch.tensor([[0.1, 0.9], [0.0, 1.0]])
    spikes = spikegen.rate(data, num_steps=4000, generator=seeded())
    for b, c in np.ndindex(2, 2):
        check_rate(spikes[:, b, c], data[b, c].item())


def test_each_step_has_its_own_rate():
    data = torch.tensor([0.2, 0.0, 1.0, 0.7])[:, None].expand(4, 4000)
    spikes = spikegen.rate(data, time_var_input=True, generator=seeded())
    for step, probability in zip(spikes, (0.2, 0.0, 1.0, 0.7), strict=True):
        check_rate(step, probability)


def test_draws_are_independent():
    spikes = spikegen.rate(torch.full((2, 5000), 0.5), num_steps=2, generator=seeded())
    for other in (spikes.flip(0), spikes.flip(1), spikes.roll(1, -1)):
        check_rate((spikes * other)[0, 0], 0.25)


def test_first_spike_time_silences_the_steps_before():
    spikes = spikegen.rate(torch.ones(2, 3), num_steps=5, first_spike_time=2)
    assert spikes.sum((1, 2)).tolist() == [0, 0, 6, 6, 6]
    spikes = spikegen.rate(torch.ones(2, 3), num_steps=5, first_spike_time=4)
    assert spikes.sum((1, 2)).tolist() == [0, 0, 0, 0, 6]


def test_first_spike_time_delays_data_that_vary_in_time():
    data = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    spikes = spikegen.rate(data, time_var_input=True, first_spike_time=3)
    assert spikes.tolist() == [[0, 0], [0, 0], [0, 0], [1, 0], [0, 1]]
    many = spikegen.rate(torch.ones(2, 3, 4, 5), time_var_input=True, first_spike_time=1)
    assert many.shape == (3, 3, 4, 5)
    assert many.sum((1, 2, 3)).tolist() == [0, 60, 60]


def test_a_seed_gives_the_same_spikes():
    data = torch.rand(4, 6, generator=seeded())
    first = spikegen.rate(data, num_steps=9, generator=seeded(3))
    assert torch.equal(first, spikegen.rate(data, num_steps=9, generator=seeded(3)))
    assert not torch.equal(first, spikegen.rate(data, num_steps=9, generator=seeded(4)))
    # without a generator, the global one draws the same numbers
    torch.manual_seed(3)
    assert torch.equal(first, spikegen.rate(data, num_steps=9))
    # and the silent steps do not move the draws of the others
    late = spikegen.rate(data, num_steps=9, first_spike_time=4, generator=seeded(3))
    assert torch.equal(late[4:], first[4:])
    conv = spikegen.rate_conv(data.expand(9, 4, 6), generator=seeded(3))
    assert torch.equal(conv, first)


def test_a_generator_leaves_the_global_one_alone():
    before = torch.get_rng_state()
    spikegen.rate(torch.rand(3, generator=seeded()), num_steps=2, generator=seeded())
    spikegen.rate_conv(torch.rand(3, generator=seeded()), generator=seeded())
    assert torch.equal(torch.get_rng_state(), before)


def test_the_seeded_draws_of_version_1():
    # recorded: torch.manual_seed(3); rate(torch.tensor([0.2, 0.5, 0.8]), num_steps=4)
    torch.manual_seed(3)
    spikes = spikegen.rate(torch.tensor([0.2, 0.5, 0.8]), num_steps=4)
    assert spikes.tolist() == [[1, 1, 1], [1, 1, 1], [0, 0, 1], [0, 1, 1]]


@given(
    st.lists(st.floats(-2, 3, width=32), min_size=1, max_size=8),
    st.floats(-3, 3),
    st.floats(-1, 1),
    st.integers(1, 6),
)
@settings(deadline=None, max_examples=50)
def test_certain_features_are_certain(values, gain, offset, num_steps):
    data = torch.tensor(values, dtype=torch.float64)
    spikes = spikegen.rate(data, num_steps=num_steps, gain=gain, offset=offset)
    assert spikes.shape == (num_steps, len(values))
    probability = gain * data + offset
    assert (spikes[:, probability >= 1] == 1).all()
    assert (spikes[:, probability <= 0] == 0).all()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_floating_dtypes_are_kept(dtype):
    data = torch.full((10, 100), 0.25, dtype=dtype)
    for spikes in (
        spikegen.rate(data, num_steps=5, generator=seeded()),
        spikegen.rate(data, time_var_input=True, first_spike_time=1, generator=seeded())[1:],
        spikegen.rate_conv(data, generator=seeded()),
    ):
        assert spikes.dtype == dtype
        check_rate(spikes, 0.25)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64, torch.bool])
def test_integers_are_cast(dtype):
    data = torch.tensor([0, 1, 1]).to(dtype)
    for spikes in (
        spikegen.rate(data, num_steps=2),
        spikegen.rate(data.expand(2, 3), time_var_input=True),
        spikegen.rate_conv(data.expand(2, 3)),
    ):
        assert spikes.dtype == torch.float32
        assert spikes.tolist() == [[0, 1, 1], [0, 1, 1]]


def test_bytes_of_an_image():
    image = torch.full((50, 50), 51, dtype=torch.uint8)
    check_rate(spikegen.rate(image, num_steps=4, gain=1 / 255, generator=seeded()), 0.2)


def test_rate_conv_cuts_to_probabilities():
    assert spikegen.rate_conv(torch.tensor([-1.0, 2.0, 0.0, 1.0])).tolist() == [0, 1, 0, 1]
    check_rate(spikegen.rate_conv(torch.full((100, 1, 28), 0.4), generator=seeded()), 0.4)
    assert spikegen.rate_conv(torch.tensor(1.0)).shape == ()


def test_data_stay_as_they_are():
    data = torch.tensor([0.5, 3.0])
    spikegen.rate(data, num_steps=3, gain=2, offset=1, first_spike_time=1)
    spikegen.rate(data, gain=2, offset=1, time_var_input=True)
    spikegen.rate_conv(data)
    assert data.tolist() == [0.5, 3.0]


def test_numbers_of_steps_of_other_integer_types():
    assert spikegen.rate(torch.ones(2), num_steps=np.int64(3)).shape == (3, 2)
    assert spikegen.rate(torch.ones(2), num_steps=torch.tensor(3)).shape == (3, 2)


@pytest.mark.parametrize("data", [[0.5], 0.5, np.ones(3)])
def test_data_that_are_no_tensor(data):
    name = type(data).__name__
    for encode in (lambda data: spikegen.rate(data, num_steps=3), spikegen.rate_conv):
        with pytest.raises(TypeError, match=rf"data is a {name}; .*torch.as_tensor\(data\)"):
            encode(data)


def test_complex_data():
    for encode in (lambda data: spikegen.rate(data, num_steps=3), spikegen.rate_conv):
        with pytest.raises(TypeError, match=r"data has dtype torch.complex64; expected real"):
            encode(torch.ones(2, dtype=torch.complex64))


def test_data_with_nan():
    data = torch.tensor([0.5, math.nan])
    with pytest.raises(ValueError, match="data holds NaN"):
        spikegen.rate(data, num_steps=3)
    with pytest.raises(ValueError, match="data holds NaN"):
        spikegen.rate(data, time_var_input=True)
    with pytest.raises(ValueError, match="data holds NaN"):
        spikegen.rate_conv(data)


def test_missing_number_of_steps():
    with pytest.raises(ValueError, match=r"num_steps is missing: .*time_var_input=True"):
        spikegen.rate(torch.ones(2))


def test_number_of_steps_for_data_that_vary_in_time():
    with pytest.raises(ValueError, match="num_steps is 4 with time_var_input=True"):
        spikegen.rate(torch.ones(4, 2), num_steps=4, time_var_input=True)


def test_wrong_numbers_of_steps():
    with pytest.raises(ValueError, match="num_steps is -1; expected an integer of at least 1"):
        spikegen.rate(torch.ones(2), num_steps=-1)
    with pytest.raises(ValueError, match="num_steps is 0; expected an integer of at least 1"):
        spikegen.rate(torch.ones(2), num_steps=0)
    for num_steps in (2.5, True, None):
        with pytest.raises(TypeError, match=f"num_steps is {num_steps}; expected an integer"):
            spikegen.rate(torch.ones(2), num_steps=num_steps)


def test_wrong_first_spike_times():
    with pytest.raises(ValueError, match="first_spike_time is -1; expected an integer of at least"):
        spikegen.rate(torch.ones(2), num_steps=3, first_spike_time=-1)
    with pytest.raises(TypeError, match=r"first_spike_time is 1.5; expected an integer"):
        spikegen.rate(torch.ones(2), num_steps=3, first_spike_time=1.5)
    with pytest.raises(ValueError, match=r"first_spike_time is 3; expected at most .* = 2"):
        spikegen.rate(torch.ones(2), num_steps=3, first_spike_time=3)


def test_a_scalar_has_no_time_axis():
    with pytest.raises(ValueError, match="data is a scalar"):
        spikegen.rate(torch.tensor(0.5), time_var_input=True)
    assert spikegen.rate(torch.tensor(1.0), num_steps=3).tolist() == [1, 1, 1]

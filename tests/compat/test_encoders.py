"""What 1.0.0 got wrong in the encoding of data and targets.

Only names that 1.0.0 has are used, so that the file can be run against it too (with --noconftest),
where every test must fail.
"""

import pytest
import torch

from snntorch import spikegen

TARGETS = torch.tensor([0, 2])


def test_targets_at_other_rates_by_hand():
    spikes = spikegen.targets_rate(TARGETS, 3, num_steps=4, correct_rate=0.5, incorrect_rate=0.25)
    assert spikes[:, 0].T.tolist() == [[1, 0, 1, 0], [1, 0, 0, 0], [1, 0, 0, 0]]
    assert spikes[:, 1].T.tolist() == [[1, 0, 0, 0], [1, 0, 0, 0], [1, 0, 1, 0]]


def test_targets_keep_their_rank_with_as_many_steps_as_classes():
    spikes = spikegen.targets_rate(TARGETS, 4, num_steps=4, correct_rate=0.5)
    assert spikes.shape == (4, 2, 4)
    assert spikes[:, 0, 0].tolist() == [1, 0, 1, 0]


@pytest.mark.parametrize("pattern", ["regular", "uniform", "poisson"])
def test_targets_hold_their_rates(pattern):
    torch.manual_seed(0)
    targets = torch.arange(4).repeat(250)
    spikes = spikegen.targets_convert(
        targets, 4, num_steps=50, correct_rate=0.8, incorrect_rate=0.1, firing_pattern=pattern
    )
    right = spikegen.to_one_hot(targets, 4).bool()
    for rate, each in ((0.8, spikes[:, right]), (0.1, spikes[:, ~right])):
        error = (rate * (1 - rate) / each.numel()) ** 0.5
        assert abs(each.mean().item() - rate) <= 4 * error


def test_values_of_rate_targets():
    spikes = spikegen.targets_rate(
        TARGETS, 3, num_steps=2, correct_rate=0.5, on_target=1.25, off_target=0.25
    )
    assert spikes[:, 0].tolist() == [[1.25, 0.25, 0.25], [0.25, 0.25, 0.25]]


@pytest.mark.parametrize(("steps", "count"), [(9, 5), (14, 9), (100, 7)])
def test_regular_trains_stay_on_their_steps(steps, count):
    _, times = spikegen.target_rate_code(steps, rate=count / steps)
    assert times.tolist() == [k * steps // count for k in range(count)]


def test_uniform_trains_have_the_rate():
    torch.manual_seed(0)
    spikes, times = spikegen.target_rate_code(40, rate=1, firing_pattern="uniform")
    assert spikes.tolist() == [1] * 40
    assert times.tolist() == list(range(40))


@pytest.mark.parametrize("off", [0.25, -1])
def test_values_of_latency_targets(off):
    spikes = spikegen.targets_convert(
        TARGETS, 3, "latency", num_steps=3, normalize=True, on_target=2, off_target=off
    )
    assert spikes[:, 0].T.tolist() == [[2, off, off], [off, off, 2], [off, off, 2]]


def test_values_of_latency_targets_below_zero():
    options = {"num_steps": 3, "normalize": True, "on_target": 2, "off_target": -1}
    spikes = spikegen.targets_latency(TARGETS, 3, **options)
    assert spikes[:, 0].T.tolist() == [[2, -1, -1], [-1, -1, 2], [-1, -1, 2]]
    assert spikegen.latency(torch.tensor([1.0, 0.0]), **options).T.tolist() == [
        [2, -1, -1],
        [-1, -1, 2],
    ]


def test_converted_latency_targets_take_all_options():
    options = {"num_steps": 5, "normalize": True, "interpolate": True}
    values = spikegen.targets_convert(TARGETS, 3, "latency", **options)
    rising = [0, 0.25, 0.5, 0.75, 1]
    assert values[:, 0].T.tolist() == [[1, 0, 0, 0, 0], rising, rising]
    # ln(0.6 / 0.1) = 1.79
    early = spikegen.targets_convert(TARGETS, 3, "latency", num_steps=3, threshold=0.5, epsilon=0.1)
    assert early[2, 0].tolist() == [0, 1, 1]


def test_clipped_features_rise_to_no_spike():
    options = {"num_steps": 3, "normalize": True, "linear": True, "interpolate": True}
    values = spikegen.latency(torch.tensor([0.0, 0.5]), clip=True, **options)
    assert values.T.tolist() == [[0, 0, 0], [0, 1, 0]]


def test_clipped_features_are_never_too_late():
    spikes = spikegen.latency(torch.tensor([0.0, 0.5]), num_steps=3, clip=True)
    assert spikes.T.tolist() == [[0, 0, 0], [1, 0, 0]]


def test_spikes_right_after_the_last_step_are_late_too():
    values = spikegen.latency_interpolate(torch.tensor([2.0, 3.0, 4.0]), num_steps=3)
    assert values.T.tolist() == [[0, 0.5, 1], [0, 0, 0], [0, 0, 0]]


def test_normalized_times_come_after_the_first_spike_time():
    data = torch.tensor([0.5, 1.0, 3.0])
    times = spikegen.latency_code_linear(data, num_steps=12, first_spike_time=1, normalize=True)
    assert times.tolist() == pytest.approx([11, 9, 1])


def test_from_one_hot_returns_classes():
    code = torch.tensor([[0, 0, 1], [1, 0, 0], [0, 0, 1]])
    assert spikegen.from_one_hot(code).tolist() == [2, 0, 2]


@pytest.mark.parametrize("encode", [spikegen.rate, spikegen.rate_conv])
def test_integer_images_are_encoded(encode):
    image = torch.tensor([[0, 1], [1, 0]], dtype=torch.uint8)
    spikes = encode(image, num_steps=2) if encode is spikegen.rate else encode(image)
    assert spikes.dtype == torch.float32
    assert (spikes == image).all()


def test_changes_of_bytes_do_not_wrap_around():
    film = torch.tensor([0, 200, 1, 1], dtype=torch.uint8)
    assert spikegen.delta(film, threshold=0.5, off_spike=True).tolist() == [0, 1, -1, 0]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_latency_in_half_precision(dtype):
    spikes = spikegen.latency(torch.tensor([0, 0.5], dtype=dtype), num_steps=4, normalize=True)
    assert spikes.dtype == torch.float32
    assert spikes.T.tolist() == [[0, 0, 0, 1], [1, 0, 0, 0]]


@pytest.mark.parametrize(
    ("function", "inputs", "options"),
    [
        (spikegen.rate, (torch.full((50,), 0.5),), {"num_steps": 4}),
        (spikegen.rate_conv, (torch.full((50,), 0.5),), {}),
        (spikegen.target_rate_code, (50,), {"rate": 0.5, "firing_pattern": "poisson"}),
        (
            spikegen.targets_rate,
            (TARGETS, 3),
            {"num_steps": 50, "correct_rate": 0.5, "firing_pattern": "poisson"},
        ),
        (
            spikegen.targets_convert,
            (TARGETS, 3),
            {"num_steps": 50, "correct_rate": 0.5, "firing_pattern": "uniform"},
        ),
    ],
)
def test_a_generator_makes_draws_repeatable(function, inputs, options):
    def draw(seed):
        generator = torch.Generator().manual_seed(seed)
        spikes = function(*inputs, **options, generator=generator)
        return spikes[0] if isinstance(spikes, tuple) else spikes

    assert torch.equal(draw(1), draw(1))
    assert not torch.equal(draw(1), draw(2))

"""Simulated saccades, against a plain loop over pixels."""

import math

import numpy as np
import pytest
import torch
from project import ROOT, load_script

import snntorch as snn
from snntorch import datasets, saccades

EXACT = {"mismatch": 0, "noise": 0}


def digit(dtype=torch.float64):
    """A bar with grey rims."""
    image = torch.zeros(1, 9, 7, dtype=dtype)
    image[0, 2:7, 3] = 1
    image[0, 2:7, 4] = 0.4
    return image


def test_the_path_is_a_closed_triangle():
    way = saccades.path(300, amplitude=2.0)
    corners = [(-2, -2), (2, 0), (-2, 2), (-2, -2)]
    assert way.shape == (301, 2)
    for step, corner in zip((0, 100, 200, 300), corners, strict=True):
        np.testing.assert_allclose(way[step], corner, atol=1e-5)
    legs = [(way[step + 100] - way[step]).norm() for step in (0, 100, 200)]
    assert legs[0].item() == pytest.approx(legs[1].item()) and legs[2] != legs[0]
    np.testing.assert_allclose(way[50], [0, -1], atol=1e-5)  # half-way after half of the time
    speed = way.diff(dim=0).norm(dim=1)
    assert speed[[0, 99, 100, 199, 299]].max() < 0.05 * speed.max()  # it rests at the corners


def look(image, y, x, size):
    """What one pixel of the camera sees of an image that is moved by y and x: bilinear."""
    height, width = image.shape
    seen = np.zeros(size)
    for row in range(size[0]):
        for column in range(size[1]):
            v, h = row - (size[0] - height) / 2 - y, column - (size[1] - width) / 2 - x
            top, left = math.floor(v), math.floor(h)
            for r, c in ((top, left), (top, left + 1), (top + 1, left), (top + 1, left + 1)):
                if 0 <= r < height and 0 <= c < width:
                    seen[row, column] += image[r, c] * (1 - abs(v - r)) * (1 - abs(h - c))
    return seen


def test_events_equal_those_of_a_plain_loop():
    num_steps, size, threshold = 24, (13, 12), 0.3
    image = digit()
    events = saccades.simulate(image, num_steps, size=size, threshold=threshold, **EXACT)
    way = saccades.path(num_steps).double().numpy()
    level = np.log(look(image[0].numpy(), *way[0], size) + 0.1)
    for t in range(num_steps):
        brightness = np.log(look(image[0].numpy(), *way[t + 1], size) + 0.1)
        for place in np.ndindex(size):
            count = math.trunc((brightness[place] - level[place]) / threshold)
            level[place] += count * threshold
            off, on = events[(t, 0, slice(None), *place)].tolist()
            assert (off, on) == (max(-count, 0), max(count, 0))
    assert events.sum() > 100


def test_what_brightens_darkens_again():
    events = saccades.simulate(digit(), 300, **EXACT)
    # At the end each pixel sees what it saw at the start.
    balance = (events[:, :, 1] - events[:, :, 0]).sum(0)
    assert balance.abs().max() <= 1
    assert events[:, :, 1].sum(0).max() > 1


def test_samples_do_not_depend_on_each_other():
    images = torch.rand(3, 10, 10)
    together = saccades.simulate(images, 30, size=(12, 12), **EXACT)
    alone = [saccades.simulate(image[None], 30, size=(12, 12), **EXACT) for image in images]
    assert torch.equal(together, torch.cat(alone, dim=1))
    assert torch.equal(together, saccades.simulate(images[:, None], 30, size=(12, 12), **EXACT))


def test_noise_and_mismatch_follow_the_generator():
    dark = torch.zeros(4, 28, 28)
    assert saccades.simulate(dark, noise=0).sum() == 0

    def draw(seed, images, **options):
        return saccades.simulate(images, generator=torch.Generator().manual_seed(seed), **options)

    noise = draw(0, dark, noise=0.01)
    pixels = 300 * 4 * 34 * 34
    for polarity in (0, 1):
        assert noise[:, :, polarity].sum().item() == pytest.approx(0.005 * pixels, rel=0.05)
    bright = torch.rand(2, 28, 28)
    assert torch.equal(draw(1, bright), draw(1, bright))
    assert not torch.equal(draw(1, bright), draw(2, bright))
    torch.manual_seed(5)
    before = torch.get_rng_state()
    draw(1, bright)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    "images, dtype",
    [
        (digit().bool(), torch.float32),
        (digit().long(), torch.float32),
        (digit(torch.float32), torch.float32),
        (digit(), torch.float64),
        (digit().bfloat16(), torch.bfloat16),
    ],
)
def test_types(images, dtype):
    events = saccades.simulate(images)
    assert events.dtype == dtype
    assert events.shape == (300, 1, 2, 34, 34)
    assert torch.equal(events, events.round()) and events.min() == 0


def test_digits_give_about_as_many_events_as_a_camera():
    digits, _ = datasets.mnist(train=False)[:32]
    events = saccades.simulate(digits)
    per_digit = events.sum().item() / 32
    assert 3000 < per_digit < 6000
    assert 0.45 < events[:, :, 1].sum() / events.sum() < 0.55
    assert events.count_nonzero() / events.numel() < 0.01  # sparse
    thirds = events.unflatten(0, (3, 100)).sum((1, 2, 3, 4, 5))
    assert thirds.min() > 0.5 * thirds.max()


@pytest.mark.parametrize(
    "images, options, error, message",
    [
        (np.zeros((1, 3, 3)), {}, TypeError, "data is a ndarray"),
        (torch.zeros(3, 3), {}, ValueError, r"images has shape \(3, 3\)"),
        (torch.zeros(2, 3, 9, 9), {}, ValueError, r"\(2, 3, 9, 9\)"),
        (torch.full((1, 3, 3), 255.0), {}, ValueError, "images / 255"),
        (torch.full((1, 3, 3), math.nan), {}, ValueError, "from nan to nan"),
        (torch.zeros(1, 3, 3), {"num_steps": 2}, ValueError, "num_steps is 2"),
        (torch.zeros(1, 3, 3), {"num_steps": 2.5}, TypeError, r"num_steps is 2\.5"),
        (torch.zeros(1, 3, 3), {"threshold": 0}, ValueError, "threshold is 0"),
        (torch.zeros(1, 3, 3), {"noise": 1.5}, ValueError, r"noise is 1\.5"),
        (torch.zeros(1, 3, 3), {"mismatch": -1}, ValueError, "mismatch is -1"),
        (torch.zeros(1, 3, 3), {"mismatch": math.inf}, ValueError, "mismatch is inf"),
        (torch.zeros(1, 3, 3), {"threshold": math.inf}, ValueError, "threshold is inf"),
        (torch.zeros(1, 3, 3), {"amplitude": math.nan}, ValueError, "amplitude is nan"),
        (torch.zeros(1, 3, 3), {"size": (0, 12)}, ValueError, "size is 0"),
        (torch.zeros(1, 3, 3), {"size": 10}, ValueError, "size is 10; expected the height"),
    ],
)
def test_wrong_arguments(images, options, error, message):
    with pytest.raises(error, match=message):
        saccades.simulate(images, **options)


# The example ---------------------------------------------------------------------------------


def load_example():
    return load_script(ROOT / "examples" / "events.py")


def test_parts_give_the_gradient_of_the_batch():
    example = load_example()
    net, twin = example.build_net(), example.build_net()
    twin.load_state_dict(net.state_dict())
    events = (torch.rand(8, 24, 2, 34, 34) < 0.05).float()
    targets = torch.randint(10, (24,))
    example.train(net, iter([(events, targets)]), 1)
    spikes, _ = snn.unroll(twin, events)
    snn.functional.mse_count_loss(correct_rate=0.8, incorrect_rate=0.2)(spikes, targets).backward()
    for mine, whole in zip(net.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, whole.grad, rtol=1e-3, atol=1e-5)


def test_the_example_runs(capsys):
    example = load_example()
    sizes = ["--iterations", "2", "--steps", "12", "--batch-size", "24", "--held-out", "20"]
    accuracies, accuracy = example.main(sizes)
    printed = capsys.readouterr().out
    assert len(accuracies) == 2
    assert f"held-out digits: {accuracy:.2%}" in printed and "on 20 held-out" in printed
    with pytest.raises(SystemExit):
        example.main(["--steps", "2"])

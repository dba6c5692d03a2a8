"""The four pictures of 1.0.0: what they return, what they hold and where their axes end."""

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex

from snntorch import spikeplot as splt

SPIKES = torch.zeros(20, 100)
SPIKES[5, 40] = SPIKES[9, 60] = 1


@pytest.fixture
def ax():
    with plt.rc_context(matplotlib.rcParamsDefault | {"backend": "agg"}):
        yield plt.subplots()[1]
        plt.close("all")


def limits(ax):
    return pytest.approx([*ax.get_xlim(), *ax.get_ylim()])


@pytest.mark.parametrize("kwargs", [{}, {"s": 5, "c": "black"}, {"s": 5, "marker": "|"}])
def test_the_axes_of_a_raster_span_the_spikes(ax, kwargs):
    # From 5 to 9 and from 40 to 60, with margins of 5 %.
    markers = splt.raster(SPIKES, ax, **kwargs)
    assert limits(ax) == [4.8, 9.2, 39, 61]
    assert np.asarray(markers.get_offsets()).tolist() == [[5, 40], [9, 60]]
    assert markers.get_sizes().tolist() == [kwargs.get("s", 36)]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("", "")


def test_a_raster_of_one_spike_of_none_and_of_one_neuron(ax):
    splt.raster(SPIKES[:6], ax)
    assert limits(ax) == [4.725, 5.275, 37.8, 42.2]
    for data in (SPIKES[:5], SPIKES[:0]):
        empty = plt.subplots()[1]
        assert len(splt.raster(data, empty).get_offsets()) == 0
        assert limits(empty) == [-0.055, 0.055, -0.055, 0.055]
    one = plt.subplots()[1]
    splt.raster(SPIKES[:, 40], one)
    assert limits(one) == [4.725, 5.275, -0.055, 0.055]


def test_a_raster_respects_limits_and_what_is_drawn_already(ax):
    ax.set_xlim(0, 20)
    splt.raster(SPIKES, ax)
    assert limits(ax) == [0, 20, 39, 61]
    other = plt.subplots()[1]
    other.plot([0, 30], [0, 5])
    splt.raster(SPIKES, other)
    assert limits(other) == [-1.5, 31.5, -3, 63]


COUNTED = torch.tensor([[0.0, 1, 0], [1, 1, 0], [0, 1, 0], [1, 0, 0]])


@pytest.mark.parametrize(("steps", "counts"), [(False, [2, 3, 0]), (3, [1, 3, 0]), (9, [2, 3, 0])])
def test_spike_counts(ax, steps, counts):
    out = splt.spike_count(COUNTED, ax.figure, ax, ["a", "b", "c"], num_steps=steps)
    assert out is None
    assert limits(ax) == [0, steps or 4, 0.9, 3.1]
    (dots,), (bars,) = ax.lines, ax.collections
    assert np.asarray(dots.get_xdata()).tolist() == counts
    assert [segment[1][0] for segment in bars.get_segments()] == counts
    assert [text.get_text() for text in ax.get_yticklabels()] == ["a", "b", "c"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("Time Step", "Labels")
    assert all(spine.get_visible() for spine in ax.spines.values())


@pytest.mark.parametrize("interpolate", [1, 3])
def test_animated_spike_counts(ax, interpolate):
    film = splt.spike_count(
        COUNTED, ax.figure, ax, ["a", "b", "c"], animate=True, interpolate=interpolate
    )
    assert len(list(film._framedata)) == 4 * interpolate
    assert limits(ax) == [0, 4, 0.9, 3.1]
    film._draw_was_started = True  # it is not shown


@pytest.mark.parametrize(("steps", "frames"), [(False, 5), (0, 5), (3, 3)])
def test_films(ax, steps, frames):
    images = (torch.arange(5 * 4 * 6) % 4).float().reshape(5, 4, 6)
    film = splt.animator(images, ax.figure, ax, num_steps=steps)
    shown = [frame[0] for frame in film._framedata]
    assert len(shown) == frames and not ax.axison
    np.testing.assert_array_equal(np.stack([each.get_array() for each in shown]), images[:frames])
    assert {(*each.get_clim(), each.get_cmap().name) for each in shown} == {(0, 3, "plasma")}
    assert limits(ax) == [-0.5, 5.5, 3.5, -0.5]
    film._draw_was_started = True


def test_traces(ax):
    plt.figure()
    mem = torch.arange(40.0).reshape(10, 4).sin()
    spk = (mem > 0.5).float()
    assert splt.traces(mem, spk=spk, dim=(2, 2), spk_height=3, titles=["a"]) is None
    panels = plt.gcf().axes
    drawn = mem + 3 * spk
    low, high = drawn.min().item(), drawn.max().item()
    for i, panel in enumerate(panels):
        (line,) = panel.lines
        np.testing.assert_array_equal(line.get_ydata(), drawn[:, i])
        assert to_hex(line.get_color()) == "#1f77b4" and not panel.axison
        margin = 0.05 * (high - low)
        assert limits(panel) == [-0.45, 9.45, low - margin, high + margin]
    assert [panel.get_title() for panel in panels] == ["a", "", "", ""]


def test_traces_of_several_lines_in_each_panel(ax):
    plt.figure()
    mem = torch.arange(24.0).reshape(4, 3, 2)
    splt.traces(mem, dim=(1, 3))
    for i, panel in enumerate(plt.gcf().axes):
        for k, line in enumerate(panel.lines):
            np.testing.assert_array_equal(line.get_ydata(), mem[:, i, k])

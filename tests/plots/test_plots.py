"""What the pictures hold, how they look, and what happens without matplotlib."""

import itertools
import math
import subprocess
import sys
import types
from collections import Counter

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.animation import ArtistAnimation
from matplotlib.testing.compare import compare_images
from project import ROOT, load_script
from torch import nn

import snntorch as snn
import snntorch.spikeplot as splt

gallery = load_script(ROOT / "docs" / "gallery.py")


@pytest.fixture(autouse=True)
def figures():
    """Every picture starts from the style that matplotlib comes with, and is put away."""
    with plt.rc_context(matplotlib.rcParamsDefault | {"backend": "agg"}):
        yield
        plt.close("all")


def spikes(*shape, rate=0.3):
    return (torch.rand(shape) < rate).float()


def offsets(markers):
    return {tuple(offset) for offset in np.asarray(markers.get_offsets()).tolist()}


def strokes(ax):
    """Time and neuron of each stroke on axes."""
    segments = [segment for lines in ax.collections for segment in lines.get_segments()]
    return {(bottom[0], (bottom[1] + top[1]) / 2) for bottom, top in segments}


def where(data):
    return {(t, i) for t, row in enumerate(data.tolist()) for i, spk in enumerate(row) if spk}


KINDS = {
    "tensor": lambda data: data,
    "gradient": lambda data: data.clone().requires_grad_(),
    "bfloat16": lambda data: data.bfloat16(),
    "bool": lambda data: data.bool(),
    "array": lambda data: data.numpy(),
    "list of tensors": lambda data: list(data.clone().requires_grad_()),
    "list of lists": lambda data: data.tolist(),
}
kinds = pytest.mark.parametrize("kind", KINDS)


# The four of 1.0.0 ---------------------------------------------------------------------------


@kinds
def test_raster_has_a_marker_for_each_spike(kind):
    data = spikes(30, 7)
    _, ax = plt.subplots()
    markers = splt.raster(KINDS[kind](data), ax, s=1.5, c="black", marker="|")
    assert offsets(markers) == where(data)
    assert len(markers.get_offsets()) == data.sum()
    assert markers.get_sizes() == [1.5]
    assert markers in ax.collections


def test_raster_of_one_neuron_and_of_images():
    _, ax = plt.subplots()
    markers = splt.raster(torch.tensor([0.0, 1, -1, 0, 0.5]), ax)
    assert offsets(markers) == {(1, 0), (2, 0), (4, 0)}
    images = torch.zeros(3, 2, 4)
    images[1, 1, 2] = images[2, 0, 3] = 1
    assert offsets(splt.raster(images, ax)) == {(1, 6), (2, 3)}


def test_large_rasters_are_rasterized():
    few, many = (splt.raster(torch.ones(30, n), plt.subplots()[1]) for n in (600, 1000))
    assert many.get_rasterized() and not few.get_rasterized()


@kinds
def test_animator_shows_each_frame(kind, tmp_path):
    data = spikes(5, 4, 6)
    data[2] *= 3
    fig, ax = plt.subplots()
    animation = splt.animator(KINDS[kind](data), fig, ax, interval=50)
    shown = [frame[0].get_array() for frame in animation._framedata]
    expected = data.bool() if kind == "bool" else data
    np.testing.assert_array_equal(np.stack(shown), expected)
    assert {frame[0].get_clim() for frame in animation._framedata} == {(0, expected.max().item())}
    assert {frame[0].get_cmap().name for frame in animation._framedata} == {"plasma"}
    assert not ax.axison
    animation.save(tmp_path / "spikes.gif", writer="pillow")
    assert frames_of(tmp_path / "spikes.gif") == (5, 50)


def frames_of(path):
    from PIL import Image

    with Image.open(path) as image:
        return image.n_frames, image.info["duration"]


def test_animator_takes_the_first_steps(tmp_path):
    fig, ax = plt.subplots()
    data = torch.arange(24.0).reshape(6, 2, 2)
    animation = splt.animator(data, fig, ax, 4, 40, "gray")
    assert isinstance(animation, ArtistAnimation)
    assert [frame[0].get_clim() for frame in animation._framedata] == [(0, 15)] * 4
    animation.save(tmp_path / "four.gif", writer="pillow")
    assert frames_of(tmp_path / "four.gif") == (4, 40)


def test_animator_in_colour_and_with_gaps(tmp_path):
    fig, ax = plt.subplots()
    colours = torch.rand(2, 4, 5, 3)
    animation = splt.animator(colours, fig, ax)
    np.testing.assert_array_equal(animation._framedata[1][0].get_array(), colours[1])
    animation.save(tmp_path / "colours.gif", writer="pillow")
    gaps = torch.tensor([[[1.0, math.nan]], [[3.0, 2.0]]])
    animation = splt.animator(gaps, *plt.subplots())
    assert animation._framedata[0][0].get_clim() == (1, 3)
    animation.save(tmp_path / "gaps.gif", writer="pillow")


LABELS = ["a", "b", "c"]
COUNTED = torch.tensor([[0.0, 1, 0], [1, 1, 0], [0, 1, 0], [1, 0, 0]])


def bars(artists):
    """Lengths of the bars and places of the dots among artists."""
    (lines,) = (each for each in artists if hasattr(each, "get_segments"))
    segments = np.array(lines.get_segments())
    (dots,) = (each for each in artists if getattr(each, "get_marker", lambda: None)() == "o")
    np.testing.assert_array_equal(segments[:, 1, 0], dots.get_xdata())
    np.testing.assert_array_equal(segments[:, :, 1], dots.get_ydata()[:, None].repeat(2, 1))
    assert (segments[:, 0, 0] == 0).all()
    return dots.get_xdata().tolist()


@kinds
def test_spike_count_draws_the_counts(kind):
    fig, ax = plt.subplots()
    assert splt.spike_count(KINDS[kind](COUNTED), fig, ax, LABELS) is None
    assert bars([*ax.lines, *ax.collections]) == [2, 3, 0]
    assert [text.get_text() for text in ax.get_yticklabels()] == LABELS
    assert ax.get_xlim() == (0, 4)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("Time Step", "Labels")
    assert len(ax.patches) > 0


def test_spike_count_in_seconds_of_the_first_steps_without_shades():
    fig, ax = plt.subplots()
    splt.spike_count(COUNTED, fig, ax, LABELS, 3, gridshader=False, time_step=0.5)
    assert bars([*ax.lines, *ax.collections]) == [0.5, 1.5, 0]
    assert ax.get_xlim() == (0, 1.5)
    assert ax.get_xlabel() == "Time [s]"
    assert not ax.patches


@pytest.mark.parametrize("interpolate", [1, 3])
def test_spike_count_grows_in_time(interpolate, tmp_path):
    fig, ax = plt.subplots()
    options = {"animate": True, "interpolate": interpolate, "interval": 100}
    animation = splt.spike_count(COUNTED, fig, ax, LABELS, **options)
    frames = list(animation._framedata)
    assert len(frames) == 4 * interpolate
    for i, artists in enumerate(frames, 1):
        done = COUNTED[: i // interpolate].sum(0)  # in the steps that are over
        assert bars(artists) == done.tolist()
        now = [each.get_xdata()[0] for each in artists if hasattr(each, "get_xdata")]
        assert i / interpolate in now
        assert sum(hasattr(each, "get_width") for each in artists) == len(ax.patches) / len(frames)
    animation.save(tmp_path / "count.gif", writer="pillow")
    assert frames_of(tmp_path / "count.gif") == (4 * interpolate, 100)


@kinds
def test_traces_draw_membranes_with_spikes_on_top(kind):
    mem, spk = torch.randn(20, 9).bfloat16().float(), spikes(20, 9)
    figure = plt.figure()
    assert splt.traces(KINDS[kind](mem), spk=KINDS[kind](spk)) is None
    assert plt.gcf() is figure and len(figure.axes) == 9
    mem = mem.bool().float() if kind == "bool" else mem
    for i, ax in enumerate(figure.axes):
        (line,) = ax.lines
        np.testing.assert_array_equal(line.get_ydata(), (mem + 5 * spk)[:, i])
        assert not ax.axison
    limits = {ax.get_ylim() for ax in figure.axes}
    assert len(limits) == 1


def test_traces_of_some_neurons_with_titles():
    mem = torch.randn(20, 9)
    splt.traces(mem, None, (2, 2), titles=list("abcd"))
    axes = plt.gcf().axes
    assert [ax.get_title() for ax in axes] == list("abcd")
    for i, ax in enumerate(axes):
        np.testing.assert_array_equal(ax.lines[0].get_ydata(), mem[:, i])
    places = [ax.get_subplotspec().rowspan.start for ax in axes]
    assert places == [0, 0, 1, 1]


# The others ----------------------------------------------------------------------------------


@kinds
@pytest.mark.parametrize("shape", [(12,), (12, 1), (12, 3)])
def test_cur_mem_spk(kind, shape):
    cur, mem = torch.randn(2, *shape).bfloat16().float()
    if kind == "bool":
        cur, mem = cur > 0, mem > 0
    spk, cast = spikes(*shape), KINDS[kind]
    axes = splt.cur_mem_spk(cast(cur), cast(mem), cast(spk), threshold=0.7, title="one")
    assert [ax.get_ylabel() for ax in axes] == ["cur", "mem", "spk"]
    for ax, data in zip(axes, (cur, mem), strict=False):
        lines = [line.get_ydata() for line in ax.lines if len(line.get_ydata()) == 12]
        np.testing.assert_array_equal(np.stack(lines, 1), data.reshape(12, -1))
    assert [tuple(line.get_ydata()) for line in axes[1].lines[-1:]] == [(0.7, 0.7)]
    assert strokes(axes[2]) == where(spk.reshape(12, -1))
    assert axes[0].get_title() == "one" and axes[2].get_xlabel() == "time step"


def test_cur_mem_spk_with_input_spikes_synapse_and_thresholds_on_given_axes():
    given = plt.figure().subplots(4)
    spk_in, spk = spikes(12), spikes(12, 2)
    syn, mem = torch.randn(2, 12, 2)
    threshold = torch.tensor([1.0, 2.0], requires_grad=True)
    axes = splt.cur_mem_spk(spk_in, mem, spk, threshold, syn=syn, spikes_in=True, axes=given)
    assert list(axes) == list(given)
    assert strokes(axes[0]) == where(spk_in[:, None])
    assert strokes(axes[3]) == where(spk)
    np.testing.assert_array_equal([line.get_ydata() for line in axes[1].lines], syn.T)
    assert [line.get_ydata()[0] for line in axes[2].lines[2:]] == [1, 2]


@kinds
def test_membrane_map_is_the_membrane(kind):
    mem = spikes(12, 2, 3)
    ax = splt.membrane_map(KINDS[kind](mem))
    np.testing.assert_array_equal(ax.images[0].get_array(), mem.reshape(12, 6).T)
    assert ax.images[0].origin == "lower"


def test_membrane_map_is_white_at_the_threshold():
    mem = torch.linspace(-1, 2, 50)[:, None]
    image = splt.membrane_map(mem, threshold=1.0).images[0]
    low, middle, high = (image.cmap(image.norm(value)) for value in (0.0, 1.0, 2.0))
    assert min(middle[:3]) > 0.95
    assert low[2] > low[0] and high[0] > high[2]  # blue below, red above


def test_network_raster():
    layers = {"input": spikes(15, 40), "output": spikes(15, 3)}
    axes = splt.network_raster(layers)
    assert offsets(axes[0].collections[0]) == where(layers["input"])
    assert axes[0].get_ylim() == (-1, 40)  # silent neurons too
    few, many = (splt.network_raster([spikes(9, n)])[0].collections[0] for n in (30, 5000))
    assert many.get_sizes() < few.get_sizes()
    assert strokes(axes[1]) == where(layers["output"])
    rate = layers["output"].mean()
    assert axes[1].get_title(loc="left") == f"output: 3 neurons, rate {rate:.3f}"
    titles = [ax.get_title(loc="left") for ax in splt.network_raster(list(layers.values()))]
    assert [title.split(":")[0] for title in titles] == ["layer 0", "layer 1"]


@pytest.mark.parametrize("window", [1, 4, 50])
def test_activity_is_a_moving_average(window):
    data = spikes(20, 2, 3) * 5
    ax = splt.activity(data, window=window)
    shares = [(step != 0).float().mean().item() for step in data]
    expected = [np.mean(shares[max(0, t - window + 1) : t + 1]) for t in range(20)]
    np.testing.assert_allclose(ax.lines[0].get_ydata(), expected, atol=1e-9)
    assert splt.activity(data, label="more", ax=ax) is ax
    assert ax.lines[1].get_color() != ax.lines[0].get_color()
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["more"]


def heights(ax):
    """Middle and height of the bars that are not empty."""
    return {
        bar.get_x() + bar.get_width() / 2: bar.get_height()
        for bar in ax.patches
        if bar.get_height()
    }


def test_rate_histogram_counts_neurons():
    data = spikes(25, 300) * 2
    ax = splt.rate_histogram(data, time_step=0.01)
    rates = Counter(float(count) / 0.25 for count in (data != 0).sum(0))
    drawn = {round(rate, 6): count for rate, count in heights(ax).items()}
    assert drawn == {round(rate, 6): count for rate, count in rates.items()}
    assert ax.get_xlabel() == "firing rate (Hz)"
    mean = (data != 0).float().mean().item() / 0.01
    assert ax.lines[0].get_xdata()[0] == pytest.approx(mean)


def test_rate_histogram_bins_hold_equally_many_rates():
    data = torch.zeros(200, 201)
    for i in range(201):
        data[:i, i] = 1
    ax = splt.rate_histogram(data)
    counts = [bar.get_height() for bar in ax.patches]
    assert set(counts[:-1]) == {6} and sum(counts) == 201
    assert "silent" in ax.get_legend().get_texts()[0].get_text()


@pytest.mark.parametrize("layout", [None, "constrained"])
@pytest.mark.parametrize("size", [(8, 2.2), (8, 4.8), (16, 4)])
@pytest.mark.parametrize("draw", [splt.rate_histogram, splt.isi_histogram])
def test_the_legend_of_a_histogram_covers_nothing(draw, size, layout):
    fig, axes = plt.subplots(1, 4, figsize=size, layout=layout)
    for ax, rate in zip(axes, (0.03, 0.3, 0.6, 0.95), strict=True):
        draw(spikes(40, 200, rate=rate), ax=ax)
    fig.canvas.draw()
    for ax in axes:
        legend, (mean,) = ax.get_legend().get_window_extent(), ax.lines
        assert ax.get_window_extent().height > 2 * legend.height
        assert mean.get_window_extent().y1 <= legend.y0 + 1
        for bar in ax.patches:
            assert bar.get_window_extent().y1 <= legend.y0 + 1
            assert bar.get_window_extent().y1 <= mean.get_window_extent().y1 + 1


def test_isi_histogram_stays_within_neurons():
    data = spikes(50, 8, rate=0.2)
    intervals = Counter()
    for train in data.T:
        times = [t for t, spk in enumerate(train) if spk]
        intervals.update(later - earlier for earlier, later in itertools.pairwise(times))
    ax = splt.isi_histogram(data)
    assert heights(ax) == intervals
    values = np.array(list(intervals.elements()))
    text = f"mean {values.mean():.3g}\nCV {values.std() / values.mean():.2f}"
    assert ax.get_legend().get_texts()[0].get_text() == text
    milliseconds = splt.isi_histogram(data, time_step=2e-3)
    assert heights(milliseconds) == {2 * time: count for time, count in intervals.items()}


def test_isi_histogram_without_intervals_says_so():
    ax = splt.isi_histogram(torch.eye(5))
    assert not ax.patches
    assert ax.texts[0].get_text() == "no neuron fires twice"


def test_weights_as_matrix():
    weight = nn.Linear(4, 3).weight
    image = splt.weights(weight).images[0]
    np.testing.assert_array_equal(image.get_array(), weight.detach())
    limit = weight.abs().max().item()
    assert image.get_clim() == (pytest.approx(-limit), pytest.approx(limit))


@pytest.mark.parametrize("width", [5, 20])
def test_weights_as_kernels(width):
    weight = torch.randn(3, 2, width, width)
    sheet = splt.weights(weight).images[0].get_array()
    gap = 1 if width == 5 else 2
    assert sheet.shape == (3 * (width + gap) - gap, 2 * (width + gap) - gap)
    for row, column in itertools.product(range(3), range(2)):
        top, left = row * (width + gap), column * (width + gap)
        kernel = sheet[top : top + width, left : left + width]
        np.testing.assert_array_equal(kernel, weight[row, column].double())
    assert np.isnan(np.ma.filled(sheet, np.nan)).sum() == sheet.size - weight.numel()


def test_weights_as_images():
    weight = torch.randn(5, 6)
    sheet = splt.weights(weight, shape=(2, 3)).images[0].get_array()
    assert sheet.shape == (2 * 3 - 1, 3 * 4 - 1)
    np.testing.assert_array_equal(sheet[3:5, 4:7], weight[4].double().reshape(2, 3))


def test_confusion_matrix_of_spikes():
    spk, targets = spikes(10, 40, 3), torch.randint(3, (40,))
    answers = [max(range(3), key=lambda i, n=n: n[i]) for n in spk.sum(0).tolist()]
    counts = Counter(zip(targets.tolist(), answers, strict=True))
    ax = splt.confusion_matrix(spk.requires_grad_(), targets, labels=["x", "y", "z"])
    matrix = ax.images[0].get_array()
    assert {cell: matrix[cell] for cell in np.ndindex(3, 3) if matrix[cell]} == counts
    written = {text.get_position()[::-1]: int(text.get_text()) for text in ax.texts}
    assert written == counts
    share = sum(counts[i, i] for i in range(3)) / 40
    assert ax.get_title() == f"accuracy {share:.1%}"
    assert [text.get_text() for text in ax.get_xticklabels()] == ["x", "y", "z"]


def test_confusion_matrix_in_percent():
    ax = splt.confusion_matrix([0, 1, 1, 1], [0, 0, 0, 2], normalize=True)
    expected = [[100 / 3, 200 / 3, 0], [0, 0, 0], [0, 100, 0]]
    np.testing.assert_allclose(ax.images[0].get_array(), expected)


# Training ------------------------------------------------------------------------------------


def test_live_monitor_prints_lines_in_a_terminal(capsys, monkeypatch):
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    monitor = splt.LiveMonitor(every=2)
    for step in range(4):
        loss = torch.tensor([1.0 / (step + 1)], requires_grad=True)
        assert monitor.update(loss=loss, accuracy=step / 3) is None
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        ["1", "loss", "1", "accuracy", "0"],
        ["3", "loss", "0.3333", "accuracy", "0.6667"],
    ]
    assert monitor.history["loss"] == pytest.approx([1, 1 / 2, 1 / 3, 1 / 4])
    assert not plt.get_fignums()


def test_live_monitor_draws_on_given_axes(capsys):
    _, axes = plt.subplots(2)
    monitor = splt.LiveMonitor(every=3, axes=axes)
    for step in range(5):
        drawn = monitor.update(loss=5.0 - step, accuracy=step)
        assert len(drawn[0].lines[-1].get_ydata()) == (1 if step < 3 else 4)
    assert list(drawn) == list(axes)
    monitor.show()
    assert list(axes[0].lines[0].get_ydata()) == [5, 4, 3, 2, 1]
    assert list(axes[1].lines[0].get_xdata()) == [1, 2, 3, 4, 5]
    assert axes[0].get_ylim()[0] <= 1 and axes[0].get_ylim()[1] >= 5
    assert [ax.get_ylabel() for ax in axes] == ["loss", "accuracy"]
    assert capsys.readouterr().out == ""


@pytest.fixture
def notebook(monkeypatch):
    """A notebook that records what is shown: the lines' lengths at each time."""
    shown = []

    class Handle:
        def update(self, figure):
            shown.append(len(figure.axes[0].lines[0].get_ydata()))

    def display(figure, display_id):
        assert display_id
        return Handle()

    shell = types.SimpleNamespace(kernel=None)
    ipython = types.ModuleType("IPython")
    ipython.get_ipython = lambda: shell
    ipython.display = types.ModuleType("IPython.display")
    ipython.display.display = display
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", ipython.display)
    return shown


def test_live_monitor_updates_one_figure_in_a_notebook(notebook, capsys):
    monitor = splt.LiveMonitor()
    for step in range(3):
        axes = monitor.update(loss=step)
    assert notebook == [1, 2, 3]
    assert len(axes) == 1
    assert not plt.get_fignums()  # else the notebook shows the figure twice
    assert capsys.readouterr().out == ""


def test_live_monitor_takes_nothing_if_axes_do_not_fit(capsys):
    monitor = splt.LiveMonitor(axes=plt.subplots()[1])
    for _ in range(2):
        with pytest.raises(ValueError, match="axes holds 1 axes; 2 are needed"):
            monitor.update(loss=1.0, accuracy=0.5)
    assert monitor.history == {} and capsys.readouterr().out == ""
    assert len(monitor.update(loss=1.0)) == 1
    plt.close("all")


@pytest.mark.parametrize("names", [{}, {"other": 1}, {"loss": 1, "more": 2}])
def test_live_monitor_wants_the_same_names(names):
    monitor = splt.LiveMonitor(axes=plt.subplots()[1])
    monitor.update(loss=1)
    with pytest.raises(ValueError, match="loss, the same names"):
        monitor.update(**names)
    with pytest.raises(ValueError, match=r"loss has shape \(2,\)"):
        monitor.update(loss=torch.ones(2))
    assert monitor.history == {"loss": [1]}


# Errors --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda fig, ax: splt.raster(torch.tensor(1.0), ax), r"data has shape \(\)"),
        (lambda fig, ax: splt.animator(torch.ones(5, 1, 4, 4), fig, ax), r"data\[:, 0, 0\]"),
        (lambda fig, ax: splt.animator(torch.ones(5, 4, 4), fig, ax, 6), "data has 5 time steps"),
        (lambda fig, ax: splt.animator(torch.ones(5, 4, 4), fig, ax, -1), "num_steps is -1"),
        (lambda fig, ax: splt.spike_count(torch.ones(5, 1, 3), fig, ax, LABELS), r"\(5, 1, 3\)"),
        (lambda fig, ax: splt.spike_count(torch.ones(5, 2), fig, ax, LABELS), "3 names for 2"),
        (lambda fig, ax: splt.traces(torch.ones(5)), r"data has shape \(5,\)"),
        (lambda fig, ax: splt.traces(torch.ones(5, 4)), r"9 panels for 4 neurons.*dim=\(1, 4\)"),
        (lambda fig, ax: splt.traces(torch.ones(5, 9), torch.ones(5, 8)), r"spk has .*\(5, 8\)"),
        (
            lambda fig, ax: splt.cur_mem_spk(torch.ones(5), torch.ones(7), torch.ones(5)),
            "cur 5, mem 7, spk 5",
        ),
        (
            lambda fig, ax: splt.cur_mem_spk(*torch.ones(3, 5), axes=[ax]),
            "axes holds 1 axes; 3 are needed",
        ),
        (lambda fig, ax: splt.network_raster([]), "steps are missing"),
        (lambda fig, ax: splt.network_raster([torch.ones(5), torch.ones(4)]), "layer 1 4;"),
        (lambda fig, ax: splt.activity(torch.ones(5, 2), window=0), "window is 0"),
        (lambda fig, ax: splt.weights(torch.ones(5)), r"weight has shape \(5,\)"),
        (lambda fig, ax: splt.weights(torch.ones(5, 6), shape=(2, 2)), "4 pixels for 6 weights"),
        (lambda fig, ax: splt.confusion_matrix([0, 1], [0]), r"shape \(2,\) for .* \(1,\)"),
        (lambda fig, ax: splt.confusion_matrix([0, 3], [0, 1], labels=LABELS), "above 2"),
        (lambda fig, ax: splt.confusion_matrix([0, -1], [0, 1]), "below 0"),
        (
            lambda fig, ax: splt.confusion_matrix(torch.ones(5, 2, 4), [0, 1], labels=LABELS),
            "labels holds 3 names; 4 are needed",
        ),
        (lambda fig, ax: splt.confusion_matrix([0.0, 1], [0, 1]), "expected integers"),
    ],
)
def test_errors_say_what_is_wrong(call, message):
    with pytest.raises(ValueError, match=message):
        call(*plt.subplots())


def test_text_is_no_data():
    with pytest.raises(TypeError, match="data is a list of <U1; expected real numbers"):
        splt.raster(["a"], plt.subplots()[1])


# Looks ---------------------------------------------------------------------------------------


def drawn_texts(figure):
    for ax in figure.axes:
        legend = ax.get_legend()
        texts = [ax.title, ax._left_title, *ax.texts, *(legend.get_texts() if legend else ())]
        if ax.axison:
            texts += [ax.xaxis.label, ax.yaxis.label]
            for axis in (ax.xaxis, ax.yaxis):
                low, high = sorted(axis.get_view_interval())
                texts += [
                    text
                    for tick in axis.get_major_ticks()
                    for text in (tick.label1, tick.label2)
                    if low <= tick.get_loc() <= high
                ]
        yield from (text for text in texts if text.get_visible() and text.get_text())


def check_texts(figure):
    """No text is cut off, and none touches another."""
    figure.canvas.draw()
    boxes = [(text.get_text(), text.get_window_extent()) for text in drawn_texts(figure)]
    assert boxes
    whole = figure.bbox.padded(1)
    for text, box in boxes:
        assert whole.containsx(box.x0) and whole.containsx(box.x1), text
        assert whole.containsy(box.y0) and whole.containsy(box.y1), text
    for (one, a), (other, b) in itertools.combinations(boxes, 2):
        overlap = min(a.x1, b.x1) - max(a.x0, b.x0), min(a.y1, b.y1) - max(a.y0, b.y0)
        assert min(overlap) < 1.5, (one, other)


scenes = pytest.mark.parametrize("name", gallery.SCENES)


@scenes
def test_pictures_are_those_of_the_gallery(name, tmp_path):
    figure, path = gallery.draw(gallery.SCENES[name], gallery.NOTEBOOK), tmp_path / f"{name}.png"
    figure.savefig(path)
    expected = gallery.FOLDER / f"{name}.png"
    assert expected.stat().st_size < 40_000
    # A missing threshold line makes 6. Other releases of matplotlib give texts, and so axes, other
    # sizes.
    if matplotlib.__version__.startswith("3.11."):
        assert compare_images(expected, path, tol=3) is None
    check_texts(figure)


@pytest.mark.slow
@scenes
def test_pictures_fit_one_column_of_a_paper(name):
    check_texts(gallery.draw(gallery.SCENES[name], gallery.PAPER))


def test_figures_are_made_where_none_are_given():
    data = spikes(20, 5)
    for draw in (splt.membrane_map, splt.activity, splt.rate_histogram, splt.isi_histogram):
        before = set(plt.get_fignums())
        ax = draw(data)
        assert {ax.figure.number} == set(plt.get_fignums()) - before
        assert draw(data, ax=plt.subplots()[1]) is plt.gca()


# Installation --------------------------------------------------------------------------------


@pytest.mark.parametrize("library", ["matplotlib", "celluloid"])
def test_without_the_library_the_import_works_and_a_call_says_what_to_install(library):
    code = f"""
import sys
sys.modules[{library!r}] = None
import torch, snntorch as snn
assert snn.spikeplot.PALETTE
calls = [lambda: snn.spikeplot.Camera]
if {library!r} == "matplotlib":
    calls += [lambda: snn.spikeplot.activity(torch.ones(3, 2))]
    calls += [lambda: snn.spikeplot.traces(torch.ones(3, 9))]
for call in calls:
    try:
        call()
    except ImportError as error:
        print(error)
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == (3 if library == "matplotlib" else 1)
    assert all(line.endswith(f"pip install {library}") for line in lines)


def test_camera_is_that_of_celluloid():
    import celluloid

    assert splt.Camera is celluloid.Camera
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = splt.nothing


def test_videos_for_notebooks():
    """An animation becomes a video in the page, as the tutorials do it."""
    ffmpeg = pytest.importorskip("imageio_ffmpeg", reason="needs imageio-ffmpeg")
    html = pytest.importorskip("IPython.display", reason="needs IPython").HTML
    plt.rcParams["animation.ffmpeg_path"] = ffmpeg.get_ffmpeg_exe()
    fig, ax = plt.subplots()
    video = html(splt.animator(spikes(4, 8, 8), fig, ax).to_html5_video())
    assert video.data.startswith("<video") and "data:video/mp4;base64" in video.data


def test_recorded_states_can_be_drawn_as_they_are():
    """Lists over time, with gradients, straight from a loop."""
    lif = snn.Leaky(beta=torch.tensor(0.9, requires_grad=True), learn_beta=True)
    mem, cur, mems, spks = lif.init_leaky(), torch.full((15, 1), 0.3), [], []
    for step in cur:
        spk, mem = lif(step, mem)
        mems.append(mem)
        spks.append(spk)
    axes = splt.cur_mem_spk(cur, mems, spks, threshold=lif.threshold)
    expected = torch.stack(mems).detach()[:, 0]
    np.testing.assert_array_equal(axes[1].lines[0].get_ydata(), expected)

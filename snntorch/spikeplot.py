"""Plots of spikes, membranes, weights and training.

Data are arrays, or tensors on any device, with or without gradients; time comes first. ``raster``,
``animator``, ``spike_count`` and ``traces`` draw as in 1.0.0. The others draw on the axes that you
pass, or on a new figure, and return the axes.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from ._checks import check_count

if TYPE_CHECKING:
    from celluloid import Camera
    from matplotlib.animation import ArtistAnimation
    from matplotlib.axes import Axes
    from matplotlib.collections import PathCollection
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike, NDArray

__all__ = [
    "PALETTE",
    "Camera",
    "LiveMonitor",
    "activity",
    "animator",
    "confusion_matrix",
    "cur_mem_spk",
    "isi_histogram",
    "membrane_map",
    "network_raster",
    "raster",
    "rate_histogram",
    "spike_count",
    "traces",
    "weights",
]

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Colors for color-blind readers. M. Okabe and K. Ito, *Color Universal Design*, 2008."""

_BLUE, _RED, _GREY = PALETTE[0], PALETTE[1], "#666666"


def __getattr__(name: str) -> Any:
    if name == "Camera":
        return _camera()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


# Shared ---------------------------------------------------------------------------------------


def _missing(library: str, error: ImportError) -> ModuleNotFoundError:
    return ModuleNotFoundError(
        f"snntorch.spikeplot draws with {library}, which cannot be imported ({error}): "
        f"pip install {library}",
        name=library,
    )


def _pyplot() -> Any:
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise _missing("matplotlib", error) from error
    return plt


def _camera() -> Any:
    _pyplot()
    try:
        from celluloid import Camera
    except ImportError as error:
        raise _missing("celluloid", error) from error
    return Camera


def _array(name: str, data: Tensor | ArrayLike) -> NDArray[Any]:
    """Return data as an array of real numbers."""
    if isinstance(data, Tensor):
        data = data.detach().cpu()
        # NumPy has no bfloat16; nothing is lost.
        array = (
            data.float() if data.is_floating_point() and data.element_size() < 4 else data
        ).numpy()
    elif isinstance(data, list | tuple) and any(isinstance(each, Tensor) for each in data):
        array = np.stack([_array(name, each) for each in data])
    else:
        array = np.asarray(data)
    if array.dtype.kind not in "biuf":
        raise TypeError(
            f"{name} is a {type(data).__name__} of {array.dtype}; expected real numbers in a "
            "tensor, an array or a list over time."
        )
    return array


def _over_time(name: str, data: Tensor | ArrayLike) -> NDArray[Any]:
    """Return data as [T, N], with all axes after the time flattened into one."""
    array = _array(name, data)
    if not array.ndim or not array.size:
        raise ValueError(
            f"{name} has shape {array.shape}; expected at least one time step of one neuron, "
            "[T, ...]."
        )
    return array.reshape(len(array), -1)


def _axes(ax: Axes | None) -> Axes:
    if ax is None:
        _, ax = _pyplot().subplots(layout="constrained")
    return ax


def _panels(
    axes: Any, count: int, heights: Sequence[float] | None = None, sharex: bool = True
) -> NDArray[Any]:
    """Return the given axes, or new ones below each other, by default with a shared time axis."""
    if axes is None:
        ratios = {"height_ratios": heights or [1] * count}
        grid = {"squeeze": False, "sharex": sharex, "layout": "constrained"}
        _, axes = _pyplot().subplots(count, 1, **grid, gridspec_kw=ratios)
    axes = np.atleast_1d(np.asarray(axes, dtype=object)).ravel()
    if len(axes) != count:
        raise ValueError(f"axes holds {len(axes)} axes; {count} are needed, one for each panel.")
    return axes


def _tidy(ax: Axes, **labels: Any) -> Axes:
    ax.spines[["top", "right"]].set_visible(False)
    ax.set(**labels)
    return ax


def _whole_numbers(axis: Any, most: int = 6) -> None:
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(most, steps=[1, 2, 5, 10], integer=True))


def _points(ax: Axes) -> tuple[float, float]:
    """Width and height of axes in points."""
    box, dpi = ax.get_window_extent(), ax.figure.dpi
    return 72 * box.width / dpi, 72 * box.height / dpi


def _bar(ax: Axes, image: Any, colorbar: bool, label: str) -> None:
    if colorbar:
        ax.figure.colorbar(image, ax=ax, label=label)


def _whole_bins(counts: NDArray[Any], most: int = 40) -> NDArray[Any]:
    """Return the edges of bins with equally many integers in each."""
    first, last = int(counts.min()), int(counts.max())
    width = math.ceil((last - first + 1) / most)
    return np.arange(first - 0.5, last + 0.5 + width, width)


def _spike_lines(ax: Axes, spikes: NDArray[Any], color: str) -> None:
    """Draw spikes as strokes, with one row for each neuron."""
    time, neuron = spikes.nonzero()
    ax.vlines(time, neuron - 0.4, neuron + 0.4, color=color, linewidth=1.2)
    ax.set_ylim(-0.5, spikes.shape[1] - 0.5)
    _first_and_last(ax, spikes.shape[1])


def _first_and_last(ax: Axes, neurons: int) -> None:
    """Set the ticks that fit into the lowest panel."""
    ax.set_yticks([] if neurons == 1 else [0, neurons - 1])


# Plots of 1.0.0 -------------------------------------------------------------------------------


def raster(data: Tensor | ArrayLike, ax: Axes, **kwargs: Any) -> PathCollection:
    """Draw a dot for each spike, with time to the right and neurons upwards.

    The axes span the spikes unless you set limits: ``ax.set(xlim=(0, 99))`` also shows the silent
    steps.

    :param data: spikes, shape [T] or [T, N]; all axes after the time are flattened into one axis of
        neurons. Every nonzero value is a spike.
    :param ax: axes to draw on
    :param kwargs: passed on to ``ax.scatter``, such as ``s`` (area of a marker in points squared),
        ``c`` and ``marker``
    :returns: the markers.
    :raises ValueError: if the data have no time axis.
    """
    spikes = _array("data", data)
    if not spikes.ndim:
        raise ValueError("data has shape (); expected spikes over time, [T, ...].")
    time, neuron = spikes.reshape(len(spikes), math.prod(spikes.shape[1:])).nonzero()
    if len(time) > 20_000:  # PDF viewers cannot open a million paths
        kwargs.setdefault("rasterized", True)
    return ax.scatter(time, neuron, **kwargs)


def animator(
    data: Tensor | ArrayLike,
    fig: Figure,
    ax: Axes,
    num_steps: int | bool = False,
    interval: float = 40,
    cmap: str = "plasma",
) -> ArtistAnimation:
    """Animate images over time.

    ``animation.save("spikes.gif", writer="pillow")`` needs no other program;
    ``animation.to_html5_video()`` needs ffmpeg.

    :param data: images, shape [T, H, W], or [T, H, W, 3] in color. All frames share the color map,
        from the smallest value to the largest.
    :param fig: figure that holds the axes
    :param ax: axes to draw on
    :param num_steps: number of steps to show. Default: ``False``, for all
    :param interval: time between frames in milliseconds. Default: ``40``
    :param cmap: name of the color map. Default: ``"plasma"``
    :returns: the animation; keep it in a variable until it is shown or saved.
    :raises ValueError: if the data are not images over time or have fewer than ``num_steps`` steps.
    """
    images = _array("data", data)
    colored = images.ndim == 4 and images.shape[-1] == 3
    if (images.ndim != 3 and not colored) or not images.size:
        raise ValueError(
            f"data has shape {images.shape}; expected images over time, [T, H, W]: choose one "
            "sample and one channel, such as data[:, 0, 0]."
        )
    num_steps = _steps(num_steps, len(images))
    if num_steps > len(images):
        raise ValueError(f"num_steps is {num_steps}; data has {len(images)} time steps.")
    images = images[:num_steps]
    limits = np.nanmin(images), np.nanmax(images)
    camera = _camera()(fig)
    ax.axis("off")
    for image in images:
        ax.imshow(image, cmap=cmap, vmin=limits[0], vmax=limits[1])
        camera.snap()
    return camera.animate(interval=interval)


def _steps(num_steps: int | bool, available: int) -> int:
    return check_count("num_steps", num_steps, 1) if num_steps else available


def spike_count(
    data: Tensor | ArrayLike,
    fig: Figure,
    ax: Axes,
    labels: Sequence[str],
    num_steps: int | bool = False,
    animate: bool = False,
    interpolate: int = 1,
    gridshader: bool = True,
    interval: float = 25,
    time_step: float | bool = False,
) -> ArtistAnimation | None:
    """Draw how often each output neuron fired as a bar, or animate the growing bars.

    :param data: spikes of one sample, shape [T, N]
    :param fig: figure that holds the axes
    :param ax: axes to draw on
    :param labels: names of the N neurons
    :param num_steps: number of steps to count. Default: ``False``, for all
    :param animate: whether to animate the counts. Default: ``False``
    :param interpolate: frames per time step; the line that marks the time moves in each of them.
        Default: ``1``
    :param gridshader: whether to shade every other interval of the time axis. Default: ``True``
    :param interval: time between frames in milliseconds. Default: ``25``
    :param time_step: length of a step in seconds, for an axis in seconds. Default: ``False``, for
        an axis in steps
    :returns: the animation; keep it in a variable until it is shown or saved. None without
        ``animate``.
    :raises ValueError: if the data are not [T, N], or there are not N labels.
    """
    spikes = _array("data", data)
    if spikes.ndim != 2 or not spikes.size:
        raise ValueError(
            f"data has shape {spikes.shape}; expected the spikes of one sample, [T, N], such as "
            "spk_rec[:, 0]."
        )
    if len(labels) != spikes.shape[1]:
        raise ValueError(
            f"labels holds {len(labels)} names for {spikes.shape[1]} neurons; expected one each."
        )
    interpolate = check_count("interpolate", interpolate, 1)
    num_steps = _steps(num_steps, len(spikes))
    unit = 1 if time_step is False else time_step
    # Row t holds the counts after t steps.
    counts = unit * np.vstack([np.zeros(len(labels)), spikes[:num_steps].cumsum(0, dtype=float)])
    rows = np.arange(1, len(labels) + 1)
    xlabel = "Time Step" if time_step is False else "Time [s]"
    ax.set(xlim=(0, unit * num_steps), xlabel=xlabel, ylabel="Labels")
    ax.set_yticks(rows, labels)
    ticks = ax.get_xticks()

    def draw(count: NDArray[Any]) -> None:
        if gridshader:
            for start, end in zip(ticks[1::2], ticks[2::2], strict=False):
                ax.axvspan(start, end, facecolor="lightgrey", alpha=0.7, zorder=0)
        ax.hlines(rows, 0, count, color="#007ACC", alpha=0.5, linewidth=8)
        ax.plot(count, rows, "o", color="#007ACC", alpha=0.6, markersize=8)

    if not animate:
        draw(counts[-1])
        return None
    camera = _camera()(fig)
    for frame in range(1, interpolate * num_steps + 1):
        draw(counts[min(frame // interpolate, len(spikes))])
        ax.axvline(unit * frame / interpolate, color="tab:orange", linewidth=3)
        camera.snap()
    return camera.animate(interval=interval)


def traces(
    data: Tensor | ArrayLike,
    spk: Tensor | ArrayLike | None = None,
    dim: tuple[int, int] = (3, 3),
    spk_height: float = 5,
    titles: Sequence[str] | None = None,
) -> None:
    """Draw the membranes of several neurons, each in a panel of the current figure.

    :param data: membranes, shape [T, N], or [T, N, K] for K lines in each panel
    :param spk: spikes of the same shape, drawn on top of the membranes. Default: ``None``
    :param dim: rows and columns of panels, for the first rows x columns neurons.
        Default: ``(3, 3)``
    :param spk_height: height of a spike above its membrane. Default: ``5``
    :param titles: titles of the first panels. Default: ``None``
    :raises ValueError: if the data are not [T, N] or [T, N, K], shapes differ, or there are fewer
        neurons than panels.
    """
    mem = _array("data", data)
    if mem.ndim not in (2, 3) or not mem.size:
        raise ValueError(
            f"data has shape {mem.shape}; expected the membranes of one sample, [T, N], such as "
            "mem_rec[:, 0]."
        )
    if spk is not None:
        spikes = _array("spk", spk)
        if spikes.shape != mem.shape:
            raise ValueError(f"spk has shape {spikes.shape}; expected that of data, {mem.shape}.")
        mem = mem + spk_height * spikes
    rows, columns = dim
    if rows * columns > mem.shape[1]:
        raise ValueError(
            f"dim is {dim}, {rows * columns} panels for {mem.shape[1]} neurons; expected at most "
            f"one panel each, such as dim=(1, {mem.shape[1]})."
        )
    plt = _pyplot()
    figure, first = plt.gcf(), None
    grid = figure.add_gridspec(rows, columns)
    for i in range(rows * columns):
        ax = figure.add_subplot(grid[i // columns, i % columns], sharex=first, sharey=first)
        first = first or ax
        ax.plot(mem[:, i])
        if titles is not None and i < len(titles):
            ax.set_title(titles[i])
        ax.axis("off")


# Neurons --------------------------------------------------------------------------------------


def cur_mem_spk(
    cur: Tensor | ArrayLike,
    mem: Tensor | ArrayLike,
    spk: Tensor | ArrayLike,
    threshold: Tensor | ArrayLike | None = None,
    *,
    syn: Tensor | ArrayLike | None = None,
    spikes_in: bool = False,
    title: str | None = None,
    axes: Any = None,
) -> NDArray[Any]:
    """Draw the input, membrane and spikes of some neurons in stacked panels.

    :param cur: input current, shape [T] or [T, ...]
    :param mem: membrane, same shape; a record that begins with the initial state has T + 1 steps
    :param spk: spikes, same shape
    :param threshold: level at which to draw a dashed line, or one for each neuron.
        Default: ``None``, for none
    :param syn: synaptic current, which gets a panel between input and membrane. Default: ``None``
    :param spikes_in: whether to draw the input as spikes. Default: ``False``
    :param title: title above the first panel. Default: ``None``
    :param axes: three axes, or four with ``syn``. Default: ``None``, for a new figure
    :returns: the axes, from top to bottom.
    :raises ValueError: if the number of time steps or of axes does not fit.
    """
    first = "in" if spikes_in else "cur"
    panels = {first: cur, "syn": syn, "mem": mem, "spk": spk}
    arrays = {name: _over_time(name, data) for name, data in panels.items() if data is not None}
    lengths = [len(array) for array in arrays.values()]
    if max(lengths) - min(lengths) > 1:
        steps = ", ".join(f"{name} {len(array)}" for name, array in arrays.items())
        raise ValueError(
            f"the numbers of time steps differ: {steps}; expected the same for all, or one more "
            "where a record begins with the initial state."
        )
    strokes = {"in", "spk"}
    heights = [0.5 if name in strokes else 1.0 for name in arrays]
    axes = _panels(axes, len(arrays), heights)
    for ax, (name, array) in zip(axes, arrays.items(), strict=True):
        if name in strokes:
            _spike_lines(ax, array, "black")
        else:
            ax.set_prop_cycle(color=PALETTE)
            ax.plot(array, linewidth=1.4)
        _tidy(ax, ylabel=name, xlim=(-0.01 * max(lengths), 1.01 * (max(lengths) - 1)))
        if name == "mem" and threshold is not None:
            for level in _array("threshold", threshold).ravel():
                ax.axhline(level, color=_GREY, linestyle="--", linewidth=1, zorder=1)
    if title is not None:
        axes[0].set_title(title)
    axes[0].figure.align_ylabels(axes)
    axes[-1].set_xlabel("time step")
    return axes


def membrane_map(
    mem: Tensor | ArrayLike,
    *,
    threshold: float | None = None,
    cmap: str | None = None,
    colorbar: bool = True,
    ax: Axes | None = None,
) -> Axes:
    """Draw the membranes of many neurons as colors, with time to the right and neurons upwards.

    :param mem: membranes, shape [T, N]; all axes after the time are flattened into neurons
    :param threshold: level around which the colors change from blue to red. Default: ``None``
    :param cmap: name of the color map. Default: ``None``, for ``"cividis"``, or ``"RdBu_r"`` with
        a threshold
    :param colorbar: whether to draw the scale. Default: ``True``
    :param ax: axes to draw on. Default: ``None``, for a new figure
    :returns: the axes.
    :raises ValueError: if there is no time step or no neuron.
    """
    array, ax = _over_time("mem", mem), _axes(ax)
    from matplotlib.colors import CenteredNorm

    norm = None if threshold is None else CenteredNorm(float(threshold))
    options: dict[str, Any] = {
        "aspect": "auto",
        "origin": "lower",
        "interpolation": "nearest",
        "norm": norm,
    }
    cmap = cmap or ("cividis" if threshold is None else "RdBu_r")
    # Resampling the data, not the colors, takes half the time.
    image = ax.imshow(array.T, cmap=cmap, interpolation_stage="data", **options)
    _whole_numbers(ax.yaxis)
    _bar(ax, image, colorbar, "membrane")
    ax.set(xlabel="time step", ylabel="neuron")
    return ax


# Populations ----------------------------------------------------------------------------------


def network_raster(
    layers: Mapping[str, Tensor | ArrayLike] | Sequence[Tensor | ArrayLike], *, axes: Any = None
) -> NDArray[Any]:
    """Draw the spikes of several layers in stacked panels, each with its mean rate.

    :param layers: spikes of one sample by the name of the layer, or a sequence of them, shape
        [T, ...] each
    :param axes: one axes for each layer. Default: ``None``, for a new figure
    :returns: the axes, from top to bottom.
    :raises ValueError: if there is no layer, or the number of time steps or of axes does not fit.
    """
    if not isinstance(layers, Mapping):
        layers = {f"layer {i}": spikes for i, spikes in enumerate(layers)}
    arrays = {name: _over_time(name, spikes) for name, spikes in layers.items()}
    if len({len(spikes) for spikes in arrays.values()}) != 1:
        steps = ", ".join(f"{name} {len(spikes)}" for name, spikes in arrays.items())
        raise ValueError(
            f"the numbers of time steps are {steps or 'missing'}; expected one for all."
        )
    sizes = [spikes.shape[1] for spikes in arrays.values()]
    axes = _panels(axes, len(arrays), [max((n / max(sizes)) ** 0.4, 0.3) for n in sizes])
    for i, (ax, (name, spikes)) in enumerate(zip(axes, arrays.items(), strict=True)):
        color = PALETTE[i % len(PALETTE)]
        if spikes.shape[1] <= 20:
            _spike_lines(ax, spikes, color)
        else:
            row = _points(ax)[1] / spikes.shape[1]
            raster(spikes, ax, color=color, s=min(max(row, 1.2), 6) ** 2, linewidths=0)
            ax.set_ylim(-1, spikes.shape[1])
            _first_and_last(ax, spikes.shape[1])
        rate = np.count_nonzero(spikes) / spikes.size
        _tidy(ax, xlim=(-1, len(spikes)))
        ax.set_title(
            f"{name}: {spikes.shape[1]} neurons, rate {rate:.3f}", loc="left", size="small"
        )
    axes[-1].set_xlabel("time step")
    return axes


def activity(
    spk: Tensor | ArrayLike,
    *,
    window: int = 1,
    label: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    r"""Draw the fraction of a population that fires at each step,

    .. math:: A[t] = \frac{1}{W N} \sum_{t'=t-W+1}^{t} \sum_{i=1}^N [S_i[t'] \ne 0] .

    :param spk: spikes, shape [T, ...]; all axes after the time form one population
    :param window: number of steps :math:`W` to average over; the first steps average over fewer.
        Default: ``1``
    :param label: name of the population in the legend. Default: ``None``
    :param ax: axes to draw on; existing lines stay. Default: ``None``, for a new figure
    :returns: the axes.
    :raises ValueError: if there is no time step or no neuron, or ``window`` is less than 1.
    """
    window = check_count("window", window, 1)
    spikes = _over_time("spk", spk)
    share = np.count_nonzero(spikes, axis=1) / spikes.shape[1]
    total = np.concatenate([np.zeros(window), share.cumsum()])
    width = np.minimum(np.arange(1, len(share) + 1), window)
    mean = (total[window:] - total[:-window]) / width
    ax = _axes(ax)
    color = PALETTE[len(ax.lines) % len(PALETTE)]
    ax.plot(mean, color=color, label=label, linewidth=1.4)
    _tidy(ax, xlabel="time step", ylabel="share that fires")
    ax.set_ylim(bottom=0)
    if label is not None:
        ax.legend(frameon=False)
    return ax


def _mark_mean(ax: Axes, mean: float, label: str) -> None:
    """Mark the mean of a histogram, and make room for the legend above the bars."""
    line = ax.axvline(mean, color=_RED, linestyle="--", label=label)
    legend = ax.legend(loc="upper right", frameon=False, fontsize="small", borderaxespad=0)
    share = min(legend.get_window_extent().height / ax.get_window_extent().height, 0.5)
    ax.margins(y=share / (1 - share))
    line.set_ydata([0, 1 - share])


def rate_histogram(
    spk: Tensor | ArrayLike,
    *,
    bins: Any = None,
    time_step: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw a histogram of the neurons' firing rates.

    :param spk: spikes, shape [T, ...]; all axes after the time form one population
    :param bins: bins as ``ax.hist`` takes them. Default: ``None``, for bins with equally many
        possible rates in each
    :param time_step: length of a step in seconds, for rates in Hz. Default: ``None``, for spikes
        per step
    :param ax: axes to draw on. Default: ``None``, for a new figure
    :returns: the axes.
    :raises ValueError: if there is no time step or no neuron.
    """
    spikes = _over_time("spk", spk)
    counts = np.count_nonzero(spikes, axis=0)
    unit = len(spikes) * (time_step or 1)
    bins = _whole_bins(counts) / unit if bins is None else bins
    ax, silent = _axes(ax), np.mean(counts == 0)
    ax.hist(counts / unit, bins=bins, color=_BLUE, edgecolor="white", linewidth=0.4)
    mean = counts.mean() / unit
    _mark_mean(ax, mean, f"mean {mean:.3g}\n{silent:.0%} silent")
    _whole_numbers(ax.yaxis)
    unit_name = "spikes per step" if time_step is None else "Hz"
    return _tidy(ax, xlabel=f"firing rate ({unit_name})", ylabel="neurons")


def isi_histogram(
    spk: Tensor | ArrayLike,
    *,
    bins: Any = None,
    time_step: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw a histogram of the intervals between a neuron's spikes.

    The legend shows the mean and the coefficient of variation (CV): 0 for regular spikes, about 1
    for a Poisson process at a low rate.

    :param spk: spikes, shape [T, ...]; intervals are computed within each neuron and pooled
    :param bins: bins as ``ax.hist`` takes them. Default: ``None``, for bins with equally many
        possible intervals in each
    :param time_step: length of a step in seconds, for intervals in milliseconds.
        Default: ``None``, for steps
    :param ax: axes to draw on. Default: ``None``, for a new figure
    :returns: the axes; with a note instead of bars if no neuron fires twice.
    :raises ValueError: if there is no time step or no neuron.
    """
    neuron, time = _over_time("spk", spk).T.nonzero()
    intervals = np.diff(time)[np.diff(neuron) == 0]
    ax, unit = _axes(ax), 1 if time_step is None else 1000 * time_step
    unit_name = "time steps" if time_step is None else "ms"
    _tidy(ax, xlabel=f"interval between spikes ({unit_name})", ylabel="intervals")
    if not len(intervals):
        ax.text(0.5, 0.5, "no neuron fires twice", transform=ax.transAxes, ha="center")
        return ax
    bins = _whole_bins(intervals) * unit if bins is None else bins
    ax.hist(intervals * unit, bins=bins, color=_BLUE, edgecolor="white", linewidth=0.4)
    mean, deviation = intervals.mean(), intervals.std()
    _mark_mean(ax, mean * unit, f"mean {mean * unit:.3g}\nCV {deviation / mean:.2f}")
    _whole_numbers(ax.yaxis)
    return ax


# Weights and predictions ----------------------------------------------------------------------


def _tiles(images: NDArray[Any], columns: int) -> NDArray[Any]:
    """Return images [K, H, W] side by side, with gaps between them, as one image."""
    height, width = images.shape[1:]
    rows = math.ceil(len(images) / columns)
    gap = 1 + max(height, width) // 16
    sheet = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap), np.nan)
    for i, image in enumerate(images):
        top, left = (height + gap) * (i // columns), (width + gap) * (i % columns)
        sheet[top : top + height, left : left + width] = image
    return sheet


def weights(
    weight: Tensor | ArrayLike,
    *,
    shape: tuple[int, int] | None = None,
    columns: int | None = None,
    cmap: str = "RdBu_r",
    colorbar: bool = True,
    ax: Axes | None = None,
) -> Axes:
    """Draw weights as colors: blue below zero, white at zero, red above.

    :param weight: weights of a dense layer, shape [N, M], as a matrix; or of a convolution,
        [N, C, H, W] (or [N, C, L]), as a row of kernels for each output channel
    :param shape: height and width of the image that the M weights of each neuron form.
        Default: ``None``
    :param columns: number of images in a row. Default: ``None``, for a row per output channel, or
        roughly a square if there is one image per neuron
    :param cmap: name of the color map. Default: ``"RdBu_r"``
    :param colorbar: whether to draw the scale. Default: ``True``
    :param ax: axes to draw on. Default: ``None``, for a new figure
    :returns: the axes.
    :raises ValueError: if the weights have another shape, or ``shape`` does not fit.
    """
    array = _array("weight", weight).astype(float)
    if array.ndim not in (2, 3, 4) or not array.size or (shape is not None and array.ndim != 2):
        raise ValueError(
            f"weight has shape {array.shape}; expected [N, M], with or without shape=(H, W), or "
            "[N, C, H, W] or [N, C, L] without."
        )
    if shape is not None:
        if math.prod(shape) != array.shape[1]:
            raise ValueError(
                f"shape is {shape}, {math.prod(shape)} pixels for {array.shape[1]} weights."
            )
        array = array.reshape(-1, 1, *shape)
    tiled = array.ndim > 2
    limit = np.abs(array[np.isfinite(array)]).max(initial=0) or 1
    if tiled:
        array = array.reshape(*array.shape[:2], -1, array.shape[-1])
        across = array.shape[1] if array.shape[1] > 1 else math.ceil(math.sqrt(len(array)))
        columns = across if columns is None else check_count("columns", columns, 1)
        array = _tiles(array.reshape(-1, *array.shape[2:]), columns)
    ax = _axes(ax)
    aspect = "equal" if tiled else "auto"
    options: dict[str, Any] = {"cmap": cmap, "vmin": -limit, "vmax": limit, "aspect": aspect}
    image = ax.imshow(array, interpolation="nearest", **options)
    if tiled:
        ax.axis("off")
    else:
        ax.set(xlabel="input", ylabel="neuron")
        _whole_numbers(ax.yaxis)
        _whole_numbers(ax.xaxis)
    _bar(ax, image, colorbar, "weight")
    return ax


def confusion_matrix(
    spk_out: Tensor | ArrayLike,
    targets: Tensor | ArrayLike,
    *,
    labels: Sequence[str] | None = None,
    normalize: bool = False,
    cmap: str = "Blues",
    ax: Axes | None = None,
) -> Axes:
    """Draw a confusion matrix: a row for each true class, a column for each predicted class.

    :param spk_out: output spikes, shape [T, B, C], of which the neuron with the most spikes is the
        predicted class (the first one if tied); or predicted classes, shape [B]
    :param targets: true classes, shape [B]
    :param labels: names of the classes. Default: ``None``, for their numbers
    :param normalize: whether to draw the percentage of each true class instead of the number of
        samples. Default: ``False``
    :param cmap: name of the color map. Default: ``"Blues"``
    :param ax: axes to draw on. Default: ``None``, for a new figure
    :returns: the axes.
    :raises ValueError: if shapes do not fit, a class is not from 0 to C - 1, or there are not as
        many labels.
    """
    answers, truth = _array("spk_out", spk_out), _array("targets", targets)
    classes = 0 if labels is None else len(labels)
    if answers.ndim == 3:
        classes = max(classes, answers.shape[2])
        answers = answers.sum(0).argmax(-1)
    if answers.ndim != 1 or answers.shape != truth.shape or not len(truth):
        raise ValueError(
            f"spk_out gives answers of shape {answers.shape} for targets of shape {truth.shape}; "
            "expected spikes [T, B, C] or classes [B], and targets [B]."
        )
    if answers.dtype.kind not in "iu" or truth.dtype.kind not in "iu":
        raise ValueError(f"classes are {answers.dtype} and {truth.dtype}; expected integers.")
    last = int(max(answers.max(), truth.max()))
    classes = classes or last + 1
    if last >= classes or min(answers.min(), truth.min()) < 0:
        raise ValueError(f"there is a class below 0 or above {classes - 1}; {classes} are known.")
    names = [str(i) for i in range(classes)] if labels is None else labels
    if len(names) != classes:
        raise ValueError(f"labels holds {len(names)} names; {classes} are needed, one per class.")
    matrix = np.zeros((classes, classes))
    np.add.at(matrix, (truth, answers), 1)
    accuracy = matrix.trace() / matrix.sum()
    if normalize:
        matrix *= 100 / np.maximum(matrix.sum(1, keepdims=True), 1)
    ax = _axes(ax)
    ax.imshow(matrix, cmap=cmap, vmin=0, vmax=matrix.max())
    ax.set_xticks(range(classes), names)
    ax.set_yticks(range(classes), names)
    if max(map(len, names)) > 2:
        ax.tick_params("x", rotation=90)
    ax.set(xlabel="answer", ylabel="true class")
    unit = ", rows in %" if normalize else ""
    ax.set_title(f"accuracy {accuracy:.1%}{unit}", size="medium")
    _write_cells(ax, matrix)
    return ax


def _write_cells(ax: Axes, matrix: NDArray[Any]) -> None:
    """Write the nonzero numbers into their cells if they are legible."""
    texts = {cell: f"{matrix[cell]:.0f}" for cell in zip(*matrix.nonzero(), strict=True)}
    room = min(_points(ax)) / len(matrix)  # a digit is about 0.6 of its size wide
    size = min(10.0, 0.8 * room, 0.9 * room / (0.6 * max(map(len, texts.values()))))
    if size < 3.5:
        return
    for (row, column), text in texts.items():
        color = "white" if matrix[row, column] > 0.6 * matrix.max() else "black"
        ax.text(column, row, text, ha="center", va="center", size=size, color=color)


# Training -------------------------------------------------------------------------------------


class LiveMonitor:
    """Plot values such as the loss while training runs; in a terminal, print them instead.

    In a notebook the figure below the cell is replaced at each update. If you pass axes, they are
    drawn on anywhere, such as in a window of ``plt.ion()``. Otherwise the values are printed::

        monitor = splt.LiveMonitor(every=10)
        for data, targets in loader:
            ...
            monitor.update(loss=loss, accuracy=accuracy)

    :param every: draw or print at the first update and at every n-th after it. Default: ``1``
    :param axes: one axes for each value, in the order of the first update. Default: ``None``, for
        a new figure in a notebook, text elsewhere
    :raises ValueError: if ``every`` is less than 1.
    """

    history: dict[str, list[float]]
    """All values by name, in order of the updates."""
    axes: NDArray[Any] | None
    """The axes, from the first update on; None for text."""

    def __init__(self, every: int = 1, *, axes: Any = None) -> None:
        self.every = check_count("every", every, 1)
        self.history, self.axes, self._snn_given = {}, None, axes
        self._display: Any = None
        self._updates = 0

    def update(self, **values: Any) -> NDArray[Any] | None:
        """Record the next values, and show them as often as ``every`` says.

        :param values: numbers or tensors of one element, by name; every call needs the same names
        :returns: the axes; None for text.
        :raises ValueError: if there are no values, other names than in the first call, or a value
            that is not a number.
        """
        if not values or (self._updates and values.keys() != self.history.keys()):
            raise ValueError(
                f"the values are {', '.join(values) or 'missing'}; expected "
                f"{', '.join(self.history) or 'some'}, the same names in every update."
            )
        arrays = {name: _array(name, value) for name, value in values.items()}
        if odd := [name for name, array in arrays.items() if array.size != 1]:
            raise ValueError(f"{odd[0]} has shape {arrays[odd[0]].shape}; expected one number.")
        if not self._updates and (self._snn_given is not None or _in_notebook()):
            self._start(list(values))
        for name, array in arrays.items():
            self.history.setdefault(name, []).append(array.item())
        self._updates += 1
        if (self._updates - 1) % self.every == 0:
            self.show()
        return self.axes

    def show(self) -> None:
        """Show the values so far, regardless of ``every``."""
        if self.axes is None:
            values = "  ".join(f"{name} {each[-1]:.4g}" for name, each in self.history.items())
            print(f"{self._updates:>6}  {values}", flush=True)
            return
        for ax, each in zip(self.axes, self.history.values(), strict=True):
            ax.lines[-1].set_data(range(1, len(each) + 1), each)
            ax.relim()
            ax.autoscale_view()
        figure = self.axes[0].figure
        if self._display is None:
            figure.canvas.draw_idle()
        else:
            self._display.update(figure)

    def _start(self, names: Sequence[str]) -> None:
        self.axes = _panels(self._snn_given, len(names))
        for i, (ax, name) in enumerate(zip(self.axes, names, strict=True)):
            ax.plot([], [], color=PALETTE[i % len(PALETTE)], linewidth=1.4)
            _tidy(ax, ylabel=name)
            _whole_numbers(ax.xaxis)
        self.axes[0].figure.align_ylabels(self.axes)
        self.axes[-1].set_xlabel("update")
        if self._snn_given is None:
            from IPython.display import display

            figure = self.axes[0].figure
            self._display = display(figure, display_id=True)
            _pyplot().close(figure)  # or the notebook shows it once more at the end of the cell


def _in_notebook() -> bool:
    """Tell whether this is a notebook; IPython in a terminal has no kernel."""
    ipython = sys.modules.get("IPython")
    return ipython is not None and hasattr(ipython.get_ipython(), "kernel")

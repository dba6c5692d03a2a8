"""Draw the plots of the gallery into docs/_static/gallery.

The tests compare the library's current plots with the images in that folder. After an intended
change, run this script and look at each image that changed.
"""

import argparse
import io
from pathlib import Path

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import torch
from PIL import Image
from torch import nn

import snntorch as snn
import snntorch.spikeplot as splt
from snntorch import spikegen, surrogate

FOLDER = Path(__file__).parent / "_static" / "gallery"
NOTEBOOK = {"figsize": (6, 4), "dpi": 100}
PAPER = {"figsize": (3.3, 2.5), "dpi": 200}  # one column


def simulate():
    """Return input, hidden and output spikes and output membranes of a network, [T, N] each."""
    spk_in = spikegen.rate_conv(0.3 * torch.rand(200)[None].expand(100, 200))
    hidden, output = nn.Linear(200, 100), nn.Linear(100, 10)
    with torch.no_grad():
        hidden.weight.mul_(3)
        output.weight.mul_(4)
    spk, _ = snn.unroll(snn.Leaky(0.9), hidden(spk_in)[:, None])
    spk_out, mem_out = snn.unroll(snn.Leaky(0.9), output(spk))
    return spk_in, spk[:, 0], spk_out[:, 0], mem_out[:, 0]


def moving_dots(num_steps=20, size=28):
    """Return images [T, H, W] of spikes along a diagonal that moves."""
    row, column = torch.arange(size)[:, None], torch.arange(size)
    distance = ((row + column)[None] - 2.5 * torch.arange(num_steps)[:, None, None]).abs()
    return spikegen.rate_conv(torch.exp(-distance / 4))


def raster(size):
    fig, ax = plt.subplots(layout="constrained", **size)
    splt.raster(simulate()[0], ax, s=1.5, c="black")
    ax.set(xlabel="time step", ylabel="neuron", title="input spikes")
    return fig


def traces(size):
    fig = plt.figure(layout="constrained", **size)
    _, _, spk, mem = simulate()
    splt.traces(mem, spk=spk, spk_height=2, titles=[f"neuron {i}" for i in range(9)])
    return fig


def spike_count(size):
    fig, ax = plt.subplots(layout="constrained", **size)
    splt.spike_count(simulate()[2], fig, ax, labels=[str(i) for i in range(10)])
    return fig


def spike_count_animation(size):
    fig, ax = plt.subplots(layout="constrained", **size)
    labels = [str(i) for i in range(10)]
    spk = simulate()[2]
    return splt.spike_count(spk, fig, ax, labels, num_steps=20, animate=True, interval=80)


def animator(size):
    fig, ax = plt.subplots(layout="constrained", **size)
    return splt.animator(moving_dots(), fig, ax, interval=80)


def cur_mem_spk(size):
    fig = plt.figure(layout="constrained", **size)
    cur = torch.cat([torch.zeros(10), torch.full((90,), 0.21)])[:, None]
    spk, mem = snn.unroll(snn.Leaky(0.8), cur)
    axes = fig.subplots(3, sharex=True, height_ratios=[1, 1, 0.5])
    splt.cur_mem_spk(cur, mem, spk, threshold=1, title="a leaky neuron", axes=axes)
    return fig


def syn_mem_spk(size):
    fig = plt.figure(layout="constrained", **size)
    spk_in = torch.zeros(100, 1)
    spk_in[::10] = 0.2
    spk, syn, mem = snn.unroll(snn.Synaptic(0.9, 0.8), spk_in)
    axes = fig.subplots(4, sharex=True, height_ratios=[0.5, 1, 1, 0.5])
    splt.cur_mem_spk(spk_in, mem, spk, threshold=1, syn=syn, spikes_in=True, axes=axes)
    return fig


def membrane_map(size):
    fig, ax = plt.subplots(layout="constrained", **size)
    splt.membrane_map(simulate()[3], threshold=1, ax=ax)
    return fig


def network_raster(size):
    fig = plt.figure(layout="constrained", **size)
    spk_in, spk_hidden, spk_out, _ = simulate()
    axes = fig.subplots(3, sharex=True, height_ratios=[1, 0.8, 0.5])
    splt.network_raster({"input": spk_in, "hidden": spk_hidden, "output": spk_out}, axes=axes)
    return fig


def activity(size):
    fig, ax = plt.subplots(layout="constrained", **size)
    spk_in, spk_hidden, _, _ = simulate()
    splt.activity(spk_in, window=5, label="input", ax=ax)
    splt.activity(spk_hidden, window=5, label="hidden", ax=ax)
    return fig


def rate_histogram(size):
    fig, ax = plt.subplots(layout="constrained", **size)
    splt.rate_histogram(simulate()[1], ax=ax)
    return fig


def isi_histogram(size):
    fig, ax = plt.subplots(layout="constrained", **size)
    splt.isi_histogram(simulate()[0], time_step=1e-3, ax=ax)
    return fig


def weights(size):
    fig, ax = plt.subplots(layout="constrained", **size)
    splt.weights(nn.Linear(40, 20).weight, ax=ax)
    return fig


def kernels(size):
    fig, ax = plt.subplots(layout="constrained", **size)
    splt.weights(nn.Conv2d(1, 12, 5).weight, ax=ax)
    return fig


def confusion_matrix(size):
    fig, ax = plt.subplots(layout="constrained", **size)
    targets = torch.randint(10, (1000,))
    wrong = torch.rand(1000) < 0.15
    answers = torch.where(wrong, torch.randint(10, (1000,)), targets)
    splt.confusion_matrix(answers, targets, ax=ax)
    return fig


def live_monitor(size):
    fig, axes = plt.subplots(2, sharex=True, layout="constrained", **size)
    monitor = splt.LiveMonitor(every=60, axes=axes)
    for step in range(60):
        loss = 2.3 * 0.95**step + 0.1 * torch.rand(())
        monitor.update(loss=loss, accuracy=1 - loss / 2.5)
    monitor.show()
    return fig


def summary(size):
    hidden, output = (snn.Leaky(0.9, init_hidden=True) for _ in range(2))
    net = nn.Sequential(nn.Linear(200, 100), hidden, nn.Linear(100, 10), output)
    with torch.no_grad():
        net[0].weight.mul_(3)
        net[2].weight.mul_(4)
    spk_in = spikegen.rate_conv(0.1 * torch.rand(20, 8, 200))
    fig, axes = plt.subplots(2, layout="constrained", **size)
    snn.summary(net, spk_in).plot(axes)
    return fig


def reset(size):
    """Membranes of one neuron with each reset, and a constant input."""
    fig = plt.figure(layout="constrained", **size)
    axes = fig.subplots(2, 2, sharex=True, sharey=True)
    current = torch.full((9, 1), 0.75)
    for row, mechanism in zip(axes, ("subtract", "zero"), strict=True):
        for ax, delay in zip(row, (True, False), strict=True):
            neuron = snn.Leaky(0.5, reset_mechanism=mechanism, reset_delay=delay)
            spk, mem = (record.flatten() for record in snn.unroll(neuron, current))
            steps, fired = torch.arange(len(mem)), spk.bool()
            ax.axhline(1, color="gray", linestyle="--", linewidth=1)
            ax.plot(steps, mem, color=splt.PALETTE[0], linewidth=1)
            if not delay:
                before = mem + spk * (1 if mechanism == "subtract" else 0.5 * mem[0] + 0.75)
                ax.vlines(steps[fired], mem[fired], before[fired], "gray", linestyle=":")
                ax.plot(steps[fired], before[fired], "x", color="gray")
            for chosen, fill in ((fired, splt.PALETTE[1]), (~fired, "white")):
                ax.plot(
                    steps[chosen],
                    mem[chosen],
                    linestyle="",
                    marker="o",
                    markerfacecolor=fill,
                    markeredgecolor=splt.PALETTE[1 if fill != "white" else 0],
                )
            when = "delayed" if delay else "immediate"
            ax.set_title(f"{mechanism}, {when}", fontsize="small")
            ax.set(xticks=range(0, 9, 2), ylim=(-0.1, 1.4), yticks=(0, 1))
    fig.supxlabel("time step")
    fig.supylabel("membrane")
    return fig


def surrogates(size):
    """Slopes of surrogates near the threshold."""
    fig, ax = plt.subplots(layout="constrained", **size)
    slopes = {
        "atan(2)": surrogate.atan(2),
        "fast_sigmoid(5)": surrogate.fast_sigmoid(5),
        "fast_sigmoid(25)": surrogate.fast_sigmoid(25),
        "sigmoid(4)": surrogate.sigmoid(4),
    }
    for color, (name, spike_grad) in zip(splt.PALETTE, slopes.items(), strict=False):
        overdrive = torch.linspace(-1, 1, 401, requires_grad=True)
        spike_grad(overdrive).sum().backward()
        ax.plot(overdrive.detach(), overdrive.grad, color=color, label=name)
    ax.set(xlabel="membrane minus threshold", ylabel="slope")
    fig.legend(loc="outside upper center", ncols=2, fontsize="small")
    return fig


def plan(size):
    """The layers of a network as boxes, with arrows to the next layer and the next step."""
    fig, ax = plt.subplots(layout="constrained", figsize=(size["figsize"][0], 1.6), dpi=size["dpi"])
    layers = {"fc1": "hoist", "lif1": "scan", "fc2": "fold", "lif2": "scan"}
    for place, (name, how) in enumerate(layers.items()):
        color = splt.PALETTE[1 if how == "scan" else 0]
        ax.text(
            place,
            0,
            f"{name}\n{how}",
            ha="center",
            va="center",
            bbox={"boxstyle": "round", "facecolor": "white", "edgecolor": color},
        )
        if place:
            ax.annotate("", (place - 0.3, 0), (place - 0.7, 0), arrowprops={"arrowstyle": "->"})
        if how == "scan":
            ax.annotate(
                "",
                (place - 0.12, 0.3),
                (place + 0.12, 0.3),
                arrowprops={
                    "arrowstyle": "->",
                    "linestyle": "--",
                    "color": color,
                    "connectionstyle": "arc3,rad=1.6",
                },
            )
    ax.set(xlim=(-0.5, 3.5), ylim=(-0.7, 1))
    ax.axis("off")
    return fig


SCENES = {
    scene.__name__: scene
    for scene in (
        raster,
        traces,
        spike_count,
        cur_mem_spk,
        syn_mem_spk,
        membrane_map,
        network_raster,
        activity,
        rate_histogram,
        isi_histogram,
        weights,
        kernels,
        confusion_matrix,
        live_monitor,
        summary,
        reset,
        surrogates,
        plan,
    )
}
ANIMATIONS = {scene.__name__: scene for scene in (animator, spike_count_animation)}


def draw(scene, size):
    """Draw a scene with a fixed seed."""
    torch.manual_seed(0)
    return scene(size)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--paper", action="store_true", help="at the size of one column")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    size = PAPER if args.paper else NOTEBOOK
    for name, scene in SCENES.items():
        figure, image = draw(scene, size), io.BytesIO()
        figure.savefig(image)
        plt.close(figure)
        # A palette makes small files.
        Image.open(image).convert("RGB").quantize(256).save(args.folder / f"{name}.png")
    for name, scene in ANIMATIONS.items():
        draw(scene, {"figsize": (3, 2), "dpi": 100}).save(
            args.folder / f"{name}.gif", writer="pillow"
        )
        plt.close("all")


if __name__ == "__main__":
    main()

"""Time large pictures: a raster of 1,000 steps and 10,000 neurons, an animation saved as gif.

Each is made several times; the table gives the median and the slowest, from the data to the file.
"""

import statistics
import tempfile
import time
from pathlib import Path

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import torch

import snntorch.spikeplot as splt

REPEATS = 5
MEMBRANES = torch.rand(1000, 10_000)
IMAGES = torch.rand(100, 28, 28)
SPIKES = torch.rand(100, 10).round()


def raster(rate):
    spikes = (torch.rand(1000, 10_000) < rate).float()

    def draw(folder):
        fig, ax = plt.subplots(figsize=(6, 4))
        splt.raster(spikes, ax, c="black")
        fig.savefig(folder / "raster.png")

    return draw


def membranes(folder):
    splt.membrane_map(MEMBRANES).figure.savefig(folder / "membranes.png")


def animation(folder):
    fig, ax = plt.subplots()
    splt.animator(IMAGES, fig, ax).save(folder / "spikes.gif", writer="pillow")


def count(folder):
    fig, ax = plt.subplots()
    labels = [str(i) for i in range(10)]
    animated = splt.spike_count(SPIKES, fig, ax, labels, animate=True)
    animated.save(folder / "count.gif", writer="pillow")


PICTURES = {
    "raster 1000 x 10000, 5% spikes": raster(0.05),
    "raster 1000 x 10000, 30% spikes": raster(0.3),
    "membrane map 1000 x 10000": membranes,
    "animation 100 frames of 28 x 28, gif": animation,
    "spike count 100 frames, gif": count,
}


def main():
    print(f"matplotlib {matplotlib.__version__}, torch {torch.__version__}")
    for name, draw in PICTURES.items():
        times = []
        with tempfile.TemporaryDirectory() as folder:
            for _ in range(REPEATS):
                start = time.perf_counter()
                draw(Path(folder))
                times.append(time.perf_counter() - start)
                plt.close("all")
        print(f"{name:<40}{statistics.median(times):7.2f} s{max(times):7.2f} s")


if __name__ == "__main__":
    main()

"""Train a convolutional spiking network to read handwritten digits.

Without arguments it learns from the small part of MNIST that comes with the library.
`--data FOLDER` takes any folder with the four IDX files of MNIST, gzipped or plain.
"""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader
from tqdm import tqdm

import snntorch as snn
from snntorch import datasets, surrogate
from snntorch import functional as SF

HERE = Path(__file__).resolve().parent
BLUE, RED, GREY = "#0072B2", "#D55E00", "#999999"  # distinguishable for color-blind readers
plt.switch_backend("agg")  # figures go to files; no display needed
plt.rc("axes.spines", top=False, right=False)


class Net(nn.Module):
    """Two spiking convolutions and ten output neurons, one per class."""

    def __init__(self, beta=0.9):
        super().__init__()
        neuron = {"beta": beta, "spike_grad": surrogate.fast_sigmoid()}
        self.conv1, self.lif1 = nn.Conv2d(1, 8, 5), snn.Leaky(**neuron)
        self.conv2, self.lif2 = nn.Conv2d(8, 16, 5), snn.Leaky(**neuron)
        self.fc, self.lif3 = nn.Linear(16 * 4 * 4, 10), snn.Leaky(**neuron)

    def forward(self, digits, num_steps):
        """Show digits for some steps; return output spikes and membranes [T, B, 10]."""
        mem1, mem2, mem3 = (lif.init_leaky() for lif in (self.lif1, self.lif2, self.lif3))
        spikes, membranes = [], []
        for _ in range(num_steps):
            spk1, mem1 = self.lif1(F.max_pool2d(self.conv1(digits), 2), mem1)
            spk2, mem2 = self.lif2(F.max_pool2d(self.conv2(spk1), 2), mem2)
            spk3, mem3 = self.lif3(self.fc(spk2.flatten(1)), mem3)
            spikes.append(spk3)
            membranes.append(mem3)
        return torch.stack(spikes), torch.stack(membranes)


def train(net, loader, num_epochs, num_steps, device):
    """Train `net` and return the loss of every batch."""
    # The neuron of the right digit should fire in 80% of the steps, the others in 20%.
    loss_fn = SF.mse_count_loss(correct_rate=0.8, incorrect_rate=0.2)
    optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
    losses = []
    net.train()
    for epoch in range(num_epochs):
        progress = tqdm(loader, desc=f"Epoch {epoch + 1}/{num_epochs}", unit="batch")
        for digits, targets in progress:
            digits, targets = digits.to(device), targets.to(device)
            spikes, _ = net(digits, num_steps)
            loss = loss_fn(spikes, targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
            accuracy = SF.accuracy_rate(spikes, targets)
            progress.set_postfix(loss=f"{losses[-1]:.2f}", accuracy=f"{accuracy:.1%}")
    return losses


@torch.no_grad()
def evaluate(net, loader, num_steps, device):
    """Return the fraction of digits whose neuron fires most."""
    net.eval()
    correct = 0
    for digits, targets in loader:
        spikes, _ = net(digits.to(device), num_steps)
        correct += (spikes.sum(0).argmax(1).cpu() == targets).sum().item()
    return correct / len(loader.dataset)


@torch.no_grad()
def draw_answers(net, digits, targets, num_steps, path):
    """Draw the output neurons' responses to three digits read correctly and one misread."""
    records = (*net(digits, num_steps), digits, targets)
    spikes, membranes, digits, targets = (record.cpu().numpy() for record in records)
    counts = spikes.sum(0).astype(int)
    predicted = counts.argmax(1)
    right, wrong = (np.flatnonzero((predicted == targets) == same) for same in (True, False))
    chosen = [*right[:3], *wrong[:1]]
    size = {"figsize": (10, 2.1 * len(chosen)), "width_ratios": [1.25, 2.2, 2.2]}
    layout = {"squeeze": False, "sharex": "col", "layout": "constrained"}
    fig, axes = plt.subplots(len(chosen), 3, **size, **layout)
    axes[0, 1].set(title="output spikes and their count")
    axes[0, 2].set(title="membranes, threshold dashed")
    for (digit, raster, trace), i in zip(axes, chosen, strict=True):
        colours = {**dict.fromkeys(range(10), GREY), predicted[i]: RED, targets[i]: BLUE}
        title = f"target {targets[i]}, predicted {predicted[i]}"
        digit.set_title(title, color=colours[predicted[i]])
        digit.imshow(digits[i, 0], cmap="gray_r")
        digit.axis("off")
        for neuron, colour in colours.items():
            front = colour != GREY
            times = np.flatnonzero(spikes[:, i, neuron]) + 1
            raster.vlines(times, neuron - 0.4, neuron + 0.4, color=colour, linewidth=2)
            raster.text(num_steps + 2, neuron, counts[i, neuron], color=colour, va="center")
            style = {"color": colour, "linewidth": 1 + front, "zorder": 2 + front}
            trace.plot(range(1, num_steps + 1), membranes[:, i, neuron], **style)
        raster.set(xlim=(0, num_steps + 1), yticks=range(10), ylabel="neuron")
        trace.set(xlim=(0, num_steps + 1))
        trace.axhline(net.lif3.threshold.item(), color="black", linestyle="--", linewidth=1)
    axes[-1, 1].set(xlabel="time step")
    axes[-1, 2].set(xlabel="time step")
    fig.savefig(path, dpi=100)
    plt.close(fig)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder of the full MNIST; default: a part of it")
    parser.add_argument("--epochs", type=int, help="default: enough for 25,000 digits, at least 1")
    parser.add_argument("--steps", type=int, default=25, help="time steps for each digit")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=HERE / "output", help="for the figure")
    args = parser.parse_args(argv)
    if min(args.steps, args.batch_size) < 1:
        parser.error("--steps and --batch-size: expected 1 or more")
    try:
        train_set = datasets.mnist(root=args.data)
        test_set = datasets.mnist(train=False, root=args.data)
    except ValueError as error:
        parser.error(f"--data: {error}")

    torch.manual_seed(args.seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    device = "mps" if torch.backends.mps.is_available() else device
    net = snn.compile(Net().to(device))  # the same network, several times faster
    num_epochs = max(1, 25_000 // len(train_set)) if args.epochs is None else args.epochs
    train_loader = DataLoader(train_set, args.batch_size, shuffle=True)
    losses = train(net, train_loader, num_epochs, args.steps, device)
    accuracy = evaluate(net, DataLoader(test_set, args.batch_size), args.steps, device)

    args.output.mkdir(parents=True, exist_ok=True)
    path = args.output / "quickstart.png"
    digits, targets = test_set[:200]
    draw_answers(net, digits.to(device), targets, args.steps, path)
    print(f"Test accuracy: {accuracy:.2%}")
    print(f"Picture: {path}")
    return losses, accuracy


if __name__ == "__main__":
    main()

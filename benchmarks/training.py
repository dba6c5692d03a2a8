"""Train the networks of the tutorials and print how well they do; runs with 1.0.0 too.

The folder of ``--data`` has the IDX files of MNIST, or of Fashion-MNIST for ``population``.
"""

import argparse
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any

import torch
from networks import BATCH, TIME, outputs, quickstart
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

import snntorch as snn
from snntorch import backprop, datasets, surrogate
from snntorch import functional as SF


def train(
    net: nn.Module,
    batches: Iterable,
    optimizer: torch.optim.Optimizer,
    loss_fn: Callable[[Tensor, Tensor, Tensor], Tensor],
    num_steps: int | None = None,
) -> None:
    """Update a network by each batch once; the loss is of spikes, membranes and targets."""
    net.train()
    for x, targets in batches:
        loss = loss_fn(*outputs(net, x, num_steps), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


@torch.no_grad()
def accuracy(net: nn.Module, data: Path | None, num_steps: int, **population: Any) -> str:
    """Return the share of the test images for whose class most spikes are fired."""
    net.eval()
    images, right = datasets.mnist(False, data), 0.0
    for x, targets in DataLoader(images, BATCH):
        spikes, _ = outputs(net, x, num_steps)
        right += SF.accuracy_rate(spikes, targets, **population) * len(targets)
    return f"test accuracy {right / len(images):.2%}"


def tutorial5(data: Path | None) -> Iterator[str]:
    """Train a dense network on its membranes at every step: on one batch, then for an epoch."""
    neuron = {"beta": 0.95, "init_hidden": True}
    layers = [nn.Flatten(), nn.Linear(784, 1000), snn.Leaky(**neuron)]
    net = nn.Sequential(*layers, nn.Linear(1000, 10), snn.Leaky(**neuron, output=True))
    loader = DataLoader(datasets.mnist(root=data), BATCH, shuffle=True, drop_last=True)
    optimizer = torch.optim.Adam(net.parameters(), lr=5e-4)

    def loss_fn(_: Tensor, membranes: Tensor, targets: Tensor) -> Tensor:
        return torch.stack([F.cross_entropy(mem, targets) for mem in membranes]).sum()

    # The tutorial explains a step with its own update.
    train(net, chain(islice(loader, 1), loader), optimizer, loss_fn, 25)
    yield accuracy(net, data, 25)


def tutorial6(data: Path | None) -> Iterator[str]:
    """Train a convolutional network for 150 iterations on its spike rates."""
    neuron = {"beta": 0.5, "spike_grad": surrogate.fast_sigmoid(slope=25), "init_hidden": True}
    layers = [nn.Conv2d(1, 12, 5), nn.MaxPool2d(2), snn.Leaky(**neuron)]
    layers += [nn.Conv2d(12, 64, 5), nn.MaxPool2d(2), snn.Leaky(**neuron), nn.Flatten()]
    net = nn.Sequential(*layers, nn.Linear(1024, 10), snn.Leaky(**neuron, output=True))
    loader = DataLoader(datasets.mnist(root=data), BATCH, shuffle=True, drop_last=True)
    optimizer, rate_loss = torch.optim.Adam(net.parameters(), lr=1e-2), SF.ce_rate_loss()
    batches = islice(loader, 150)
    train(net, batches, optimizer, lambda spikes, _, targets: rate_loss(spikes, targets), 50)
    yield accuracy(net, data, 50)


def population(data: Path | None) -> Iterator[str]:
    """Train networks with one neuron for each class, and with fifty, to answer in one step."""
    loader = DataLoader(datasets.mnist(root=data), BATCH, shuffle=True)
    neuron = {"beta": 0.9, "spike_grad": surrogate.fast_sigmoid(), "init_hidden": True}
    for neurons, code in (10, {}), (500, {"population_code": True, "num_classes": 10}):
        layers = [nn.Flatten(), nn.Linear(784, 128), snn.Leaky(**neuron)]
        net = nn.Sequential(*layers, nn.Linear(128, neurons), snn.Leaky(**neuron, output=True))
        optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
        loss_fn = SF.mse_count_loss(correct_rate=1.0, incorrect_rate=0.0, **code)
        for _ in range(2):
            backprop.BPTT(net, loader, optimizer, loss_fn, num_steps=1, time_var=False)
        yield f"{neurons} output neurons: {accuracy(net, data, 1, **code)}"


def regression(_: Path) -> Iterator[str]:
    """Train a network for 100 iterations to follow a square root with its membrane."""
    line = torch.linspace(0, float(torch.rand(1)), 50).reshape(50, 1, 1)
    curve = torch.sqrt(line * torch.rand(1))
    neuron = {"learn_beta": True, "spike_grad": surrogate.fast_sigmoid(), "init_hidden": True}
    net = nn.Sequential()
    for inputs in 1, 128:
        beta, threshold = torch.rand(128), torch.rand(128)
        net.append(nn.Linear(inputs, 128))
        net.append(snn.Leaky(beta, threshold=threshold, **neuron))
    beta = torch.rand(1)
    net.append(nn.Linear(128, 1))
    net.append(snn.Leaky(beta, reset_mechanism="none", output=True, **neuron))
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    train(net, [(line, curve)] * 100, optimizer, lambda _, mem, target: F.mse_loss(mem, target))
    with torch.no_grad():
        yield f"L1 error {F.l1_loss(outputs(net, line)[1], curve):.5f}"


def autoencoder(data: Path | None) -> Iterator[str]:
    """Train a network to draw digits again from the spikes of 32 neurons in five steps."""
    neuron = {"beta": 0.5, "spike_grad": surrogate.atan(alpha=2.0), "init_hidden": True}
    net = nn.Sequential()
    for channels in (1, 32), (32, 64), (64, 128):
        net.append(nn.Conv2d(*channels, 3, stride=2, padding=1))
        net.extend([nn.BatchNorm2d(channels[1]), snn.Leaky(**neuron)])
    net.extend([nn.Flatten(), nn.Linear(2048, 32), snn.Leaky(**neuron)])
    net.extend([nn.Linear(32, 2048), snn.Leaky(**neuron), nn.Unflatten(1, (128, 4, 4))])
    up = {"stride": 2, "padding": 1, "output_padding": 1}
    for channels in (128, 64), (64, 32):
        net.extend([snn.Leaky(**neuron), nn.ConvTranspose2d(*channels, 3, **up)])
        net.append(nn.BatchNorm2d(channels[1]))
    net.extend([snn.Leaky(**neuron), nn.ConvTranspose2d(32, 1, 3, **up)])
    net.append(snn.Leaky(**neuron, threshold=20000, output=True))
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-4, weight_decay=1e-3)

    def images(train: bool) -> TensorDataset:
        # The strides of the convolutions ask for 32 x 32 pixels; the images are the targets.
        pixels = F.interpolate(datasets.mnist(train, data).tensors[0], size=32, mode="bilinear")
        return TensorDataset(pixels, pixels)

    def loss_fn(_: Tensor, membranes: Tensor, targets: Tensor) -> Tensor:
        return F.mse_loss(membranes[-1], targets)

    loader, tests = DataLoader(images(True), 250, shuffle=True), DataLoader(images(False), 250)
    for epoch in range(1, 11):
        train(net, loader, optimizer, loss_fn, 5)
        net.eval()
        with torch.no_grad():
            losses = [loss_fn(*outputs(net, x, 5), targets) for x, targets in tests]
        yield f"epoch {epoch}: test error {torch.stack(losses).mean():.4f}"


def bptt() -> Callable[[], None]:
    """Return an epoch of BPTT on two batches, for the harness."""
    torch.manual_seed(0)
    net, batches = quickstart(), list(islice(DataLoader(datasets.mnist(), BATCH), 2))
    optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
    loss_fn = SF.mse_count_loss(correct_rate=0.8, incorrect_rate=0.2)

    def work() -> None:
        backprop.BPTT(net, batches, optimizer, loss_fn, num_steps=TIME, time_var=False)

    return work


def main() -> None:
    functions = (tutorial5, tutorial6, population, regression, autoencoder)
    experiments = {function.__name__: function for function in functions}
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=experiments)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data", type=Path, help="default: a part of MNIST")
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    for result in experiments[args.name](args.data):
        print(f"seed {args.seed}: {result}", flush=True)


if __name__ == "__main__":
    main()

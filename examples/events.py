"""Train a convolutional spiking network on simulated events of handwritten digits.

A simulated camera looks at the digits with three saccades (`snntorch.saccades`), as a real one did
for N-MNIST. Without arguments a short run on the digits that come with the library shows that
the network learns; `--data FOLDER --iterations 50` trains it on all of MNIST.
"""

import argparse
import itertools
import statistics
import time
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import DataLoader, Subset

import snntorch as snn
from snntorch import datasets, saccades, surrogate
from snntorch import functional as SF

PART = 16  # digits that run through the network at once


def build_net(beta=0.5):
    """Return the network 12C5-MP2-32C5-MP2-800FC10 for events of 2 x 34 x 34 pixels."""
    neuron = {"beta": beta, "spike_grad": surrogate.atan(), "init_hidden": True}
    layers = [nn.Conv2d(2, 12, 5), nn.MaxPool2d(2), snn.Leaky(**neuron)]
    layers += [nn.Conv2d(12, 32, 5), nn.MaxPool2d(2), snn.Leaky(**neuron)]
    layers += [nn.Flatten(), nn.Linear(32 * 5 * 5, 10), snn.Leaky(**neuron, output=True)]
    return nn.Sequential(*layers)


def batches(loader, num_steps, seed, device):
    """Yield events [T, B, 2, 34, 34] and classes forever; the seed determines the events."""
    generator = torch.Generator(device).manual_seed(seed)
    while True:
        for digits, targets in loader:
            yield (
                saccades.simulate(digits.to(device), num_steps, generator=generator),
                targets.to(device),
            )


def train(net, stream, num_iterations):
    """Train `net` on some batches and return the accuracy on each before its update."""
    loss_fn = SF.mse_count_loss(correct_rate=0.8, incorrect_rate=0.2)
    optimizer = torch.optim.Adam(net.parameters(), lr=2e-2)
    accuracies = []
    net.train()
    for iteration in range(1, num_iterations + 1):
        start, loss, accuracy = time.perf_counter(), 0.0, 0.0
        events, targets = next(stream)
        optimizer.zero_grad()
        # The gradient of a batch is the mean over its parts, which need less memory.
        for part, answers in zip(events.split(PART, dim=1), targets.split(PART), strict=True):
            share = len(answers) / len(targets)
            spikes, _ = snn.unroll(net, part)
            part_loss = share * loss_fn(spikes, answers)
            part_loss.backward()
            loss += part_loss.item()
            accuracy += share * SF.accuracy_rate(spikes, answers)
        optimizer.step()
        accuracies.append(accuracy)
        seconds = time.perf_counter() - start
        numbers = f"loss {loss:6.2f}  accuracy {accuracy:6.1%}  {seconds:.1f} s"
        print(f"iteration {iteration:>3}  {numbers}", flush=True)
    return accuracies


@torch.no_grad()
def evaluate(net, stream, num_batches):
    """Return the accuracy on some batches."""
    net.eval()
    correct = total = 0
    for events, targets in itertools.islice(stream, num_batches):
        for part, answers in zip(events.split(PART, dim=1), targets.split(PART), strict=True):
            spikes, _ = snn.unroll(net, part)
            correct += (spikes.sum(0).argmax(1) == answers).sum().item()
        total += len(targets)
    return correct / total


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder of the full MNIST; default: a part of it")
    parser.add_argument("--iterations", type=int, default=25)
    parser.add_argument("--steps", type=int, default=300, help="time steps of 1 ms")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--held-out", type=int, default=256, help="test digits to evaluate on")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)
    if min(args.iterations, args.batch_size, args.held_out) < 1 or args.steps < 3:
        parser.error("--iterations, --batch-size, --held-out: expected 1 or more; --steps 3")
    try:
        train_set = datasets.mnist(root=args.data)
        test_set = datasets.mnist(train=False, root=args.data)
    except ValueError as error:
        parser.error(f"--data: {error}")
    torch.manual_seed(args.seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    net = build_net().to(device, memory_format=torch.channels_last)  # faster for few channels
    train_loader = DataLoader(train_set, args.batch_size, shuffle=True)
    stream = batches(train_loader, args.steps, args.seed, device)
    accuracies = train(net, stream, args.iterations)
    held_out = Subset(test_set, range(min(args.held_out, len(test_set))))
    test_loader = DataLoader(held_out, args.batch_size)
    stream = batches(test_loader, args.steps, args.seed + 1, device)
    accuracy = evaluate(net, stream, len(test_loader))
    print(f"Mean accuracy of the last five batches: {statistics.mean(accuracies[-5:]):.2%}")
    print(f"Accuracy on {len(held_out)} held-out digits: {accuracy:.2%}")
    return accuracies, accuracy


if __name__ == "__main__":
    main()

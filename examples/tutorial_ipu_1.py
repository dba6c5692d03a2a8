"""Train a spiking network on an IPU of Graphcore.

This needs poptorch, which comes with the Poplar SDK and is not on any package index, and the
distribution snntorch-ipu in an environment without snntorch. Run it in the folder of a clone:

    python examples/tutorial_ipu_1.py

The digits are those that come with the library.
"""

import argparse
from pathlib import Path

import poptorch
import torch
from torch import nn

import snntorch as snn
from snntorch import datasets
from snntorch import functional as SF

# snntorch-ipu does this on import; with snntorch itself, call it before building the network.
snn.ipu.enable()


class Model(nn.Module):
    """Two layers of leaky integrate-and-fire neurons, with the loss inside.

    poptorch differentiates what `forward` computes, so the loss has to be a part of it.
    """

    def __init__(self, num_steps, num_hidden):
        super().__init__()
        self.num_steps = num_steps
        self.fc1 = nn.Linear(784, num_hidden)
        # Without a spike_grad, IPUs use a straight-through estimator. To choose another one:
        # snn.Leaky(beta=0.9, spike_grad=snn.surrogate.fast_sigmoid()).
        self.lif1 = snn.Leaky(beta=0.9)
        self.fc2 = nn.Linear(num_hidden, 10)
        self.lif2 = snn.Leaky(beta=0.9)
        self.loss_fn = SF.ce_count_loss()

    def forward(self, x, labels=None):
        # States must begin inside forward: a state kept from an earlier call would be recorded as a
        # constant.
        mem1, mem2 = self.lif1.init_leaky(), self.lif2.init_leaky()
        current = self.fc1(x.flatten(1))  # the image is the same at every step
        spikes, potentials = [], []
        for _ in range(self.num_steps):
            spk1, mem1 = self.lif1(current, mem1)
            spk2, mem2 = self.lif2(self.fc2(spk1), mem2)
            spikes.append(spk2)
            potentials.append(mem2)
        spikes, potentials = torch.stack(spikes), torch.stack(potentials)
        if not self.training:
            return spikes
        # Tells poptorch that this is where the backward pass begins.
        return spikes, poptorch.identity_loss(self.loss_fn(potentials, labels), "none")


def main(argv=None):
    """Train, and return the accuracy over the last tenth of an epoch's batches."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, metavar="FOLDER")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--steps", type=int, default=25, help="time steps per image")
    parser.add_argument("--hidden", type=int, default=1000, help="hidden neurons")
    parser.add_argument("--batch-size", type=int, default=128)
    args = parser.parse_args(argv)

    torch.manual_seed(0)
    options = poptorch.Options()
    # Incomplete batches are left out: a compiled model takes one shape.
    loader = poptorch.DataLoader(
        options, datasets.mnist(root=args.data), batch_size=args.batch_size, shuffle=True
    )
    net = Model(args.steps, args.hidden)
    # The optimizer comes from poptorch, so that its step is compiled too.
    optimizer = poptorch.optim.Adam(net.parameters(), lr=1e-3, betas=(0.9, 0.999))
    model = poptorch.trainingModel(net, options=options, optimizer=optimizer)

    for epoch in range(args.epochs):
        right = []
        for images, labels in loader:
            spikes, _ = model(images, labels)  # forward, backward and step; compiles when first run
            right.append((spikes.sum(0).argmax(1) == labels).float().mean().item())
        last = right[-max(1, len(right) // 10) :]
        accuracy = sum(last) / len(last)
        print(f"Epoch {epoch + 1}: {accuracy:.0%} of the last training digits were read correctly")
    return accuracy


if __name__ == "__main__":
    main()

"""Record the losses of ``snntorch.backprop`` on the quickstart network.

Run with release 1.0.0, away from the project's folder:

    python record_backprop.py OUT_FOLDER
"""

import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn

import snntorch as snn
from snntorch import backprop, surrogate
from snntorch import functional as SF

# Number of batches, and arguments: 10 steps in parts of 4, 4 and 2. The updates are SGD's: Adam's
# amplify the rounding of gradients near zero, so that spikes of 1.0.0 itself would depend on the
# processor and on the number of threads.
RUNS = {"BPTT": (3, {}), "TBPTT": (3, {"K": 4}), "RTRL": (3, {})}


def build_net():
    neuron = {"beta": 0.9, "spike_grad": surrogate.fast_sigmoid(), "init_hidden": True}
    layers = [nn.Conv2d(1, 8, 5), nn.MaxPool2d(2), snn.Leaky(**neuron)]
    layers += [nn.Conv2d(8, 16, 5), nn.MaxPool2d(2), snn.Leaky(**neuron)]
    layers += [nn.Flatten(), nn.Linear(16 * 4 * 4, 10), snn.Leaky(**neuron, output=True)]
    return nn.Sequential(*layers)


class Recorder:
    """A loss that keeps what it gave."""

    def __init__(self):
        self.loss = SF.ce_rate_loss()
        self.__name__ = self.loss.__name__
        self.given = []

    def __call__(self, spikes, targets):
        loss = self.loss(spikes, targets)
        self.given.append(loss.item())
        return loss


def losses(name, net, images, labels):
    """Return the loss of every part of a sequence, batch after batch."""
    count, options = RUNS[name]
    # Noise drives the neurons little: it is made brighter than a picture.
    images, labels = torch.from_numpy(images / np.float32(50)), torch.from_numpy(labels)
    batches = list(zip(images, labels, strict=True))[:count]
    optimizer, criterion = torch.optim.SGD(net.parameters(), lr=0.1), Recorder()
    train = getattr(backprop, name)
    train(net, batches, optimizer, criterion, num_steps=10, time_var=False, **options)
    return criterion.given


def main(folder):
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (3, 4, 1, 28, 28)).astype(np.uint8)
    labels = rng.integers(0, 10, (3, 4))
    net = build_net()
    record = {f"p:{name}": value.clone().numpy() for name, value in net.state_dict().items()}
    for name in RUNS:
        again = build_net()
        again.load_state_dict(net.state_dict())
        record[name] = np.array(losses(name, again, images, labels))
        print(name, record[name])
    np.savez_compressed(folder / "backprop.npz", images=images, labels=labels, **record)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

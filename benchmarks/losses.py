"""Accuracies of one small network with several losses and input codes.

784-100-10 ``Leaky`` neurons, 25 time steps, two epochs on the 5,000 digits that come with the
library; the accuracy is that on the 1,000 digits to test on.
"""

import torch
from torch import nn

import snntorch as snn
from snntorch import datasets, spikegen
from snntorch import functional as SF

STEPS = 25


def constant(images):
    return images.expand(STEPS, *images.shape)


def rates(images):
    return spikegen.rate(images, STEPS)


def latencies(images):
    return spikegen.latency(images, STEPS, normalize=True, linear=True, clip=True)


def highest(mem, targets):
    """The accuracy by the neuron with the highest membrane."""
    return (mem.max(0).values.argmax(1) == targets).float().mean()


def train(loss_fn, accuracy=SF.accuracy_rate, code=constant, outputs=10, membrane=False, seed=0):
    """Train a network, and return its accuracy."""
    torch.manual_seed(seed)
    reset = {"reset_mechanism": "none"} if membrane else {}
    net = nn.Sequential(
        nn.Linear(784, 100),
        snn.Leaky(beta=0.9, init_hidden=True),
        nn.Linear(100, outputs),
        snn.Leaky(beta=0.9, init_hidden=True, output=True, **reset),
    )
    images, targets = datasets.mnist().tensors
    held_out, answers = datasets.mnist(train=False).tensors
    optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
    for _ in range(2):
        for batch in torch.randperm(len(images)).split(100):
            out = snn.unroll(net, code(images[batch].flatten(1)))[1 if membrane else 0]
            loss = loss_fn(out, targets[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        out = snn.unroll(net, code(held_out.flatten(1)))[1 if membrane else 0]
        return float(accuracy(out, answers))


POPULATION = {"population_code": True, "num_classes": 10}
CASES = {
    "ce_rate_loss": (SF.ce_rate_loss(), {}),
    "ce_count_loss": (SF.ce_count_loss(), {}),
    "mse_count_loss": (SF.mse_count_loss(0.8, 0.2), {}),
    "mse_count_loss, population": (
        SF.mse_count_loss(0.8, 0.2, **POPULATION),
        {"outputs": 100, "accuracy": lambda spk, y: SF.accuracy_rate(spk, y, **POPULATION)},
    ),
    "ce_max_membrane_loss": (SF.ce_max_membrane_loss(), {"accuracy": highest, "membrane": True}),
    "mse_membrane_loss": (
        SF.mse_membrane_loss(on_target=1.05, off_target=0.2),
        {"accuracy": highest, "membrane": True},
    ),
    "mse_temporal_loss": (SF.mse_temporal_loss(), {"accuracy": SF.accuracy_temporal}),
    "mse_temporal_loss, 5 and 20": (
        SF.mse_temporal_loss(on_target=5, off_target=20),
        {"accuracy": SF.accuracy_temporal},
    ),
    "ce_temporal_loss": (SF.ce_temporal_loss(), {"accuracy": SF.accuracy_temporal}),
    "ce_rate_loss, rate code": (SF.ce_rate_loss(), {"code": rates}),
    "ce_rate_loss, latency code": (SF.ce_rate_loss(), {"code": latencies}),
}

if __name__ == "__main__":
    for name, (loss_fn, options) in CASES.items():
        accuracies = [f"{train(loss_fn, seed=seed, **options):.1%}" for seed in range(3)]
        print(f"{name:28}", *accuracies, flush=True)

"""Memory and time of one forward and backward pass over 2,000 time steps, in four ways.

Each way runs in a separate process, with one thread. The memory is the peak above that of the
loaded program with its network and input.
"""

import argparse
import resource
import subprocess
import sys
import time

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

import snntorch as snn
from snntorch import utils

STEPS, PART, BATCH = 2000, 200, 64


def loss_of(rates):
    return rates.square().sum()


def loop(net, x):
    utils.reset(net)
    loss_of(torch.stack([net(step) for step in x]).mean(0)).backward()


def unrolled(net, x):
    loss_of(snn.unroll(net, x).mean(0)).backward()


def checkpoints(net, x):
    def counts(part):
        return snn.unroll(net, part, reset=False).sum(0)

    utils.reset(net)
    total = sum(checkpoint(counts, part, use_reentrant=False) for part in x.split(PART))
    loss_of(total / len(x)).backward()


def truncated(net, x):
    utils.reset(net)
    for part in x.split(PART):
        loss_of(snn.unroll(net, part, reset=False).mean(0)).backward()
        utils.detach(net)


WAYS = {way.__name__: way for way in (loop, unrolled, checkpoints, truncated)}


def peak():
    """The most memory that this process has used, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(way):
    torch.manual_seed(0)
    torch.set_num_threads(1)
    net = nn.Sequential()
    for inputs, outputs in ((100, 256), (256, 256), (256, 10)):
        net.append(nn.Linear(inputs, outputs))
        net.append(snn.Leaky(beta=0.95, init_hidden=True))
    x = (torch.rand(STEPS, BATCH, 100) < 0.1).float()
    snn.unroll(net, x[:10]).sum().backward()  # loads the kernels
    net.zero_grad()
    before, start = peak(), time.perf_counter()
    way(net, x)
    seconds = time.perf_counter() - start
    gradient = net[0].weight.grad.norm()
    name = way.__name__
    print(f"{name:12} {peak() - before:6.0f} MiB {seconds:6.1f} s, gradient {gradient:.4f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("way", nargs="?", choices=WAYS, help="default: all, one after the other")
    chosen = parser.parse_args().way
    if chosen:
        measure(WAYS[chosen])
        return
    for way in WAYS:
        subprocess.run([sys.executable, __file__, way], check=True)


if __name__ == "__main__":
    main()

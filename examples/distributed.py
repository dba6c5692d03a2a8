"""Train one spiking network in several processes, on one machine or on many.

    torchrun --nproc-per-node 2 examples/distributed.py
    torchrun --nproc-per-node 8 --max-restarts 3 examples/distributed.py --parallel fsdp \
        --checkpoints /shared/run1

It runs on CPUs and on CUDA devices, one for each process. Every process trains on its own part of
the digits; their gradients are averaged at each update. A run with `--checkpoints` that was
interrupted goes on where it was, and ends with the same weights.
"""

import argparse
import gc
import os
import shutil
from contextlib import nullcontext
from itertools import islice
from pathlib import Path

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from torch import nn
from torch.distributed.checkpoint.state_dict import get_state_dict, set_state_dict
from torch.distributed.checkpoint.stateful import Stateful
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, DistributedSampler, IterableDataset
from tqdm import tqdm

import snntorch as snn
from snntorch import datasets, spikegen
from snntorch import functional as SF

HIDDEN = 256


class Loop(nn.Module):
    """A network with its loop in `forward`, from spikes [T, B, 1, 28, 28] to [T, B, 10]."""

    def __init__(self):
        super().__init__()
        self.fc1, self.lif1 = nn.Linear(28 * 28, HIDDEN), snn.Leaky(beta=0.9)
        self.fc2, self.lif2 = nn.Linear(HIDDEN, 10), snn.Leaky(beta=0.9)

    def forward(self, x):
        mem1, mem2 = self.lif1.init_leaky(), self.lif2.init_leaky()
        spikes = []
        for step in x.flatten(2):
            spk1, mem1 = self.lif1(self.fc1(step), mem1)
            spk2, mem2 = self.lif2(self.fc2(spk1), mem2)
            spikes.append(spk2)
        return torch.stack(spikes)


def build_net(kind):
    """Return the network as `Loop`, or as layers that `snn.Unroll` runs over all steps."""
    if kind == "loop":
        return snn.compile(Loop())
    layers = [nn.Flatten(), nn.Linear(28 * 28, HIDDEN), snn.Leaky(beta=0.9, init_hidden=True)]
    layers += [nn.Linear(HIDDEN, 10), snn.Leaky(beta=0.9, init_hidden=True)]
    return snn.Unroll(nn.Sequential(*layers))


def parallelize(net, parallel):
    """Return a network whose gradients are averaged over all processes."""
    if parallel == "fsdp":
        return fully_shard(net)  # each process keeps a part of the weights and of Adam's averages
    return DistributedDataParallel(net)  # each process keeps all of them


def accumulate(net, more):
    """Return a context for one batch; gradients stay in this process while `more` will follow."""
    if isinstance(net, FSDPModule):
        net.set_requires_gradient_sync(not more)
        return nullcontext()
    return net.no_sync() if more else nullcontext()


class Shards(IterableDataset):
    """Digits in files of equal length, of which each process reads its own, one at a time."""

    def __init__(self, folder, seed):
        self.files, self.seed, self.epoch = sorted(folder.glob("*.pt")), seed, 0
        self.rank, self.world_size = dist.get_rank(), dist.get_world_size()
        if not self.files or len(self.files) % self.world_size:
            raise ValueError(
                f"{folder} has {len(self.files)} files; expected a multiple of the "
                f"{self.world_size} processes"
            )
        self.size = len(self.read(0)[1])

    def read(self, index):
        return torch.load(self.files[index], mmap=True)

    def set_epoch(self, epoch):
        self.epoch = epoch

    def __len__(self):
        return self.size * len(self.files) // self.world_size

    def __iter__(self):
        generator = torch.Generator().manual_seed(self.seed + self.epoch)
        files = torch.randperm(len(self.files), generator=generator)  # the same in all processes
        for index in files[self.rank :: self.world_size].tolist():
            digits, targets = self.read(index)
            if len(targets) != self.size:
                raise ValueError(f"{self.files[index]} does not hold {self.size} digits")
            for i in torch.randperm(self.size, generator=generator).tolist():
                yield digits[i], targets[i]


def write_shards(folder, digits, targets, count):
    """Write digits into files of equal length."""
    folder.mkdir(parents=True, exist_ok=True)
    size = len(targets) // count
    for i in range(count):
        part = slice(i * size, (i + 1) * size)
        torch.save((digits[part].clone(), targets[part].clone()), folder / f"{i:05}.pt")


class Training(Stateful):
    """What a checkpoint holds; `batches` is the number of batches that were trained on."""

    def __init__(self, net, optimizer):
        self.net, self.optimizer, self.batches = net, optimizer, 0

    def state_dict(self):
        net, optimizer = get_state_dict(self.net, self.optimizer)
        return {"net": net, "optimizer": optimizer, "batches": self.batches}

    def load_state_dict(self, state):
        weights = {"model_state_dict": state["net"], "optim_state_dict": state["optimizer"]}
        set_state_dict(self.net, self.optimizer, **weights)
        self.batches = state["batches"]


def checkpoints(folder):
    """Return the complete checkpoints, oldest first: `.metadata` is written last."""
    return sorted(path.parent for path in folder.glob("*/.metadata"))


def save(training, folder):
    dcp.save({"training": training}, checkpoint_id=folder / f"{training.batches:08}")
    if dist.get_rank() == 0:
        for old in checkpoints(folder)[:-2]:
            shutil.rmtree(old)


def train(training, loader, order, args, device):
    """Train for the epochs that are left; `order` shuffles the digits of `loader`."""
    net, optimizer = training.net, training.optimizer
    rank, world_size = dist.get_rank(), dist.get_world_size()
    loss_fn = SF.ce_count_loss()
    per_epoch = len(loader) // args.accumulate * args.accumulate
    net.train()
    for epoch in range(training.batches // per_epoch, args.epochs):
        order.set_epoch(epoch)
        start = training.batches % per_epoch
        bar = tqdm(
            islice(loader, start, per_epoch),
            desc=f"Epoch {epoch + 1}/{args.epochs}",
            initial=start,
            total=per_epoch,
            disable=rank > 0,
        )
        for digits, targets in bar:
            # A resumed run draws the same random numbers.
            torch.manual_seed(args.seed + training.batches * world_size + rank)
            digits, targets = digits.to(device), targets.to(device)
            training.batches += 1
            more = training.batches % args.accumulate > 0
            with accumulate(net, more):
                with torch.autocast(device.type, torch.bfloat16, enabled=args.bf16):
                    loss = loss_fn(net(spikegen.rate(digits, args.steps)), targets)
                (loss / args.accumulate).backward()
            if more:
                continue
            optimizer.step()
            optimizer.zero_grad()
            bar.set_postfix(loss=f"{loss.item():.3f}")
            due = training.batches // args.accumulate % args.save_every == 0
            if args.checkpoints and (due or training.batches % per_epoch == 0):
                save(training, args.checkpoints)


@torch.no_grad()
def evaluate(net, loader, num_steps, device):
    """Return the accuracy over the digits of all processes."""
    net.eval()
    torch.manual_seed(dist.get_rank())
    counts = torch.zeros(2, device=device)
    for digits, targets in loader:
        spikes = net(spikegen.rate(digits.to(device), num_steps))
        correct = spikes.sum(0).argmax(1) == targets.to(device)
        counts += torch.stack([correct.sum(), torch.tensor(len(targets), device=device)])
    dist.all_reduce(counts)
    return (counts[0] / counts[1]).item()


def run(args, device):
    """Load or build everything, train, and return the accuracy."""
    train_set, test_set = (datasets.mnist(train, args.data) for train in (True, False))
    if args.shards:
        if dist.get_rank() == 0 and not args.shards.exists():
            write_shards(args.shards, *train_set.tensors, 4 * dist.get_world_size())
        dist.barrier()
        order = Shards(args.shards, args.seed)
        loader = DataLoader(order, args.batch_size, drop_last=True)
    else:
        order = DistributedSampler(train_set, seed=args.seed, drop_last=True)
        loader = DataLoader(train_set, args.batch_size, sampler=order, drop_last=True)
    # At most one digit for each process is left out, so that all take equally many batches.
    own = DistributedSampler(test_set, shuffle=False, drop_last=True)
    test_loader = DataLoader(test_set, args.batch_size, sampler=own)

    torch.manual_seed(args.seed)  # the same first weights everywhere
    net = parallelize(build_net(args.network).to(device), args.parallel)
    training = Training(net, torch.optim.Adam(net.parameters(), lr=1e-3))
    if args.checkpoints and (saved := checkpoints(args.checkpoints)):
        dcp.load({"training": training}, checkpoint_id=saved[-1])
        if dist.get_rank() == 0:
            print(f"Resumed after {training.batches} batches")
    train(training, loader, order, args, device)
    return evaluate(net, test_loader, args.steps, device)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", choices=["loop", "unroll"], default="loop")
    parser.add_argument("--parallel", choices=["ddp", "fsdp"], default="ddp")
    parser.add_argument("--data", type=Path, help="folder with the IDX files of all of MNIST")
    parser.add_argument("--shards", type=Path, help="folder to train from; digits go there first")
    parser.add_argument("--checkpoints", type=Path, help="folder to save to and to resume from")
    parser.add_argument("--save-every", type=int, default=50, help="updates; also each epoch")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--steps", type=int, default=25, help="time steps for each digit")
    parser.add_argument("--batch-size", type=int, default=64, help="of each process")
    parser.add_argument("--accumulate", type=int, default=1, help="batches for each update")
    parser.add_argument("--bf16", action="store_true", help="matrix products in bfloat16")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)

    device = torch.device("cpu")
    if torch.cuda.is_available():
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    dist.init_process_group(dist.get_default_backend_for_device(device))
    accuracy = run(args, device)
    gc.collect()  # of the network, which must not outlive the process group
    if dist.get_rank() == 0:
        print(f"Test accuracy: {accuracy:.2%}")
    dist.destroy_process_group()


if __name__ == "__main__":
    main()

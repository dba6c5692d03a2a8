"""How a training step gains from a second process, what it sends, and what it keeps.

    torchrun --nproc-per-node 2 benchmarks/processes.py

One process alone and both together take turns on the same joined batch. Times are lower quartiles.
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel

import snntorch as snn

STEPS, BATCH, HIDDEN = 25, 256, 1000


def network() -> nn.Module:
    torch.manual_seed(0)
    layers = [nn.Linear(784, HIDDEN), snn.Leaky(beta=0.95, init_hidden=True)]
    layers += [nn.Linear(HIDDEN, 10), snn.Leaky(beta=0.95, init_hidden=True)]
    return snn.Unroll(nn.Sequential(*layers))


def training_step(net: nn.Module, x: Tensor, targets: Tensor) -> Callable[[], None]:
    optimizer = torch.optim.Adam(net.parameters())

    def step() -> None:
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(x).sum(0), targets).backward()
        optimizer.step()

    return step


def kept_by(out: Tensor) -> Iterator[Tensor]:
    """Yield the tensors that the graph of a result keeps for the backward pass."""
    seen, waiting = set(), [out.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        waiting += [each for each, _ in node.next_functions]
        saved = [getattr(node, name) for name in dir(node) if name.startswith("_saved_")]
        saved += getattr(node, "saved_tensors", ())
        yield from (each for each in saved if isinstance(each, Tensor))


def sent() -> int:
    """Return the bytes that went over the loopback device, by which processes exchange data."""
    for line in Path("/proc/net/dev").read_text().splitlines():
        name, _, counts = line.partition(":")
        if name.strip() == "lo":
            return int(counts.split()[8])
    raise RuntimeError("no loopback device")


def main() -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    rank, world_size = dist.get_rank(), dist.get_world_size()
    x = (torch.rand(STEPS, BATCH, 784) < 0.15).float()
    targets = torch.randint(10, (BATCH,))
    share = slice(rank * BATCH // world_size, (rank + 1) * BATCH // world_size)
    mine = x[:, share].contiguous(), targets[share]
    works = {
        "one process": training_step(network(), x, targets),
        "DDP": training_step(DistributedDataParallel(network()), *mine),
        "FSDP": training_step(fully_shard(network()), *mine),
    }
    times: dict[str, list[float]] = {name: [] for name in works}
    traffic: dict[str, list[int]] = {name: [] for name in works}
    for turn in range(40):
        for name, work in works.items():
            dist.barrier()
            before, start = sent(), time.perf_counter()
            if name != "one process" or rank == 0:
                work()
                if turn >= 5:
                    times[name].append(time.perf_counter() - start)
            dist.barrier()
            traffic[name].append(sent() - before)
    if rank == 0:
        quartile = {name: sorted(each)[len(each) // 4] for name, each in times.items()}
        idle = min(traffic["one process"])  # of the barriers
        parameters = sum(p.numel() for p in network().parameters())
        print(f"{world_size} processes of one thread, {parameters:,} parameters, batch {BATCH}")
        print(f"{'':12}{'a step':>10}{'faster':>10}{'sent by all':>14}{'by parameter':>14}")
        for name, seconds in quartile.items():
            gain, bytes_ = quartile["one process"] / seconds, min(traffic[name]) - idle
            print(
                f"{name:12}{seconds * 1e3:8.1f}ms{gain:10.2f}{bytes_ / 1e6:12.2f}MB"
                f"{bytes_ / parameters:13.2f}B"
            )
        net = network()
        weights = {p.untyped_storage().data_ptr() for p in net.parameters()}
        storages = {each.untyped_storage().data_ptr(): each for each in kept_by(net(x))}
        kept = sum(
            each.untyped_storage().nbytes()
            for place, each in storages.items()
            if place not in weights and place != x.untyped_storage().data_ptr()
        )
        each = kept / (STEPS * BATCH * (HIDDEN + 10))
        print(f"kept for the backward pass: {each:.2f} bytes per neuron, step and sample")
    dist.destroy_process_group()


if __name__ == "__main__":
    main()

"""The example of training in several processes, and the library inside DDP and FSDP."""

import itertools
import os
import re
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.optim.optimizer import register_optimizer_step_post_hook

sys.path[:0] = [str(Path(__file__).parents[1] / "helpers")]  # where this is the workers' script

from project import ROOT, load_script  # noqa: E402

import snntorch as snn  # noqa: E402

try:
    from torch.distributed.checkpoint.format_utils import dcp_to_torch_save
    from torch.distributed.fsdp import fully_shard
except ImportError:  # before torch 2.6
    pytest.skip("this torch has no fully_shard", allow_module_level=True)

distributed = load_script(ROOT / "examples" / "distributed.py")


def torchrun(*args, restarts=0, logs=None):
    """Run this file in two processes, and return what they printed."""
    command = [sys.executable, "-W", "ignore", "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", 2, "--max-restarts", restarts, "--monitor-interval", 0.2]
    command += ["--redirects", 3, "--log-dir", logs] if logs else []
    command += [__file__, *args]
    # What torchrun keeps of processes that died confuses those that it restarts.
    env = {**os.environ, "OMP_NUM_THREADS": "1", "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}
    done = subprocess.run(
        list(map(str, command)), env=env, capture_output=True, text=True, timeout=280
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


class Wide(nn.Module):
    """Neurons with learnable values, and blocks whose layers are sharded one by one."""

    def __init__(self, kind):
        super().__init__()
        decay = {"beta": torch.full((32,), 0.9), "learn_beta": True}
        layers = [nn.Flatten(), nn.Linear(784, 32), snn.Leaky(**decay, init_hidden=True)]
        layers += [nn.Linear(32, 10), snn.Leaky(beta=0.9, init_hidden=True)]
        self.layers, self.kind = nn.Sequential(*layers), kind

    def forward(self, x):
        if self.kind == "unroll":
            return snn.unroll(self.layers, x)
        snn.utils.reset(self.layers)
        return torch.stack([self.layers(step) for step in x])


def build(kind, parallel):
    """Return a network in parallel and the same network alone."""
    torch.manual_seed(0)
    if parallel == "layers":
        net, alone = (snn.compile(Wide(kind)) for _ in range(2))
    else:
        net, alone = (distributed.build_net(kind) for _ in range(2))
    if parallel == "layers":
        for layer in net.modules():
            if isinstance(layer, nn.Linear):
                fully_shard(layer)
    return distributed.parallelize(net, "ddp" if parallel == "ddp" else "fsdp"), alone


def whole(tensor):
    return tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor


def check_equal(kind, parallel, updates):
    """Train in two processes; before each update, one process alone takes the joined batch.

    It gets the same weights each time, since those of two runs differ by rounding soon.
    """
    net, alone = build(kind, parallel)
    rank, loss_fn = dist.get_rank(), snn.functional.mse_count_loss(0.8, 0.2)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    for update in range(updates):
        with torch.no_grad():
            for mine, theirs in zip(alone.parameters(), net.parameters(), strict=True):
                mine.copy_(whole(theirs))
        generator = torch.Generator().manual_seed(update)
        x = 2 * torch.bernoulli(torch.full((10, 32, 1, 28, 28), 0.3), generator=generator)
        targets = torch.randint(10, (32,), generator=generator)
        halves = 2 if update % 3 == 2 else 1  # with accumulation
        bf16 = torch.autocast("cpu", torch.bfloat16, enabled=update % 4 == 3)
        shares = torch.arange(32).view(halves, 2, -1)[:, rank]  # of each batch, this process's
        for i, share in enumerate(shares):
            with distributed.accumulate(net, more=i + 1 < halves):
                with bf16:
                    spikes = net(x[:, share])
                (loss_fn(spikes, targets[share]) / halves).backward()
            with torch.no_grad(), bf16:
                assert torch.equal(spikes, alone(x)[:, share]), "outputs differ"
            assert spikes.any()
        alone.zero_grad()
        with bf16:
            loss = loss_fn(alone(x), targets)
        loss.backward()
        for a, b in zip(alone.parameters(), net.parameters(), strict=True):
            scale = a.grad.abs().max().item()
            near = 1e-2 if bf16._enabled else 1e-5
            torch.testing.assert_close(whole(b.grad), a.grad, rtol=near, atol=near * scale)
        optimizer.step()
        optimizer.zero_grad()


CASES = [(kind, parallel) for kind in ("loop", "unroll") for parallel in ("ddp", "fsdp", "layers")]


@pytest.mark.parametrize("updates", [4, pytest.param(20, marks=pytest.mark.slow)])
def test_two_processes_equal_one_on_the_joined_batch(updates):
    printed = torchrun("equal", updates)
    assert re.findall(r"equal: (\w+) (\w+)", printed) == CASES


@pytest.mark.slow
@pytest.mark.parametrize(
    "options, killed_at",
    [
        (["--network", "loop"], 14),  # of 9 updates in each epoch
        (["--network", "unroll", "--parallel", "fsdp", "--accumulate", "2", "--bf16"], 7),  # of 4
    ],
    ids=["ddp", "fsdp"],
)
def test_a_killed_worker_changes_nothing(options, killed_at, tmp_path):
    """The second process is killed amid the second epoch, after a checkpoint amid that epoch."""
    if "fsdp" in options:
        options = [*options, "--shards", tmp_path / "shards"]
    options = [*options, "--epochs", 2, "--steps", 5, "--batch-size", 256, "--save-every", 3]
    ends, logs = {}, {}
    for kill in (0, killed_at):
        folder = tmp_path / str(kill)
        args = ["train", kill, *options, "--checkpoints", folder / "saved"]
        torchrun(*args, restarts=3 if kill else 0, logs=folder / "logs")
        saved = distributed.checkpoints(folder / "saved")
        assert len(saved) == 2  # older ones are gone
        dcp_to_torch_save(saved[-1], folder / "end.pt")
        ends[kill] = torch.load(folder / "end.pt")["training"]
        for path in (folder / "logs").glob("**/*.log"):
            logs[(kill, *path.parts[-3:])] = path.read_text()  # attempt, process, name
    batches = ends[0]["batches"]
    assert batches > 0
    same(ends[0], ends[killed_at])
    # It went on from within the second epoch.
    resumed = re.findall(r"Resumed after (\d+) batches", "".join(logs.values()))
    assert resumed and all(batches / 2 < int(each) < batches for each in resumed)
    # Only the first process shows its progress.
    assert "Epoch 2/2" in logs[0, "attempt_0", "0", "stderr.log"]
    assert "Epoch" not in logs[0, "attempt_0", "1", "stderr.log"]


def same(a, b):
    assert type(a) is type(b)
    if isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            same(a[key], b[key])
    elif isinstance(a, torch.Tensor):
        assert torch.equal(a, b)
    else:
        assert a == b


@pytest.fixture
def alone():
    """A process group of this process alone."""
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def opened_and_read(opened, read, index):
    opened.append(index)
    return read(index)


def test_shards_are_read_by_one_process_each(tmp_path, monkeypatch):
    digits = torch.arange(96).view(96, 1, 1, 1)
    distributed.write_shards(tmp_path, digits, digits.flatten() % 10, 6)
    monkeypatch.setattr(dist, "get_world_size", lambda: 2)
    files, seen = {}, {}
    for rank in range(2):
        monkeypatch.setattr(dist, "get_rank", lambda rank=rank: rank)
        shards = distributed.Shards(tmp_path, seed=3)
        assert len(shards) == 48
        opened, read = [], shards.read
        monkeypatch.setattr(shards, "read", partial(opened_and_read, opened, read))
        epochs = []
        for epoch in (0, 0, 1):
            shards.set_epoch(epoch)
            epochs.append([(digit.item(), target.item()) for digit, target in shards])
        assert epochs[0] == epochs[1] != epochs[2]
        assert all(digit % 10 == target for digit, target in epochs[0])
        files[rank], seen[rank] = opened[:3], {digit for digit, _ in epochs[0]}
    assert sorted(files[0] + files[1]) == list(range(6))
    assert len(seen[0]) == len(seen[1]) == 48 and seen[0] | seen[1] == set(range(96))


def test_shards_that_processes_cannot_share_equally(tmp_path, monkeypatch):
    monkeypatch.setattr(dist, "get_rank", lambda: 0)
    monkeypatch.setattr(dist, "get_world_size", lambda: 2)
    distributed.write_shards(tmp_path, torch.zeros(30, 1), torch.zeros(30), 3)
    with pytest.raises(ValueError, match="has 3 files; expected a multiple of the 2 processes"):
        distributed.Shards(tmp_path, seed=0)
    torch.save((torch.zeros(9, 1), torch.zeros(9)), tmp_path / "a_shorter_one.pt")
    with pytest.raises(ValueError, match=r"shorter_one\.pt does not hold 10 digits"):
        for rank in range(2):
            monkeypatch.setattr(dist, "get_rank", lambda rank=rank: rank)
            list(distributed.Shards(tmp_path, seed=0))


def test_sharded_layers_are_folded(alone):
    net = nn.Sequential(nn.Linear(4, 5), snn.Leaky(0.9, init_hidden=True), nn.Linear(5, 3))
    x = torch.rand(6, 2, 4)
    expected = snn.unroll(net, x)
    for layer in (net[0], net[2]):
        fully_shard(layer)
    assert [stage.how for stage in snn.explain(net, x)] == ["fold", "scan", "fold"]
    assert torch.equal(snn.unroll(net, x), expected)
    net[2].register_forward_hook(lambda *args: None)
    assert [stage.how for stage in snn.explain(net, x)] == ["fold", "scan", "step"]
    # A kernel does not call the neuron, which would gather its parameters.
    fully_shard(net[1])
    assert [stage.how for stage in snn.explain(net, x)] == ["fold", "step", "step"]


def test_a_compiled_network_with_sharded_layers_runs_as_it_is(alone):
    net = distributed.Loop()
    fully_shard(net.fc1)
    with pytest.raises(RuntimeError, match="layers in it are sharded"):
        snn.explain(snn.compile(net), torch.rand(3, 2, 1, 28, 28))


def kill_second_process(update):
    """Kill the second process after some update, unless it is a restarted one."""
    updates = itertools.count(1)

    def hook(*_):
        if next(updates) == update:
            os.kill(os.getpid(), signal.SIGKILL)

    if os.environ["RANK"] == "1" and os.environ["TORCHELASTIC_RESTART_COUNT"] == "0":
        register_optimizer_step_post_hook(hook)


if __name__ == "__main__":
    what, number, *rest = sys.argv[1:]
    if what == "equal":
        dist.init_process_group("gloo")
        for case in CASES:
            check_equal(*case, int(number))
            if dist.get_rank() == 0:
                print("equal:", *case)
        dist.destroy_process_group()
    else:
        kill_second_process(int(number))
        distributed.main(rest)

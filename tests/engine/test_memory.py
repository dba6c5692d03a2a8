"""Memory that is used again."""

import concurrent.futures
import gc
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

import snntorch as snn
from snntorch._engine import memory
from snntorch._network import run

FLOAT = torch.zeros(())
SIZE = memory.LEAST // 4


@pytest.fixture(autouse=True)
def empty_handed(monkeypatch):
    gc.collect()
    monkeypatch.setattr(memory, "_idle", {})


def test_comes_back_when_the_last_view_is_gone():
    tensor = memory.empty((2, SIZE), FLOAT)
    address, row = tensor.data_ptr(), tensor[1]
    del tensor
    assert memory.empty((2, SIZE), FLOAT).data_ptr() != address
    row.fill_(3)
    del row
    again = memory.empty((SIZE // 4, 8), FLOAT)
    assert again.data_ptr() == address and again.is_contiguous()


def test_serves_what_is_a_little_smaller_and_nothing_else():
    address = memory.empty((SIZE * 2,), FLOAT).data_ptr()
    for size in (SIZE, 2 * SIZE + 1):
        kept = memory.empty((size,), FLOAT)
        assert kept.data_ptr() != address
    double = memory.empty((SIZE * 9 // 10,), FLOAT.double())
    assert double.data_ptr() == address and double.dtype == torch.float64


def test_small_tensors_are_left_to_the_library():
    memory.empty((SIZE - 1,), FLOAT)
    assert not memory._idle


def test_keeps_no_more_than_its_limit(monkeypatch):
    monkeypatch.setattr(memory, "LIMIT", 5 * memory.LEAST)
    tensors = [memory.empty((SIZE,), FLOAT) for _ in range(8)]
    newest = {tensor.data_ptr() for tensor in tensors[3:]}
    while tensors:
        del tensors[0]
    assert set(memory._idle) == newest


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.int64])
def test_large_tensors_are_no_views(dtype):
    with torch.device("meta"):  # what is asked for lies where its example lies
        tensor = memory.empty((3, SIZE), torch.zeros(2, dtype=dtype, device="cpu"))
    assert not tensor._is_view() and tensor.is_contiguous()
    assert (tensor.dtype, tensor.shape, tensor.device.type) == (dtype, (3, SIZE), "cpu")


@pytest.mark.parametrize("name", ["bfloat16", "float8_e5m2"])
def test_a_type_that_numpy_has_not(name):
    dtype = getattr(torch, name, torch.bfloat16)
    tensor = memory.empty((3, SIZE * 4), FLOAT.to(dtype))
    assert (tensor.dtype, tensor.shape) == (dtype, (3, SIZE * 4))


def test_two_threads_never_share():
    def work(value):
        for _ in range(200):
            tensor = memory.empty((SIZE,), FLOAT).fill_(value)
            assert (tensor[::4096] == value).all()
            del tensor

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))


def test_order_of_dimensions():
    like = torch.empty(2, 3, 5, 7).permute(0, 2, 3, 1)
    made = memory.empty_alike([9, *like.shape[1:]], like)
    assert made.shape == (9, 5, 7, 3) and made.stride()[1:] == like.stride()[1:]


def test_results_are_never_overwritten():
    neuron, x = snn.Leaky(beta=0.9), torch.randn(64, 8, 1024)
    kept = [snn.unroll(neuron, x) for _ in range(2)]
    for pair in zip(*kept, strict=True):
        assert torch.equal(*pair)
    spikes = kept[0][0].clone()
    last = kept[0][0][-1]
    del kept, pair
    for _ in range(3):
        snn.unroll(neuron, torch.zeros_like(x))
    assert torch.equal(last, spikes[-1])


# Folds in pieces -----------------------------------------------------------------------------


def images(**kwargs):
    torch.manual_seed(0)
    layers = [nn.Conv2d(2, 4, 3), nn.MaxPool2d(2), nn.ReLU(inplace=True), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(16, 5), snn.Leaky(beta=0.5, **kwargs)).double()


@pytest.mark.parametrize("steps", [1, 2, 7])
@pytest.mark.parametrize("channels_last", [False, True])
def test_pieces_give_what_the_whole_gives(steps, channels_last, monkeypatch):
    net, x = images(), torch.randn(7, 3, 2, 6, 6, dtype=torch.float64)
    if channels_last:
        x = x.permute(0, 1, 3, 4, 2).contiguous().permute(0, 1, 4, 2, 3)
    results = []
    # The convolution doubles the channels: two float64 for each that comes in.
    for piece in (steps * 3 * 2 * 36 * 8 * 2, 1 << 30):
        monkeypatch.setattr(run, "PIECE", piece)
        pieces = run._pieces([*net][:5], x)
        assert pieces == (-(-7 // steps) if piece < 1 << 30 else 1)
        leaf = x.clone().requires_grad_()
        outs = snn.unroll(net, leaf)
        loss = sum(out.square().sum() for out in outs)
        grads = torch.autograd.grad(loss, [leaf, *net.parameters()], create_graph=False)
        with torch.no_grad():
            without = snn.unroll(net, x)
        results.append([*outs, *without, *grads])
    for ours, whole in zip(*results, strict=True):
        torch.testing.assert_close(ours, whole, rtol=1e-12, atol=1e-12)


def test_pieces_keep_the_layout_of_images(monkeypatch):
    net = nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU()).to(memory_format=torch.channels_last)
    x = torch.randn(6, 3, 2, 6, 6).permute(0, 1, 3, 4, 2).contiguous().permute(0, 1, 4, 2, 3)
    monkeypatch.setattr(run, "PIECE", 1)
    for mode in (torch.no_grad, torch.enable_grad):
        with mode():
            out = snn.unroll(net, x)
        assert out.stride() == torch.empty(6, 3, 4, 4, 4).permute(0, 1, 4, 2, 3).stride()
        torch.testing.assert_close(out, torch.stack([net(step) for step in x]))


def test_one_layer_alone_and_views_are_not_cut(monkeypatch):
    monkeypatch.setattr(run, "PIECE", 1)
    x = torch.randn(6, 3, 4)
    assert run._pieces([nn.Linear(4, 4)], x) == 1
    assert run._pieces([nn.Flatten(), nn.Linear(4, 4), nn.Identity()], x) == 1
    assert run._pieces([nn.Linear(4, 4), nn.ReLU()], x) == 6


PEAK = """
import sys
import torch
from torch import nn
import snntorch as snn
from snntorch import utils

def peak():
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) // 1024

torch.set_num_threads(1)
net = nn.Sequential(
    nn.Conv2d(1, 32, 3), nn.ReLU(), nn.MaxPool2d(2), snn.Leaky(0.9, init_hidden=True),
    nn.Flatten(), nn.Linear(32 * 13 * 13, 10), snn.Leaky(0.9, init_hidden=True),
)
x = torch.rand(200, 8, 1, 28, 28)
with torch.no_grad():
    snn.unroll(net, x[:2])
    before = peak()
    if sys.argv[1] == "loop":
        utils.reset(net)
        torch.stack([net(step) for step in x])
    else:
        snn.unroll(net, x)
print(peak() - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak is read from /proc")
def test_without_a_graph_the_peak_is_bounded():
    loop, ours = (
        int(subprocess.run([sys.executable, "-c", PEAK, way], check=True, stdout=-1).stdout)
        for way in ("loop", "unroll")
    )
    outputs = 2 * 200 * 8 * 32 * 13 * 13 * 4 >> 20  # of the first neurons, with their membrane
    assert ours <= loop + outputs + 64

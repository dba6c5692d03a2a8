"""Pooling by the library's kernels is PyTorch's, bit for bit."""

import pytest
import torch
from releases import needs_2_1, needs_2_4
from torch import nn
from torch.nn import functional as F

import snntorch as snn
from snntorch._engine import cpu
from snntorch._network import functions, pooling

EXACT = {"rtol": 0, "atol": 0, "equal_nan": True}
# Few values, so that maxima are tied; infinities, NaN and negative zeros.
VALUES = torch.tensor([0.0, -0.0, 1.0, -2.5, 0.1, float("inf"), float("-inf"), float("nan")])


def images(*shape, dtype=torch.float32, values=VALUES):
    generator = torch.Generator().manual_seed(len(shape))
    chosen = torch.randint(len(values), shape, generator=generator)
    return values.to(dtype)[chosen].requires_grad_()


def compare(name, x, *args, **kwargs):
    options = pooling.options_in(name, (x, *args), kwargs)
    got, want = pooling.pooled(name, options, x), getattr(F, name)(x, *args, **kwargs)
    assert got is not None
    torch.testing.assert_close(got, want, **EXACT)
    assert torch.equal(torch.signbit(got), torch.signbit(want)) or got.isnan().any()
    assert got.is_contiguous()
    # Whole numbers, whose sums are the same in any order.
    grad = torch.randint(-8, 8, want.shape, generator=torch.Generator().manual_seed(3)).to(want)
    (got,), (want,) = (torch.autograd.grad(out, x, grad) for out in (got, want))
    torch.testing.assert_close(got, want, **EXACT)
    assert want.count_nonzero()


SIZES = [(8, 8), (7, 9), (1, 24), (16, 3)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("window", [2, (2, 1), (2, 3), (4, 4)])
@pytest.mark.parametrize("name", ["max_pool2d", "avg_pool2d"])
def test_images(name, window, dtype):
    height, width = (window, window) if isinstance(window, int) else window
    for rows, columns in SIZES:
        if rows >= height and columns >= width:
            x = images(64, 8, rows, columns, dtype=dtype)
            compare(name, x, window)
            compare(name, x, kernel_size=window, stride=window)


@pytest.mark.parametrize("name", ["max_pool1d", "avg_pool1d"])
@pytest.mark.parametrize("window", [2, (3,), 5])
@pytest.mark.parametrize("length", [32, 31])
def test_signals(name, window, length):
    compare(name, images(64, 4, length), window)


def test_means_of_values_that_round():
    x = torch.randn(64, 8, 9, 9, requires_grad=True)
    compare("avg_pool2d", x, 3)
    compare("avg_pool2d", x.double().detach().requires_grad_(), 3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    "window, options",
    [
        (3, {"stride": 1}),
        (3, {"stride": 2, "padding": 1}),
        ((3, 2), {"stride": (2, 1)}),
        (2, {"dilation": 2}),
        (2, {"ceil_mode": True}),
    ],
)
def test_windows_that_overlap(window, options, dtype):
    compare("max_pool2d", images(32, 4, 7, 9, dtype=dtype), window, **options)


@pytest.mark.parametrize(
    "name, options",
    [
        ("avg_pool2d", {"kernel_size": 3, "stride": 2}),
        ("avg_pool2d", {"kernel_size": 2, "padding": 1}),
        ("avg_pool2d", {"kernel_size": 2, "divisor_override": 3}),
        ("avg_pool2d", {"kernel_size": 2, "ceil_mode": True}),
        ("avg_pool2d", {"kernel_size": 5}),
        ("max_pool2d", {"kernel_size": 2, "return_indices": True}),
        ("max_pool1d", {"kernel_size": 2, "stride": 3}),
    ],
)
def test_left_to_pytorch(name, options):
    x = torch.randn(64, 8, *[16] * int(name[-2]))
    assert pooling.pooled(name, options, x) is None


def test_images_left_to_pytorch():
    x = torch.randn(64, 8, 16, 16)
    assert pooling.pooled("max_pool2d", {"kernel_size": 2}, x) is not None
    for other in (
        *(x[0], x[0, :1], x[:1, :1], x.contiguous(memory_format=torch.channels_last)),
        *(x.bfloat16(), x[..., ::2], x.to("meta")),
    ):
        assert pooling.pooled("max_pool2d", {"kernel_size": 2}, other) is None


def test_without_numba(monkeypatch):
    x = torch.randn(64, 8, 16, 16)
    monkeypatch.setattr(cpu, "unavailable", lambda: "it is not installed")
    assert pooling.pooled("avg_pool2d", {"kernel_size": 2}, x) is None


@needs_2_1
@pytest.mark.parametrize("name", ["max_pool2d", "avg_pool2d"])
def test_gradients_of_gradients_and_of_several_at_once(name):
    """They need a backward pass in PyTorch's operations."""
    x = torch.randn(8, 8, 9, 9, dtype=torch.float64, requires_grad=True)
    several = torch.randn(3, 8, 8, 4, 4, dtype=torch.float64)

    def gradients(pool):
        out = pool(x)
        (first,) = torch.autograd.grad((out**3).sum(), x, create_graph=True)
        (second,) = torch.autograd.grad((first * x).sum(), x)
        (batched,) = torch.autograd.grad(pool(x), x, several, is_grads_batched=True)
        return first, second, batched

    ours = gradients(lambda x: pooling.pooled(name, {"kernel_size": 2}, x))
    torch.testing.assert_close(ours, gradients(lambda x: getattr(F, name)(x, 2)))


@pytest.mark.parametrize("threads", [1, 2])
def test_threads(threads):
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        compare("max_pool2d", torch.randn(64, 16, 16, 16, requires_grad=True), 2)
    finally:
        torch.set_num_threads(before)


@needs_2_4
@pytest.mark.parametrize("pool", [nn.MaxPool2d(2), nn.AvgPool2d(2), nn.MaxPool2d(3, 1, 1)])
def test_networks_use_it(pool, monkeypatch):
    """As layers, as functions, by unroll and compiled."""
    seen = []

    def spied(*args):
        seen.append(pooled(*args) is not None)
        return pooled(*args)

    pooled = pooling.pooled
    for module in (pooling, functions):
        monkeypatch.setattr(module, "pooled", spied)
    net = nn.Sequential(nn.Conv2d(1, 4, 3), pool, snn.Leaky(0.9, threshold=0.1, init_hidden=True))
    x = torch.randn(6, 8, 1, 18, 18)
    snn.utils.reset(net)
    want = torch.stack([net(x_t) for x_t in x])
    torch.testing.assert_close(snn.unroll(net, x), want)

    def loop(x):
        snn.utils.reset(net)
        name = "max_pool2d" if isinstance(pool, nn.MaxPool2d) else "avg_pool2d"
        rest = (pool.kernel_size, pool.stride, pool.padding)
        return torch.stack([net[2](getattr(F, name)(net[0](x_t), *rest)) for x_t in x])

    torch.testing.assert_close(snn.compile(loop)(x), want)
    assert len(seen) > 1 and all(seen)

"""Max pooling on images whose channels lie side by side, against PyTorch's on those given."""

import pytest
import torch
from torch import nn

import snntorch as snn
from snntorch._network import pooling

WINDOWS = {
    "plain": nn.MaxPool2d(2),
    "overlapping": nn.MaxPool2d(3, stride=1),
    "padded": nn.MaxPool2d(3, stride=2, padding=1),
    "oblong": nn.MaxPool2d((3, 2), (2, 1)),
    "dilated": nn.MaxPool2d(2, dilation=2),
    "beyond the rim": nn.MaxPool2d(2, ceil_mode=True),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("layer", WINDOWS.values(), ids=WINDOWS)
def test_values_and_gradients_to_the_bit_with_many_equals(layer, dtype):
    x = torch.randint(0, 3, (5, 4, 7, 9)).to(dtype)
    x[0, 1, 2, 3], x[1, :, 3, 4], x[2, 0] = torch.nan, torch.inf, -torch.inf
    results = []
    window = pooling.window_of(layer)
    for way in (layer, lambda x: pooling.max_pool(window, x)):
        leaf = x.clone().requires_grad_()
        out = way(leaf)
        assert out.is_contiguous()
        torch.manual_seed(3)
        weights = torch.randint_like(out, -8, 8)  # whole numbers: sums in any order are equal
        (grad,) = torch.autograd.grad(out, leaf, weights, create_graph=True)
        results.append((out, grad))
    (truth, true_grad), (out, grad) = results
    assert torch.equal(out.nan_to_num(7), truth.nan_to_num(7))
    assert torch.equal(grad, true_grad) and true_grad.count_nonzero() > 0


def test_second_derivatives():
    x = torch.randn(2, 3, 6, 6, dtype=torch.float64, requires_grad=True)
    window = pooling.window_of(nn.MaxPool2d(2))
    assert torch.autograd.gradgradcheck(lambda x: pooling.max_pool(window, x) ** 3, x)


def test_only_where_it_pays_and_changes_nothing():
    x = torch.randn(2, 3, 6, 6)
    assert pooling.pays(x)
    for other in (x[0], x[:, :1], x.contiguous(memory_format=torch.channels_last), x.bfloat16()):
        assert not pooling.pays(other)


def test_networks_use_it(monkeypatch):
    seen = []
    real = pooling._MaxPool.forward
    monkeypatch.setattr(
        pooling._MaxPool,
        "forward",
        staticmethod(lambda ctx, x, layer: seen.append(x.shape) or real(ctx, x, layer)),
    )
    net = nn.Sequential(nn.Conv2d(1, 3, 3), nn.MaxPool2d(2), snn.Leaky(0.9))
    x = torch.randn(4, 2, 1, 8, 8)
    _, mem = snn.unroll(net, x)
    snn.unroll(net, x[0], 3)
    assert seen == [(8, 3, 6, 6), (2, 3, 6, 6)]
    state, steps = torch.zeros(()), []
    for each in x:
        _, state = net[2](net[1](net[0](each)), state)
        steps.append(state)
    torch.testing.assert_close(mem, torch.stack(steps))

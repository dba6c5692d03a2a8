"""What users' steps are made of: the text of each operation against PyTorch, bit by bit."""

import itertools
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from releases import needs_triton
from torch import nn

import snntorch as snn
from snntorch._engine.derive import derive
from snntorch._engine.writer import NUMBA, Unsupported, Writer
from snntorch.dynamics import Model

where = torch.where
OPERATIONS = {
    "infix": lambda x, v: 0.3 * x + v / 3 - x * v,
    "from the left": lambda x, v: (1 - x) * (2 / v) - (-v),
    "power 0": lambda x, v: x**0 + v,
    "power 1": lambda x, v: x**1,
    "power 2": lambda x, v: x**2 + v.square(),
    "power 3": lambda x, v: x**3,
    "power -1": lambda x, v: x**-1,
    "power -2": lambda x, v: x**-2,
    "power -1/2": lambda x, v: x.abs() ** -0.5,
    "rsqrt": lambda x, v: x.abs().rsqrt(),
    "reciprocal": lambda x, v: x.reciprocal(),
    "abs, sign": lambda x, v: x.abs() + v.sign() + x.sgn(),
    "relu": lambda x, v: torch.relu(x),
    "maximum": lambda x, v: torch.maximum(x, v),
    "minimum": lambda x, v: torch.min(x, v),
    "clamp": lambda x, v: x.clamp(-0.5, 0.25),
    "clamp the wrong way round": lambda x, v: x.clamp(0.5, -0.25),
    "clamp_min": lambda x, v: x.clamp_min(0.3),
    "clamp_max": lambda x, v: x.clamp(max=0.3),
    "clamp by tensors": lambda x, v: x.clamp(v - 1, v.abs()),
    "floor, ceil": lambda x, v: x.floor() + 2 * v.ceil(),
    "trunc, round": lambda x, v: x.trunc() + 2 * v.round(),
    "heaviside": lambda x, v: torch.heaviside(x.detach(), v.detach()) + x,
    "compared": lambda x, v: where(x > v, x, v) + where(x <= 0.1, v, 0.0) + where(x == v, 1.0, x),
    "compared to float": lambda x, v: (x > v).float() + (x >= 0.3).to(v) * v + (x != v).to(x.dtype),
    "truth in arithmetic": lambda x, v: (x > 0) * 0.3 + 1 - (v < 0.3) * x,
    "truth and whole numbers": lambda x, v: (1 - (x > 0).int()) * v + (v < x).long() * 2,
    "bool": lambda x, v: where(x.bool(), v, -65.0) + where((v > 0).bool(), x, 2.0),
    "full_like": lambda x, v: where(v > 0.3, torch.full_like(v, -65.1), x),
    "infinite": lambda x, v: where(v > 0.3, torch.full_like(v, -math.inf), x),
    "like": lambda x, v: torch.zeros_like(v) + 2 * torch.ones_like(x) + x,
    "new": lambda x, v: x.new_full(x.shape, 0.1) + v.new_zeros(v.shape) + v.new_ones(v.shape),
    "in place": lambda x, v: (x - v).relu_() + (2 * x).masked_fill_(v > 0, 1.0),
    "masked_fill": lambda x, v: x.masked_fill(v > 0.3, -0.7),
    "and, or, not": lambda x, v: where((x > 0) & (v > 0) | ~(x > v), x, 0.1 * v),
    "logical": lambda x, v: where(
        torch.logical_and(x, v > 0) ^ torch.logical_or(x > v, v.logical_not()), x, v
    ),
    "truth times truth": lambda x, v: where((x > 0) * (v > 0), x, v) + where(x > v, x > 0, v > 0),
    "equal truths": lambda x, v: where((x > 0) == (v > 0), x, v) + ((x > 0) == 1),
    "like a truth": lambda x, v: where(torch.ones_like(v > 0) & (x > v), x, v),
    "a constant": lambda x, v: torch.tensor(0.1) * x + torch.tensor(2) * v,
    "in single precision": lambda x, v: 0.1 + 0.2 * (x > v).float() - x.float() * 0.7 / 3,
    "same": lambda x, v: x.clone().detach() + v.contiguous().to(x),
}
# To rounding only.
ROUNDED = {
    "exp": lambda x, v: v.exp() * x,
    "log": lambda x, v: (v.abs() + 0.1).log() * x,
    "sqrt": lambda x, v: (v.abs() + x * x).sqrt(),
    "tanh": lambda x, v: v.tanh() + x,
    "sigmoid": lambda x, v: v.sigmoid() * x,
    "sin and cos": lambda x, v: v.sin() * x.cos(),
    "a power": lambda x, v: v.abs() ** 2.5 - x,
}
CAPTURED = nn.Parameter(torch.tensor(0.9))
REFUSED = {
    "log1p": (lambda x, v: v.log1p(), "do not have log1p"),
    "a power that is a tensor": (lambda x, v: v.abs() ** x, "do not have pow"),
    "a scaled sum": (lambda x, v: torch.add(x, v, alpha=2), "do not have add with alpha"),
    "in place": (lambda x, v: (v + 1).mul_(2) + x, "do not have mul_"),
    "relu_ of an alias": (lambda x, v: v + v.detach().relu_(), "relu_ on a tensor that others"),
    "masked_fill_ of a state": (lambda x, v: x + v.detach().masked_fill_(x > 0, 1.0), "others see"),
    "a whole number": (lambda x, v: v.int() * x, r"a conversion to torch\.int32"),
    "half precision": (lambda x, v: v.half() * x, r"a conversion to torch\.float16"),
    "double precision": (lambda x, v: (v.double() * x).to(x), "single precision in double"),
    "a vector": (lambda x, v: v + torch.zeros(3).sum(), r"do not have sum|zeros of shape"),
    "a sum": (lambda x, v: v - x.sum(), "do not have sum"),
    "noise": (lambda x, v: v + torch.rand_like(x), "do not have rand_like"),
    "a parameter from outside": (lambda x, v: CAPTURED * v + x, "tensor from outside the step"),
    "a truth as a state": (lambda x, v: v > x, r"dtype torch\.bool"),
}
NUMBERS = (0.0, -0.0, 0.3, -0.3, 0.5, 1.0, -1.5, 2.5, 1.7, 1e-30, 3e20, math.inf, -math.inf)
NUMBERS = (*NUMBERS, math.nan)


def derived(operation):
    """Return the graph of a neuron whose only state is worked out by an operation."""

    def step(x, v, threshold, spike, fired):
        new = operation(x, v)
        return spike(x - threshold), new

    # Without a reset, and with the gradient of the spikes left out.
    return derive(Model(("v",), (), step=step).dynamics("none", False), None, 0)


def evaluated(found, nodes, number, x, v):
    """Run the text for nodes on numbers; the gradient of the new state is 1, the others are 0."""
    writer = Writer(NUMBA, {})
    texts = [writer.text(node) for node in nodes]
    placeholders = [n for n in found.spikes.graph.nodes if n.op == "placeholder"]
    # Gradients of spikes and state; input, state; threshold, factor.
    values = (0, 1, x, v, 0.5, 1)
    space = {n.meta["name"]: number(value) for n, value in zip(placeholders, values, strict=True)}
    # Numba's functions return NaN where Python's raise.
    functions = {n: getattr(np, n) for n in ("exp", "log", "tanh", "sin", "cos", "sqrt")}
    functions |= {"pow": np.power, "inf": np.inf, "nan": np.nan}
    space |= {"math": SimpleNamespace(**functions), "np": np}
    space |= {"F": number, "ONE": number(1), "ZERO": number(0)}
    with np.errstate(all="ignore"):
        exec("\n".join(writer.lines), space)
        return [number(eval(text, space)) for text in texts]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", OPERATIONS)
def test_the_text_of_an_operation(name, dtype):
    found = derived(OPERATIONS[name])
    pairs = list(itertools.product(NUMBERS, repeat=2))
    x, v = (torch.tensor(each, dtype=getattr(torch, dtype)) for each in zip(*pairs, strict=True))
    want = OPERATIONS[name](x, v)
    nodes, number = [found.states["v"]], getattr(np, dtype)
    got = [evaluated(found, nodes, number, *pair)[0] for pair in zip(x.numpy(), v.numpy())]  # noqa: B905
    np.testing.assert_array_equal(np.array(got), want.numpy())


@pytest.mark.parametrize("name", ROUNDED)
def test_a_function_is_right_to_rounding(name):
    found = derived(ROUNDED[name])
    pairs = list(itertools.product((-3.1, -0.6, 0.2, 0.9, 4.2), repeat=2))
    x, v = (torch.tensor(each) for each in zip(*pairs, strict=True))
    nodes = [found.states["v"]]
    got = [evaluated(found, nodes, np.float32, *pair)[0] for pair in pairs]
    np.testing.assert_allclose(np.array(got), ROUNDED[name](x, v).numpy(), rtol=2e-6, atol=1e-7)


@pytest.mark.parametrize("name", [*OPERATIONS, *ROUNDED])
def test_the_gradient_of_an_operation(name):
    operation = (OPERATIONS | ROUNDED)[name]
    found = derived(operation)
    for pair in itertools.product((-1.7, -0.4, 0.15, 0.7, 1.3), repeat=2):
        x, v = (torch.tensor(each, dtype=torch.float64, requires_grad=True) for each in pair)
        out = operation(x, v).double()
        want = [None, None]
        if out.requires_grad:
            want = torch.autograd.grad(out, (x, v), allow_unused=True)
        nodes = [found.gradients[n] for n in found.gradients if n.lstrip("_") in ("x", "v")]
        got = evaluated(found, nodes, np.float64, *pair)
        for a, b in zip(got, want, strict=True):
            assert a == pytest.approx(0.0 if b is None else b.item(), rel=1e-12), pair


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_is_named(name):
    operation, message = REFUSED[name]
    with pytest.raises((Unsupported, RuntimeError), match=message):
        derived(operation)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["numba", pytest.param("triton", marks=needs_triton)])
def test_all_operations_compiled(backend, monkeypatch):
    """In one kernel, on ordinary numbers and others; and the gradients."""
    if backend == "triton":
        monkeypatch.setenv("TRITON_INTERPRET", "1")
    names = [f"state{i}" for i in range(len(OPERATIONS))]

    def update(states, x):
        v = states["state0"]
        return {n: each(x, v).to(x) for n, each in zip(names, OPERATIONS.values(), strict=True)}

    Everything = snn.neuron_from_equations("Everything", names, update)
    x = torch.cat((torch.tensor(NUMBERS), torch.randn(50))).repeat(6, 1)
    x, results = x[:, torch.randperm(x.shape[1])], []
    for way in (backend, "reference"):
        results.append(snn.unroll(Everything(threshold=0.2), x, backend=way))
    for got, want in zip(*results, strict=True):
        np.testing.assert_array_equal(got, want)
    results = []
    for way in (backend, "reference"):
        leaf = torch.linspace(-1, 1.3, 60, dtype=torch.float64).view(6, 10).requires_grad_()
        outs = snn.unroll(Everything(threshold=0.2).double(), leaf, backend=way)
        sum(out.nan_to_num(0, 0, 0).clamp(-9, 9).sum() for out in outs).backward()
        results.append(leaf.grad)
    assert results[1].any()
    torch.testing.assert_close(*results, equal_nan=True)


def test_a_neuron_with_a_tensor_from_outside_follows_it():
    decay = nn.Parameter(torch.tensor(0.9))
    Outside = snn.neuron_from_equations(
        "Outside", ("v",), lambda states, x: {"v": decay * states["v"] + x}
    )
    neuron, x = Outside(), 0.4 + torch.rand(8, 3, 5)
    spk, _ = snn.unroll(neuron, x)
    spk.sum().backward()
    assert decay.grad.item() != 0
    with torch.no_grad():
        decay.fill_(0.1)
    assert not torch.equal(snn.unroll(neuron, x)[0], spk)
    assert "tensor from outside the step" in str(snn.explain(neuron, x))


def test_a_surrogate_with_an_operation_that_kernels_do_not_have():
    """Its slope is then worked out by PyTorch, outside the kernel."""

    class Erfc(snn.surrogate.SurrogateFunction):
        @staticmethod
        def slope(input_):
            return torch.special.erfcx(input_.abs())

    x, results = 0.4 + torch.rand(8, 3, 5, dtype=torch.float64), []
    for backend in ("numba", "reference"):
        leaf = x.clone().requires_grad_()
        neuron = snn.Leaky(0.9, spike_grad=snn.surrogate.SpikeGrad(Erfc)).double()
        snn.unroll(neuron, leaf, backend=backend)[0].sum().backward()
        results.append(leaf.grad)
    assert results[0].any()
    torch.testing.assert_close(*results)

"""Steps by hand, and what is derived from them against autograd."""

import math

import numpy as np
import pytest
import torch

from snntorch import dynamics, surrogate
from snntorch._engine.derive import INPUT, SPIKES, derive
from snntorch._engine.kernels import Spec, backward, forward
from snntorch._engine.numba_source import body
from snntorch._engine.writer import Unsupported

MODELS = {name: m for name, m in vars(dynamics).items() if isinstance(m, dynamics.Model)}
STEPS = [
    pytest.param(name, reset, late, id=f"{name}-{reset}-{'late' if late else 'now'}")
    for name in MODELS
    for reset in ("subtract", "zero", "none")
    for late in (True, False)
    if not name.startswith("LSTM") and not (name == "DELTA_LEAKY" and reset != "none")
]


def test_updates_by_hand():
    assert dynamics.LEAKY.update(0.5, 2.0, 0.25) == (1.0,)
    assert dynamics.RECURRENT_LEAKY.update(0.5, 0.125, 1.0, 2.0, 0.25) == (1.125,)
    assert dynamics.ONE_TO_ONE_LEAKY.update(0.5, 1.0, 2.0, 0.25, 0.125) == (1.125,)
    assert dynamics.DELTA_LEAKY.update(0.5, 2.0, 9.0, 0.25) == (1.0, 2.0)
    assert dynamics.SYNAPTIC.update(0.5, 2.0, 4.0, 0.25, 0.5) == (1.0, 3.0)
    assert dynamics.RECURRENT_SYNAPTIC.update(0.5, 0.125, 1, 2.0, 4.0, 0.25, 0.5) == (1.125, 3.125)
    assert dynamics.ALPHA.update(0.5, 2.0, 4.0, 9.0, 0.25, 0.5, 2.0) == (1.0, 1.5, 5.0)
    assert dynamics.LAPICQUE.update(0.5, 2.0, 4.0, 0.25, 0.5, 0.75) == (1.75,)
    syn, mem = dynamics.LSTM.update(0.5, 0.25, -1.0, 0.5, torch.tensor(2.0), torch.tensor(9.0))
    assert syn == 0 and mem == 0


def test_resets_by_hand():
    new, old = (1.0, 1.5, 5.0), (2.0, 4.0, 9.0)
    assert dynamics.SYNAPTIC.reset("subtract", new[1:], old[1:], 1.0, 0.75) == (1.5, 4.25)
    assert dynamics.SYNAPTIC.reset("zero", new[1:], old[1:], 1.0, 0.75) == (1.5, 0.0)
    assert dynamics.ALPHA.reset("subtract", new, old, 1.0, 0.25) == (0.75, 0.0, 9.0)
    assert dynamics.ALPHA.reset("subtract", new, old, 0.0, 0.25) == new
    assert dynamics.ALPHA.reset("zero", new, old, 1.0, 0.25) == (0.0, 0.0, 0.0)


def run(lines, arrays, numbers):
    """Run the body of a kernel for one neuron; return its arrays, which have one element each."""
    arrays = {name: np.full(1, value) for name, value in arrays.items()}
    constants = {"n": 0, "F": float, "ONE": 1.0, "ZERO": 0.0, "math": math}
    exec("\n".join(lines), {**arrays, **numbers, **constants})
    return {name: array[0] for name, array in arrays.items()}


@pytest.mark.parametrize("above", [True, False])
@pytest.mark.parametrize("name, reset, late", STEPS)
def test_what_is_derived_equals_autograd(name, reset, late, above):
    step = MODELS[name].dynamics(reset, late)
    names = (*step.inputs, *step.states, *step.parameters)
    rng = np.random.default_rng(len(name) + above)
    values = dict(zip(names, rng.uniform(0.2, 0.9, len(names)), strict=True))
    values["mem"], values["threshold"] = (0.9, 0.4) if above else (0.2, 0.7)
    cotangents = dict(
        zip((SPIKES, *step.states), rng.normal(size=1 + len(step.states)), strict=True)
    )
    # Autograd, through the step as neurons take it.
    tensors = {
        n: torch.tensor(v, dtype=torch.float64, requires_grad=True) for n, v in values.items()
    }
    spike = surrogate.atan(1.7)
    outs = step.step(
        *tensors.values(), spike=spike, fired=lambda u: surrogate.heaviside_step(u.detach())
    )
    total = sum(g * out for g, out in zip(cotangents.values(), outs, strict=True))
    want = torch.autograd.grad(total, tensors.values(), allow_unused=True)
    # The text of the kernels.
    spec = Spec("float64", step, frozenset(), frozenset((*step.states, *forward_saved(step))))
    to = {f"to_{n}": 0.0 for n in (SPIKES, *step.states, *forward_saved(step))}
    inputs = {f"in_{n}": values[n] for n in step.inputs}
    at = {f"at_{n}": values[n] for n in step.states}
    parameters = {f"s_{n}": values[n] for n in step.parameters}
    found = run(body(spec, False), {**to, **inputs, **at}, parameters)
    for state, out in zip((f"to_{SPIKES}", *(f"at_{n}" for n in step.states)), outs, strict=True):
        assert found[state] == out.item()
    spec = Spec(
        "float64",
        step,
        frozenset(),
        slope=surrogate.ATan.slope,
        count=1,
        given=frozenset(cotangents),
        wanted=frozenset((INPUT, *step.parameters)),
    )
    read = backward(spec)
    given = {f"to_{n}": found[f"to_{n}"] for n in read.news}
    given |= {f"old_{n}": values[n] for n in read.olds} | {
        f"in_{n}": values[n] for n in read.inputs
    }
    given |= {f"gr_{n}": g for n, g in cotangents.items()} | {f"at_{n}": 0.0 for n in step.states}
    given |= {f"to_{n}": 0.0 for n in step.inputs} | {f"sum_{n}": 0.0 for n in step.parameters}
    got = run(body(spec, True), given, {**parameters, "q0": 1.7})
    places = [f"to_{n}" for n in step.inputs] + [f"at_{n}" for n in step.states]
    places += [f"sum_{n}" for n in step.parameters]
    for place, value in zip(places, want, strict=True):
        if place == "at_spk" and len(step.inputs) > 1:
            continue  # the product gives that gradient
        expected = 0.0 if value is None else value.item()
        assert got[place] == pytest.approx(expected, rel=1e-12, abs=1e-14), place


def forward_saved(step):
    return forward(Spec("float64", step, frozenset())).saved


def test_backward_reads_no_more_than_it_needs():
    step = dynamics.LEAKY.dynamics("subtract", True)
    spec = Spec("float32", step, frozenset(), slope=surrogate.ATan.slope, count=1)
    read = backward(
        Spec(**{**vars(spec), "given": frozenset({SPIKES}), "wanted": frozenset({INPUT})})
    )
    assert (read.news, read.olds, read.inputs) == (("mem",), (), ())
    wanted = frozenset({INPUT, "beta"})
    read = backward(Spec(**{**vars(spec), "given": frozenset({SPIKES}), "wanted": wanted}))
    assert (read.news, read.olds, read.inputs) == (("mem",), ("mem",), ())


def test_operations_that_kernels_do_not_have_are_named():
    def step(x, mem, beta, spike, fired, save):
        mem = torch.special.i0(beta * mem + x)
        return spike(mem - 1), mem

    odd = dynamics.Dynamics(step, ("_x",), ("mem",), ("beta",))
    with pytest.raises(Unsupported, match="kernels do not have i0"):
        forward(Spec("float32", odd, frozenset()))


def test_a_step_is_derived_whatever_mode_is_on():
    step = dynamics.SYNAPTIC.dynamics("zero", True)

    def derived():
        return derive(step, surrogate.ATan.slope, 1).gradients.keys()

    hooks = torch.autograd.graph.saved_tensors_hooks(lambda t: t, lambda t: t)
    for mode in (hooks, torch.inference_mode(), torch.no_grad()):
        derive.cache_clear()
        with mode:
            assert derived() == {INPUT, *step.states, *step.parameters}

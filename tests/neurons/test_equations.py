"""Each adjoint against autograd of its step, and the steps against hand-worked numbers."""

import inspect

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from snntorch._neurons import equations

# Each step with its adjoint: the arguments that the adjoint gives gradients of, in its order.
PAIRS = {
    "leaky": "x mem beta",
    "rleaky": "x feedback mem beta",
    "delta_leaky": "x mem beta",
    "synaptic": "x syn mem alpha beta",
    "rsynaptic": "x feedback syn mem alpha beta",
    "alpha": "x exc inh mem alpha beta tau",
    "alpha_subtract": "exc inh mem old_inh threshold",
    "lapicque": "x mem R conductance time_step decay",
    "lstm_cell": "syn input_gate forget_gate candidate",
    "subtract": "mem threshold",
    "zero": "mem",
}

numbers = st.lists(
    st.floats(-3, 3, allow_subnormal=False).filter(lambda v: v == 0 or abs(v) > 1e-6),
    min_size=14,
    max_size=14,
)


def test_every_step_has_an_adjoint_here():
    functions = {name for name, f in inspect.getmembers(equations, inspect.isfunction)}
    assert functions == {*PAIRS, *(f"{name}_adjoint" for name in PAIRS)}


@pytest.mark.parametrize("name", PAIRS)
@given(values=numbers)
def test_adjoint_is_the_gradient_of_the_step(name, values):
    step, adjoint = getattr(equations, name), getattr(equations, f"{name}_adjoint")
    values = iter(torch.tensor(values, dtype=torch.float64))
    arguments = {
        n: next(values).reshape(1).requires_grad_(n in PAIRS[name].split())
        for n in inspect.signature(step).parameters
    }
    new = step(**arguments)
    new = new if isinstance(new, tuple) else (new,)
    grads = [next(values).reshape(1) for _ in new]
    wanted = torch.autograd.grad(
        new,
        [arguments[n] for n in PAIRS[name].split()],
        grads,
        allow_unused=True,
        materialize_grads=True,
    )
    # An adjoint takes the gradients of the new states, then what it needs by the step's names.
    names = list(inspect.signature(adjoint).parameters)[len(grads) :]
    got = adjoint(*grads, *(arguments[n].detach() for n in names))
    got = got if isinstance(got, tuple) else (got,)
    for ours, autograd in zip(got, wanted, strict=True):
        torch.testing.assert_close(ours, autograd, rtol=1e-12, atol=1e-12)


def test_steps_by_hand():
    assert equations.leaky(0.5, 2.0, 0.25) == 1.0
    assert equations.rleaky(0.5, 0.125, 2.0, 0.25) == 1.125
    assert equations.delta_leaky(0.5, 2.0, 9.0, 0.25) == (1.0, 2.0)
    assert equations.synaptic(0.5, 2.0, 4.0, 0.25, 0.5) == (1.0, 3.0)
    assert equations.rsynaptic(0.5, 0.125, 2.0, 4.0, 0.25, 0.5) == (1.125, 3.125)
    assert equations.alpha(0.5, 2.0, 4.0, 9.0, 0.25, 0.5, 2.0) == (1.0, 1.5, 5.0)
    assert equations.alpha_subtract(1.0, 1.5, 5.0, 4.0, 1.0, 0.25) == (0.75, 0.0, 9.0)
    assert equations.alpha_subtract(1.0, 1.5, 5.0, 4.0, 0.0, 0.25) == (1.0, 1.5, 5.0)
    assert equations.lapicque(0.5, 2.0, 4.0, 0.25, 0.5, 0.75) == 1.75
    assert equations.lstm_cell(2.0, 0.5, 0.25, -1.0) == 0.0
    assert equations.subtract(2.5, 1.0, 0.75) == 1.75
    assert equations.zero(2.5, 1.0) == 0.0

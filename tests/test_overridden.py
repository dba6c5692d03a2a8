"""Subclasses that override a part of the step, against recordings of 1.0.0, and what runs them."""

from pathlib import Path

import numpy as np
import overridden
import pytest

GOLDEN = np.load(Path(__file__).parent / "golden" / "overrides.npz")


@pytest.fixture(params=overridden.cases(), ids="-".join)
def case(request):
    return request.param


def test_traces_and_gradients_of_1_0_0(case):
    """50 steps: spikes and states to the bit, gradients up to rounding."""
    got = overridden.run(overridden.make(*case), overridden.current(case[0]))
    prefix = "/".join(case) + "/"
    want = {name[len(prefix) :]: GOLDEN[name] for name in GOLDEN.files if name.startswith(prefix)}
    assert got.keys() == want.keys()
    for name, value in want.items():
        if name.startswith("grad"):
            np.testing.assert_allclose(got[name], value, rtol=1e-4, atol=1e-5, err_msg=name)
        else:
            np.testing.assert_array_equal(got[name], value, err_msg=name)
    assert 0 < want["out0"].mean() < 0.9

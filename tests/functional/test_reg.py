import json

import numpy as np
import pytest
import torch
from project import TESTS

import snntorch.functional as SF

GOLDEN = np.load(TESTS / "golden" / "functional.npz")
ENTRIES = {
    k: meta["kwargs"]
    for k in range(int(GOLDEN["count"]))
    for meta in [json.loads(str(GOLDEN[f"{k}:meta"]))]
    if meta["call"] == "functional.l1_rate_sparsity"
}


def test_recorded_value_and_gradient():
    ((k, kwargs),) = ENTRIES.items()
    spikes = torch.tensor(GOLDEN[f"{k}:in_0"], requires_grad=True)
    penalty = SF.l1_rate_sparsity(**kwargs)(spikes)
    penalty.backward()
    torch.testing.assert_close(penalty.detach(), torch.tensor(GOLDEN[f"{k}:out"]))
    assert torch.equal(spikes.grad, torch.tensor(GOLDEN[f"{k}:grad"]))


def test_by_hand():
    spikes = torch.tensor([[[1.0, 0.0, 1.0]], [[0.0, 0.0, 1.0]]])
    assert SF.l1_rate_sparsity(0.5)(spikes).item() == 1.5
    assert SF.l1_rate_sparsity()(spikes).item() == pytest.approx(3e-5)
    assert SF.l1_rate_sparsity(0.5)(spikes.bool()[0, 0]).item() == 1.0


def test_half_precision_counts_exactly():
    # float16 ends at 65504
    penalty = SF.l1_rate_sparsity(0.5)(torch.ones(100, 100, 10, dtype=torch.float16))
    assert penalty.dtype == torch.float32 and penalty.item() == 50000
    assert SF.l1_rate_sparsity()(torch.ones(2, dtype=torch.float64)).dtype == torch.float64


def test_wrong_input():
    with pytest.raises(TypeError, match=r"spk_out is a list; .*torch.stack\(steps\)"):
        SF.l1_rate_sparsity()([torch.ones(2)])
    with pytest.raises(TypeError, match=r"spk_out is a torch.complex64"):
        SF.l1_rate_sparsity()(torch.ones(2, dtype=torch.complex64))

"""Published networks of BRF neurons classify as their authors report.

The weights and recordings are not part of the project; without them the tests are skipped.
"""

import gzip

import numpy as np
import pytest
import torch
from project import ROOT
from torch import nn

import snntorch as snn

DATA = ROOT.parent / "shared" / "data"
BRF = DATA / "brf"

pytestmark = pytest.mark.skipif(
    not BRF.is_dir(), reason=f"not run: the published weights are not in {BRF}"
)


def weight(values):
    """Return a layer without bias."""
    layer = nn.Linear(*reversed(values.shape), bias=False)
    layer.weight.data = values
    return layer


def network(name):
    """Return a published network; its outputs are the membranes of the last neurons."""
    file = torch.load(BRF / f"brf_{name}.pt", map_location="cpu", weights_only=True)[
        "model_state_dict"
    ]
    joint = file["hidden.linear.weight"] * file["hidden.linear.mask"]
    out = file["out.linear.weight"]
    hidden = len(joint)
    decay = torch.exp(-1 / file["out.tau_mem"])
    return nn.Sequential(
        weight(joint[:, :-hidden].contiguous()),
        snn.BRF(
            omega=file["hidden.omega"],
            b_offset=file["hidden.b_offset"],
            recurrent=weight(joint[:, -hidden:].contiguous()),
            init_hidden=True,
        ),
        weight((1 - decay)[:, None] * out),
        snn.Leaky(beta=decay, reset_mechanism="none"),
    ).requires_grad_(False)


def outputs(net, x):
    """Run a network over ``[T, B, features]`` on the compiled backend."""
    for row in snn.explain(net, x):
        assert row.backend in (None, "numba"), row
    with snn.use_backend("numba"):
        return snn.unroll(net, x)[-1]


def read(name, head):
    with gzip.open(DATA / "mnist" / f"t10k-{name}.gz") as file:
        return torch.from_numpy(np.frombuffer(file.read(), np.uint8, offset=head).copy())


def test_ecg():
    """Each step of 141 recordings is of one of 6 classes."""
    file = np.load(BRF / "qtdb_test.npz")
    x = torch.from_numpy(file["x"]).float().transpose(0, 1)
    labels = torch.from_numpy(file["y"]).argmax(-1).T
    right = outputs(network("ecg"), x).argmax(-1) == labels
    assert 100 * right.double().mean() == pytest.approx(86.2, abs=0.05)


# How the networks were read out: the one at its last step, the other by the mean over all steps.
READOUTS = {
    "smnist": (99.14, lambda out: out[-1]),
    "psmnist": (95.22, lambda out: out.mean(0)),
}


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", READOUTS)
def test_mnist_pixel_by_pixel(name):
    """All 10,000 test images."""
    images, labels = read("images-idx3-ubyte", 16).reshape(-1, 784), read("labels-idx1-ubyte", 8)
    if name == "psmnist":
        order = torch.load(BRF / "psmnist_perm.pt", map_location="cpu", weights_only=True)
        images = images[:, order]
    published, readout = READOUTS[name]
    net, right = network(name), 0
    for some, truth in zip(images.split(250), labels.split(250), strict=True):
        out = outputs(net, (some / 255).T.unsqueeze(-1).contiguous())
        right += (readout(out).argmax(-1) == truth).sum().item()
    assert 100 * right / len(labels) == pytest.approx(published, abs=0.05)

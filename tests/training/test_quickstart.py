"""The quickstart, the digits that come with it, and the examples of the documentation."""

import copy
import gzip
import hashlib
import math
import os
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
import torch
from project import ROOT, load_script, python_blocks

from snntorch import functional as SF
from snntorch import utils

SUBSET = ROOT / "examples" / "data" / "mnist"
SIZES = {"train": 5000, "t10k": 1000}

quickstart = load_script(ROOT / "examples" / "quickstart.py")


def idx(array):
    """The IDX file of a uint8 array, as bytes."""
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes()


IMAGES = np.arange(2 * 28 * 28).reshape(2, 28, 28).astype(np.uint8)
LABELS = np.array([7, 0], np.uint8)


def write_mnist(folder, images=IMAGES, labels=LABELS, part="train"):
    (folder / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(images)))
    (folder / f"{part}-labels-idx1-ubyte").write_bytes(idx(labels))


@pytest.mark.parametrize("suffix, pack", [("", bytes), (".gz", gzip.compress)])
def test_read_idx(tmp_path, suffix, pack):
    (tmp_path / f"digits{suffix}").write_bytes(pack(idx(IMAGES)))
    np.testing.assert_array_equal(quickstart.read_idx(tmp_path, "digits", ndim=3), IMAGES)


@pytest.mark.parametrize(
    "name, content, message",
    [
        ("digits", b"\0\0\x0d" + idx(IMAGES)[3:], "not an IDX file of bytes in 3 dimensions"),
        ("digits", idx(LABELS), "not an IDX file of bytes in 3 dimensions"),
        ("digits", b"<html>", "not an IDX file of bytes in 3 dimensions"),
        ("digits", b"", "not an IDX file of bytes in 3 dimensions"),
        ("digits", idx(IMAGES)[:10], "not an IDX file of bytes in 3 dimensions"),
        ("digits", idx(IMAGES)[:-1], "too short or too long"),
        ("digits", idx(IMAGES) + b"\0", "too short or too long"),
        ("digits.gz", idx(IMAGES), "cannot be read .*download the file again"),
        ("digits.gz", gzip.compress(idx(IMAGES))[:-9], "cannot be read .*download the file again"),
        ("other", idx(IMAGES), r"has no digits.gz and no digits: pass the folder"),
    ],
)
def test_read_idx_names_the_bad_file(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        quickstart.read_idx(tmp_path, "digits", ndim=3)
    assert str(tmp_path) in str(caught.value)


def test_load_mnist_scales_to_one(tmp_path):
    write_mnist(tmp_path)
    pixels, labels = quickstart.load_mnist(tmp_path, "train").tensors
    np.testing.assert_array_equal(pixels[:, 0].numpy(), IMAGES / np.float32(255))
    assert labels.tolist() == LABELS.tolist()


@pytest.mark.parametrize(
    "images, labels",
    [
        (IMAGES[:, :27], LABELS),
        (IMAGES, LABELS[:1]),
        (IMAGES, LABELS + 3),
        (IMAGES[:0], LABELS[:0]),
    ],
    ids=["small images", "too few labels", "letters", "empty"],
)
def test_load_mnist_refuses_other_data(tmp_path, images, labels):
    write_mnist(tmp_path, images, labels)
    with pytest.raises(ValueError, match="expected train images of 28 x 28 pixels"):
        quickstart.load_mnist(tmp_path, "train")


def test_a_bad_folder_ends_with_one_clear_line(tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        quickstart.main(["--data", str(tmp_path)])
    assert stop.value.code == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert "--data" in error and str(tmp_path) in error and "pass the folder" in error


@pytest.mark.parametrize("part, count", SIZES.items())
def test_subset_is_balanced(part, count):
    images, labels = quickstart.load_mnist(SUBSET, part).tensors
    assert images.shape == (count, 1, 28, 28)
    assert Counter(labels.tolist()) == dict.fromkeys(range(10), count // 10)
    assert images.min() == 0 and images.max() == 1
    assert len(images.flatten(1).unique(dim=0)) == count


def test_subset_is_small():
    assert sum(path.stat().st_size for path in SUBSET.glob("*.gz")) < 2_000_000


# Of the files that the script drew from the full MNIST: the start of their SHA-256, unpacked.
DRAWN = {
    "train-images-idx3": "d5576047170efcda",
    "train-labels-idx1": "c59bf8e2e1a5bba7",
    "t10k-images-idx3": "b390db695dc54d0c",
    "t10k-labels-idx1": "2378f782f1f95294",
}


@pytest.mark.parametrize("name, digest", DRAWN.items())
def test_subset_is_what_the_script_drew(name, digest):
    content = gzip.decompress((SUBSET / f"{name}-ubyte.gz").read_bytes())
    assert hashlib.sha256(content).hexdigest().startswith(digest)


def test_the_script_draws_as_its_readme_says(tmp_path):
    """From a made-up MNIST, whose images hold their place in the file."""
    labels = {"train": np.arange(7000) % 10, "t10k": np.arange(1400) // 140}
    for part, each in labels.items():
        images = np.zeros((len(each), 28, 28), np.uint8)
        images[:, 0, 0], images[:, 0, 1] = np.divmod(np.arange(len(each)), 256)
        for kind, array in {"images-idx3": images, "labels-idx1": each.astype(np.uint8)}.items():
            (tmp_path / f"{part}-{kind}-ubyte.gz").write_bytes(gzip.compress(idx(array), 1))
    drawn = dict(load_script(SUBSET / "draw_subset.py").draw(tmp_path))
    generator = np.random.RandomState(1998)
    for part, size in {"train": 500, "t10k": 100}.items():
        kept = []
        for digit in range(10):
            (places,) = (labels[part] == digit).nonzero()
            kept += generator.permutation(places)[:size].tolist()
        head, images = np.split(
            np.frombuffer(drawn[f"{part}-images-idx3-ubyte.gz"], np.uint8), [16]
        )
        images = images.reshape(-1, 28 * 28).astype(int)
        assert head.tobytes() == idx(images.reshape(-1, 28, 28).astype(np.uint8))[:16]
        assert (256 * images[:, 0] + images[:, 1]).tolist() == sorted(kept)
        expected = idx(labels[part][sorted(kept)].astype(np.uint8))
        assert drawn[f"{part}-labels-idx1-ubyte.gz"] == expected


@pytest.fixture
def few_digits(tmp_path):
    """A folder with the first digits of the subset."""
    for part, count in {"train": 640, "t10k": 100}.items():
        images = quickstart.read_idx(SUBSET, f"{part}-images-idx3-ubyte", ndim=3)
        labels = quickstart.read_idx(SUBSET, f"{part}-labels-idx1-ubyte", ndim=1)
        write_mnist(tmp_path, images[:count], labels[:count], part)
    return tmp_path


def test_quickstart_learns_from_few_digits(few_digits, capsys):
    output = few_digits / "new" / "folder"
    options = ["--epochs", "3", "--steps", "10", "--batch-size", "64"]
    folders = ["--data", str(few_digits), "--output", str(output)]
    losses, accuracy = quickstart.main([*options, *folders])
    assert sum(losses[-10:]) < 0.9 * sum(losses[:10])
    assert (output / "quickstart.png").read_bytes().startswith(b"\x89PNG")
    printed = capsys.readouterr().out
    assert f"Test accuracy: {accuracy:.2%}\n" in printed
    assert str(output / "quickstart.png") in printed


@pytest.mark.slow
def test_quickstart_reads_nine_of_ten_digits(tmp_path):
    _, accuracy = quickstart.main(["--output", str(tmp_path)])
    assert accuracy >= 0.9


def test_example_of_the_readme_learns():
    (block,) = python_blocks(ROOT / "README.rst")
    command = [sys.executable, "-W", "error", "-c", block]
    # Tests run side by side: threads that wait for each other would take most of the time.
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    run = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert float(run.stdout.removeprefix("Accuracy: ")) > 0.8


def test_example_of_the_page_on_training_loops(capsys):
    example, written_out = python_blocks(ROOT / "docs" / "backprop.rst")
    names = {"utils": utils, "K": 10, "criterion": SF.ce_rate_loss()}
    exec(example, names)
    losses = [float(line.split()[-1]) for line in capsys.readouterr().out.splitlines()]
    # Guessing gives ln 2 = 0.69; the least, with right spikes alone, is ln(1 + 1/e) = 0.31.
    assert len(losses) == 3 and losses[2] < 0.36
    same = [copy.deepcopy(names["net"]) for _ in range(2)]
    exec(
        written_out,
        {**names, "net": same[0], "optimizer": torch.optim.SGD(same[0].parameters(), 0.1)},
    )
    optimizer = torch.optim.SGD(same[1].parameters(), 0.1)
    names["backprop"].TBPTT(same[1], names["batches"], optimizer, names["criterion"], K=10)
    for a, b in zip(same[0].parameters(), same[1].parameters(), strict=True):
        assert torch.equal(a, b)


def test_states_by_hand_on_the_quickstart_page():
    *_, block = python_blocks(ROOT / "docs" / "quickstart.rst")
    names = {}
    exec(block, names)
    net = names["Net"]()
    spikes = net(torch.rand(4, 784), num_steps=7)
    assert spikes.shape == (7, 4, 10)
    spikes.sum().backward()
    for neurons in (net.hidden_neurons, net.output_neurons):
        assert neurons.beta.grad.abs().sum() > 0


def test_page_on_integrate_and_fire_learns(monkeypatch):
    monkeypatch.chdir(ROOT)
    one, encoder, network, training = python_blocks(ROOT / "docs" / "integrate_and_fire.rst")
    names = {}
    exec(one, names)
    potential, fired = 0.0, []
    for current in names["signal"].tolist():
        potential = max(potential + current, 0.0)
        fired.append(float(potential > 1))
        potential *= potential <= 1
    assert names["spikes"].tolist() == fired
    assert 10 < sum(fired) < 50

    exec(encoder, names)
    for gain, bias in ((1.0, 0.0), (0.7, 0.11), (-0.5, 0.5)):
        current = gain * names["pixels"] + bias
        period = torch.where(current > 0, (1 / current).floor() + 1, math.inf)
        steps = torch.arange(1, 61)[:, None]
        expected = steps % period == 0
        assert torch.equal(names["encode"](names["pixels"], 60, gain, bias).bool(), expected)

    exec(network, names)
    layer = names["Dense"](5, 4, dt=1e-3, tau=3e-3).double()
    weights = layer.weights.weight.detach().numpy()
    inputs = (torch.rand(50, 2, 5) < 0.5).double()
    state = layer.neurons.init_synaptic()
    current, potential = np.zeros((2, 4)), np.zeros((2, 4))
    for step in inputs:
        spk, state = layer(step, state)
        current = math.exp(-1 / 3) * current + step.numpy() @ weights.T
        potential = np.maximum(potential + current, 0)
        assert np.array_equal(spk.detach(), potential > 1)
        potential[potential > 1] = 0
        np.testing.assert_allclose(state[1].detach(), potential, rtol=1e-6, atol=1e-6)

    exec(training, names)
    assert np.mean(names["right"][-10:]) > 0.6

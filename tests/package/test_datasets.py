"""The data sets that come with the library."""

import gzip
import hashlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from idx import idx, write_images
from project import ROOT, load_script

from snntorch import datasets

FILES = Path(datasets.__file__).parent / "files"
READERS = {"mnist": datasets.mnist, "fashion-mnist": datasets.fashion_mnist}
SIZES = {("mnist", True): 500, ("mnist", False): 100}
SIZES |= {("fashion-mnist", True): 300, ("fashion-mnist", False): 60}

IMAGES = np.arange(2 * 28 * 28).reshape(2, 28, 28).astype(np.uint8)
LABELS = np.array([7, 0], np.uint8)


@pytest.mark.parametrize("suffix, pack", [("", bytes), (".gz", gzip.compress)])
def test_idx_files_are_read_plain_and_gzipped(tmp_path, suffix, pack):
    (tmp_path / f"train-images-idx3-ubyte{suffix}").write_bytes(pack(idx(IMAGES)))
    (tmp_path / f"train-labels-idx1-ubyte{suffix}").write_bytes(pack(idx(LABELS)))
    pixels, labels = datasets.mnist(root=tmp_path).tensors
    np.testing.assert_array_equal(pixels[:, 0].numpy(), IMAGES / np.float32(255))
    assert labels.tolist() == LABELS.tolist() and labels.dtype == torch.int64


@pytest.mark.parametrize(
    "name, content, message",
    [
        ("train-images-idx3-ubyte", b"\0\0\x0d" + idx(IMAGES)[3:], "not an IDX file of bytes in 3"),
        ("train-images-idx3-ubyte", idx(LABELS), "not an IDX file of bytes in 3 dimensions"),
        ("train-images-idx3-ubyte", b"<html>", "not an IDX file of bytes in 3 dimensions"),
        ("train-images-idx3-ubyte", b"", "not an IDX file of bytes in 3 dimensions"),
        ("train-images-idx3-ubyte", idx(IMAGES)[:10], "not an IDX file of bytes in 3 dimensions"),
        ("train-images-idx3-ubyte", idx(IMAGES)[:-1], "too short or too long"),
        ("train-images-idx3-ubyte", idx(IMAGES) + b"\0", "too short or too long"),
        ("train-images-idx3-ubyte.gz", idx(IMAGES), "cannot be read .*download the file again"),
        ("train-images-idx3-ubyte.gz", gzip.compress(idx(IMAGES))[:-9], "cannot be read"),
        (
            "other",
            idx(IMAGES),
            r"has no train-images-idx3-ubyte.gz and no train-.* pass the folder",
        ),
    ],
)
def test_a_bad_file_is_named(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        datasets.mnist(root=tmp_path)
    assert str(tmp_path) in str(caught.value)


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
def test_other_data_are_refused(tmp_path, images, labels):
    write_images(tmp_path, images, labels)
    with pytest.raises(ValueError, match="expected train images of 28 x 28 pixels"):
        datasets.mnist(root=tmp_path)


@pytest.mark.parametrize("name", READERS)
def test_the_full_set_is_where_the_variable_says(tmp_path, monkeypatch, name):
    monkeypatch.setenv("SNNTORCH_DATA", str(tmp_path))
    (tmp_path / name).mkdir()
    write_images(tmp_path / name, IMAGES, LABELS, "t10k")
    assert READERS[name](train=False).tensors[1].tolist() == [7, 0]
    with pytest.raises(ValueError, match="has no train-images"):
        READERS[name]()


@pytest.mark.parametrize("name, train", SIZES)
def test_images_are_balanced(name, train):
    images, labels = READERS[name](train).tensors
    each = SIZES[name, train]
    assert images.shape == (10 * each, 1, 28, 28) and images.dtype == torch.float32
    assert Counter(labels.tolist()) == dict.fromkeys(range(10), each)
    assert images.min() == 0 and images.max() == 1
    assert len(images.flatten(1).unique(dim=0)) == 10 * each


def test_recordings():
    for train, count in {True: 618, False: 141}.items():
        events, classes = datasets.ecg(train).tensors
        assert events.shape == (count, 1301, 4) and events.dtype == torch.float32
        assert set(events.unique().tolist()) <= {-1, 0, 1}
        assert classes.unique().tolist() == [-100, *range(6)]
        assert 0.05 < events.abs().mean() < 0.1  # sparse


def test_recordings_follow_the_heartbeat():
    """After each part of a heartbeat comes the next: P, PQ, QR, RS, ST, TP, and P again."""
    _, classes = datasets.ecg().tensors
    now, then = classes[:, :-1], classes[:, 1:]
    changes = (now != then) & (now >= 0) & (then >= 0)
    assert ((now + 1) % 6 == then)[changes].float().mean() > 0.99


def test_the_files_are_small():
    assert sum(path.stat().st_size for path in FILES.rglob("*") if path.is_file()) < 3_000_000


# The start of the SHA-256 of each file of images, unpacked.
DRAWN = {
    "mnist/train-images-idx3": "d5576047170efcda",
    "mnist/train-labels-idx1": "c59bf8e2e1a5bba7",
    "mnist/t10k-images-idx3": "b390db695dc54d0c",
    "mnist/t10k-labels-idx1": "2378f782f1f95294",
    "fashion-mnist/train-images-idx3": "c6f44498fdd57810",
    "fashion-mnist/train-labels-idx1": "1466ee32d40cf076",
    "fashion-mnist/t10k-images-idx3": "e4222963b5c2a19f",
    "fashion-mnist/t10k-labels-idx1": "252e1df87bc7a40a",
}


@pytest.mark.parametrize("name, digest", DRAWN.items())
def test_the_files_are_those_that_were_drawn(name, digest):
    content = gzip.decompress((FILES / f"{name}-ubyte.gz").read_bytes())
    assert hashlib.sha256(content).hexdigest().startswith(digest)


def test_the_script_draws_as_the_readme_says(tmp_path):
    """From a made-up MNIST, whose images hold their place in the file."""
    script = load_script(ROOT / "tools" / "draw_subset.py")
    labels = {"train": np.arange(7000) % 10, "t10k": np.arange(1400) // 140}
    for part, each in labels.items():
        images = np.zeros((len(each), 28, 28), np.uint8)
        images[:, 0, 0], images[:, 0, 1] = np.divmod(np.arange(len(each)), 256)
        for kind, array in {"images-idx3": images, "labels-idx1": each.astype(np.uint8)}.items():
            (tmp_path / f"{part}-{kind}-ubyte.gz").write_bytes(gzip.compress(idx(array), 1))
    drawn = {
        name: gzip.decompress(content)
        for name, content in script.draw_images(tmp_path, script.PARTS["mnist"])
    }
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

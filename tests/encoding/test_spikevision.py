"""The data sets, on small files in the formats in which they are published."""

import pickle
import sys

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

import snntorch as snn
from snntorch.spikevision import data, spikedata

tonic = pytest.importorskip("tonic", reason="needs tonic, of the extra [data]")


def write_nmnist(root, part, digit, number, events):
    """Five bytes an event: x, y, a bit of polarity and 23 of microseconds."""
    folder = root / "NMNIST" / part / str(digit)
    folder.mkdir(parents=True, exist_ok=True)
    content = b""
    for x, y, t, p in events:
        content += bytes([x, y]) + (p << 23 | t).to_bytes(3, "big")
    (folder / f"{number:05}.bin").write_bytes(content)


EVENTS = [
    (10, 30, 937, 1),
    (10, 30, 999, 1),
    (33, 20, 1030, 0),
    (7, 15, 299_999, 1),
    (0, 0, 300_000, 1),
]


@pytest.fixture
def nmnist(tmp_path):
    write_nmnist(tmp_path, "Train", 3, 1, EVENTS)
    write_nmnist(tmp_path, "Train", 8, 2, EVENTS[2:])
    write_nmnist(tmp_path, "Test", 5, 3, EVENTS[:1])
    return tmp_path


def where(frames):
    return {tuple(place): frames[tuple(place)].item() for place in frames.nonzero().tolist()}


def test_nmnist(nmnist):
    digits = spikedata.NMNIST(nmnist, download_and_create=False)
    assert len(digits) == 2
    samples = {target: frames for frames, target in (digits[0], digits[1])}
    assert samples[3].shape == (300, 2, 34, 34) and samples[3].dtype == torch.float32
    assert where(samples[3]) == {(0, 1, 30, 10): 2, (1, 0, 20, 33): 1, (299, 1, 15, 7): 1}
    assert where(samples[8]) == {(1, 0, 20, 33): 1, (299, 1, 15, 7): 1}


def test_nmnist_test_set_transforms_and_other_steps(nmnist):
    options = {"num_steps": 5, "dt": 100, "download_and_create": False}
    functions = (lambda frames: frames.sum((1, 2, 3)), lambda target: -target)
    ((frames, target),) = list(data.NMNIST(str(nmnist), False, *functions, **options))
    assert (frames.tolist(), target) == ([0, 0, 0, 0, 0], -5)
    ((frames, _),) = list(data.NMNIST(nmnist, False, *functions, False, 10, 100))
    assert frames.tolist() == [0] * 9 + [1]


@pytest.fixture
def gestures(tmp_path):
    """Arrays of x, y, polarity and milliseconds, a folder for each person and lighting."""
    folder = tmp_path / "DVSGesture" / "ibmGestureTrain" / "user07_fluorescent_led"
    folder.mkdir(parents=True)
    events = [[5, 6, 1, 0.2], [127, 126, 0, 3.5], [127, 127, 0, 3.6], [1, 1, 1, 500.0]]
    np.save(folder / "4.npy", np.array(events))
    return tmp_path


def test_dvs_gesture(gestures):
    frames, target = spikedata.DVSGesture(gestures, download_and_create=False)[0]
    assert target == 4 and frames.shape == (500, 2, 128, 128)
    assert where(frames) == {(0, 1, 6, 5): 1, (3, 0, 126, 127): 1, (3, 0, 127, 127): 1}


def test_dvs_gesture_downsampled_shuffled_with_meta(gestures):
    options = {"num_steps": 8, "ds": 4, "return_meta": True, "time_shuffle": True}
    sets = spikedata.DVSGesture(gestures, download_and_create=False, **options)
    times = set()
    for _ in range(20):
        frames, target, light, user = sets[0]
        assert (target, user) == (4, 7) and "fluorescent" in light
        assert frames.shape == (8, 2, 32, 32)
        found = where(frames)
        assert {place[1:]: n for place, n in found.items()} == {(1, 1, 1): 1, (0, 31, 31): 2}
        times.add(tuple(place[0] for place in found))
    assert len(times) > 3


@pytest.fixture
def shd(tmp_path):
    """HDF5 with ragged arrays of seconds and channels."""
    h5py = pytest.importorskip("h5py")
    (tmp_path / "SHD").mkdir()
    with h5py.File(tmp_path / "SHD" / "shd_train.h5", "w") as file:
        times = file.create_dataset("spikes/times", 2, h5py.vlen_dtype(np.float16))
        units = file.create_dataset("spikes/units", 2, h5py.vlen_dtype(np.uint16))
        times[0], units[0] = np.array([0.0, 0.25, 0.5], np.float16), np.array([3, 699, 4])
        times[1], units[1] = np.array([0.75], np.float16), np.array([10])
        file["labels"] = np.array([4, 19], np.uint16)
        file["extra/keys"] = np.array([b"zero", b"one"])
        file["extra/speaker"] = np.array([0, 1], np.uint16)
    return tmp_path


def test_shd(shd):
    words = spikedata.SHD(shd, download_and_create=False)
    frames, target = words[0]
    assert target == 4 and frames.shape == (1000, 700)
    assert where(frames) == {(0, 3): 1, (250, 699): 1, (500, 4): 1}
    assert words[1][1] == 19
    frames, _ = spikedata.SHD(shd, True, None, None, False, 100, 5, 10_000)[0]
    assert frames.shape == (100, 140)
    assert where(frames) == {(0, 0): 1, (25, 139): 1, (50, 0): 1}


def test_through_a_loader_with_a_worker_into_a_network(nmnist):
    digits = spikedata.NMNIST(nmnist, download_and_create=False, num_steps=20)
    ((frames, targets),) = DataLoader(digits, batch_size=2, num_workers=1)
    assert frames.shape == (2, 20, 2, 34, 34) and sorted(targets.tolist()) == [3, 8]
    net = nn.Sequential(nn.Flatten(), nn.Linear(2 * 34 * 34, 10), snn.Leaky(0.5, init_hidden=True))
    assert snn.unroll(net, frames.transpose(0, 1)).shape == (20, 2, 10)
    copy = pickle.loads(pickle.dumps(digits))
    assert torch.equal(copy[0][0], digits[0][0])


def test_the_recipe_from_tonic_to_unroll(nmnist):
    """As on the documentation page: padded batches, time first."""
    size = tonic.datasets.NMNIST.sensor_size
    to_frames = tonic.transforms.ToFrame(sensor_size=size, time_window=1000)
    kind = type("NMNIST", (tonic.datasets.NMNIST,), {"download": lambda self: None})
    digits = kind(str(nmnist), transform=to_frames)
    pad = tonic.collation.PadTensors(batch_first=False)
    ((frames, _),) = DataLoader(digits, batch_size=2, collate_fn=pad)
    assert frames.shape[1:] == (2, 2, 34, 34)
    layers = [nn.Conv2d(2, 4, 5), snn.Leaky(0.5, init_hidden=True)]
    assert snn.unroll(nn.Sequential(*layers), frames.float()).shape == (len(frames), 2, 4, 30, 30)


def test_its_import_warns_and_points_to_tonic(monkeypatch):
    monkeypatch.delitem(sys.modules, "snntorch.spikevision")
    with pytest.warns(DeprecationWarning, match=r"snntorch\.spikevision is .*tonic") as caught:
        import snntorch.spikevision  # noqa: F401
    assert len(caught) == 1
    assert caught[0].filename == __file__


@pytest.mark.parametrize("name", ["NMNIST", "DVSGesture", "SHD"])
def test_no_files(name, tmp_path):
    with pytest.raises(FileNotFoundError, match=f"training set of {name}.*download_and_create"):
        getattr(spikedata, name)(tmp_path, download_and_create=False)


def test_wrong_arguments(nmnist):
    with pytest.raises(ValueError, match="num_steps is 0"):
        spikedata.NMNIST(nmnist, download_and_create=False, num_steps=0)
    with pytest.raises(TypeError, match=r"dt is 0\.5"):
        spikedata.NMNIST(nmnist, download_and_create=False, dt=0.5)


def test_without_tonic(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tonic", None)
    with pytest.raises(ModuleNotFoundError, match="pip install tonic"):
        spikedata.SHD(tmp_path)

"""Small data sets that come with the library, for examples and tutorials.

They are parts of public data sets and need no download. ``README.rst`` beside this file names their
sources and licenses.
"""

from __future__ import annotations

import gzip
import math
import os
import zlib
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import TensorDataset

__all__ = ["ecg", "fashion_mnist", "mnist"]

# Not beside this file: `import snntorch.datasets.mnist` would import the folder and so hide the
# function of that name.
_FILES = Path(__file__).resolve().parent / "files"
_VARIABLE = "SNNTORCH_DATA"


def mnist(train: bool = True, root: str | os.PathLike[str] | None = None) -> TensorDataset:
    """Return handwritten digits: by default 5,000 of MNIST to train on and 1,000 to test on.

    Example::

        images, labels = snn.datasets.mnist().tensors

    :param train: the digits to train on, else those to test on
    :param root: a folder with the four IDX files of the full data set, gzipped or plain; default:
        the folder ``mnist`` in that of the environment variable ``SNNTORCH_DATA``, if it is set,
        else the digits that come with the library
    :return: images ``[N, 1, 28, 28]``, float32 from 0 to 1, and labels ``[N]``, int64 from 0 to 9
    :raises ValueError: files that are missing, damaged, or not of 28 x 28 pixels and ten classes

    Source: Y. LeCun and C. Cortes, "The MNIST database of handwritten digits", CC BY-SA 3.0.
    """
    return _images("mnist", train, root)


def fashion_mnist(train: bool = True, root: str | os.PathLike[str] | None = None) -> TensorDataset:
    """Return pictures of clothes: by default 3,000 of Fashion-MNIST to train on and 600 to test on.

    :param train: the images to train on, else those to test on
    :param root: a folder with the four IDX files of the full data set, gzipped or plain; default:
        the folder ``fashion-mnist`` in that of the environment variable ``SNNTORCH_DATA``, if it
        is set, else the images that come with the library
    :return: images ``[N, 1, 28, 28]``, float32 from 0 to 1, and labels ``[N]``, int64 from 0 to 9:
        T-shirt, trouser, pullover, dress, coat, sandal, shirt, sneaker, bag, ankle boot
    :raises ValueError: files that are missing, damaged, or not of 28 x 28 pixels and ten classes

    Source: H. Xiao, K. Rasul and R. Vollgraf, "Fashion-MNIST: a novel image dataset for
    benchmarking machine learning algorithms", arXiv:1708.07747 (2017), MIT license.
    """
    return _images("fashion-mnist", train, root)


def ecg(train: bool = True) -> TensorDataset:
    """Return heartbeats as events: 618 electrocardiograms to train on and 141 to test on.

    Each of the two leads has two channels: one for crossings of a level upward, one for those
    downward. The class of a time step is the part of the heartbeat: P, PQ, QR, RS, ST or TP.

    :param train: the recordings to train on, else those to test on
    :return: events ``[N, 1301, 4]``, float32, -1, 0 or 1; and classes ``[N, 1301]``, int64 from 0
        to 5, or -100, which ``cross_entropy`` ignores, where a step is not labeled

    Source: P. Laguna et al., "A database for evaluation of algorithms for measurement of QT and
    other waveform intervals in the ECG", Computers in Cardiology 24 (1997), PhysioNet, Open Data
    Commons Attribution License 1.0; as events by B. Yin, F. Corradi and S. M. Bohté, "Accurate and
    efficient time-domain classification with adaptive spiking recurrent neural networks", Nature
    Machine Intelligence 3 (2021), MIT license.
    """
    with np.load(_FILES / "ecg" / f"{'train' if train else 'test'}.npz") as file:
        events, classes = file["events"], file["classes"]
    return TensorDataset(torch.from_numpy(events).float(), torch.from_numpy(classes).long())


def _images(name: str, train: bool, root: str | os.PathLike[str] | None) -> TensorDataset:
    if root is None:
        full = os.environ.get(_VARIABLE)
        root = Path(full) / name if full else _FILES / name
    folder, part = Path(root), "train" if train else "t10k"
    images = _read_idx(folder, f"{part}-images-idx3-ubyte", ndim=3)
    labels = _read_idx(folder, f"{part}-labels-idx1-ubyte", ndim=1)
    if images.shape != (len(labels), 28, 28) or not len(labels) or labels.max() > 9:
        raise ValueError(
            f"{folder}: expected {part} images of 28 x 28 pixels with as many labels from 0 to 9, "
            f"got images {images.shape} and {len(labels)} labels: pass a folder with MNIST files"
        )
    pixels = torch.from_numpy(images / np.float32(255)).unsqueeze(1)
    return TensorDataset(pixels, torch.from_numpy(labels.astype(np.int64)))


def _read_idx(folder: Path, name: str, ndim: int) -> np.ndarray:
    """Return the array with ``ndim`` dimensions in an IDX file, gzipped or plain."""
    path = next((p for p in (folder / f"{name}.gz", folder / name) if p.is_file()), None)
    if path is None:
        raise ValueError(f"{folder} has no {name}.gz and no {name}: pass the folder that does")
    try:
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{path} cannot be read ({error}): download the file again") from error
    # Two zeros, 8 for unsigned bytes, the number of dimensions; then their sizes, big-endian.
    start = 4 + 4 * ndim
    if raw[:4] != bytes([0, 0, 8, ndim]) or len(raw) < start:
        raise ValueError(
            f"{path} is not an IDX file of bytes in {ndim} dimensions: download it again"
        )
    shape = np.frombuffer(raw, ">u4", count=ndim, offset=4)
    if len(raw) - start != math.prod(map(int, shape)):
        raise ValueError(f"{path} is too short or too long for its shape: download it again")
    return np.frombuffer(raw, np.uint8, offset=start).reshape(shape)

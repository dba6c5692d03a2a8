"""Files in the IDX format of MNIST."""

import gzip

import numpy as np


def idx(array):
    """Return the IDX file of a uint8 array, as bytes."""
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes()


def write_images(folder, images, labels, part="train"):
    """Write images, gzipped, and their labels, plain."""
    packed = gzip.compress(idx(images.astype(np.uint8)))
    (folder / f"{part}-images-idx3-ubyte.gz").write_bytes(packed)
    (folder / f"{part}-labels-idx1-ubyte").write_bytes(idx(labels.astype(np.uint8)))

"""Draw the subset beside this file from the full MNIST: draw_subset.py SOURCE [DESTINATION]."""

import gzip
import sys
from pathlib import Path

import numpy as np

SEED = 1998
PARTS = {"train": 500, "t10k": 100}  # digits of each class
HEADERS = {"images-idx3": 16, "labels-idx1": 8}  # bytes


def draw(source):
    """Yield the name and the content of each of the four files, drawn from folder `source`."""
    rng = np.random.RandomState(SEED)  # its stream is the same in every version of NumPy
    for part, per_class in PARTS.items():
        names = {kind: f"{part}-{kind}-ubyte.gz" for kind in HEADERS}
        full = {kind: gzip.decompress((source / names[kind]).read_bytes()) for kind in HEADERS}
        labels = np.frombuffer(full["labels-idx1"], np.uint8, offset=HEADERS["labels-idx1"])
        members = [np.flatnonzero(labels == digit) for digit in range(10)]
        chosen = np.sort(np.concatenate([rng.permutation(m)[:per_class] for m in members]))
        for kind, header in HEADERS.items():
            rows = np.frombuffer(full[kind], np.uint8, offset=header).reshape(len(labels), -1)
            count = len(chosen).to_bytes(4, "big")  # follows the four bytes of the magic number
            head = full[kind][:4] + count + full[kind][8:header]
            yield names[kind], head + rows[chosen].tobytes()


if __name__ == "__main__":
    destination = Path(sys.argv[2]) if len(sys.argv) > 2 else Path(__file__).parent
    for name, content in draw(Path(sys.argv[1])):
        # Without a time stamp the same content always gives the same file.
        (destination / name).write_bytes(gzip.compress(content, mtime=0))

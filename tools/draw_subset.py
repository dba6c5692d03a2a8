"""Draw the data that come with snntorch.datasets from the original files.

python tools/draw_subset.py mnist FOLDER            # the four IDX files of MNIST
python tools/draw_subset.py fashion-mnist FOLDER    # those of Fashion-MNIST
python tools/draw_subset.py ecg FOLDER              # qtdb_train.npz and qtdb_test.npz
"""

import gzip
import io
import sys
from pathlib import Path

import numpy as np

FILES = Path(__file__).resolve().parents[1] / "snntorch" / "datasets" / "files"
SEED = 1998
# Images of each class.
PARTS = {
    "mnist": {"train": 500, "t10k": 100},
    "fashion-mnist": {"train": 300, "t10k": 60},
}
HEADERS = {"images-idx3": 16, "labels-idx1": 8}  # bytes


def draw_images(source, parts):
    """Yield the name and the content of each of the four files, drawn from folder ``source``."""
    rng = np.random.RandomState(SEED)  # its stream is the same in every version of NumPy
    for part, per_class in parts.items():
        names = {kind: f"{part}-{kind}-ubyte.gz" for kind in HEADERS}
        full = {kind: gzip.decompress((source / names[kind]).read_bytes()) for kind in HEADERS}
        labels = np.frombuffer(full["labels-idx1"], np.uint8, offset=HEADERS["labels-idx1"])
        members = [np.flatnonzero(labels == each) for each in range(10)]
        chosen = np.sort(np.concatenate([rng.permutation(m)[:per_class] for m in members]))
        for kind, header in HEADERS.items():
            rows = np.frombuffer(full[kind], np.uint8, offset=header).reshape(len(labels), -1)
            count = len(chosen).to_bytes(4, "big")  # follows the four bytes of the magic number
            head = full[kind][:4] + count + full[kind][8:header]
            # Without a time stamp the same content always gives the same file.
            yield names[kind], gzip.compress(head + rows[chosen].tobytes(), mtime=0)


def draw_ecg(source):
    """Yield the name and the content of both files; unlabeled steps have the class -100."""
    for part in ("train", "test"):
        file = np.load(source / f"qtdb_{part}.npz")
        classes = np.where(file["y"].any(-1), file["y"].argmax(-1), -100).astype(np.int8)
        content = io.BytesIO()
        np.savez_compressed(content, events=file["x"].astype(np.int8), classes=classes)
        yield f"{part}.npz", content.getvalue()


def main(name, source):
    files = draw_ecg(source) if name == "ecg" else draw_images(source, PARTS[name])
    (FILES / name).mkdir(exist_ok=True)
    for file, content in files:
        (FILES / name / file).write_bytes(content)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))

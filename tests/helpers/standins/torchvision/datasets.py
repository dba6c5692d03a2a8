"""The first digits that come with the library, over and over where there are too few."""

import gzip
import os
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.utils.data import Dataset

import snntorch

DIGITS = Path(snntorch.__file__).parent / "datasets" / "files" / "mnist"


class MNIST(Dataset):
    def __init__(self, root, train=True, transform=None, target_transform=None, download=False):
        self.transform, self.target_transform = transform, target_transform
        part = "train" if train else "t10k"

        def read(name, header):
            content = gzip.decompress((DIGITS / f"{part}-{name}-ubyte.gz").read_bytes())
            return torch.tensor(np.frombuffer(content, np.uint8, offset=header))

        labels = read("labels-idx1", 8).long()
        chosen = torch.arange(int(os.environ["STANDIN_IMAGES"])) % len(labels)
        self.data, self.targets = (
            read("images-idx3", 16).reshape(-1, 28, 28)[chosen],
            labels[chosen],
        )

    def __len__(self):
        return len(self.data)

    def __getitem__(self, index):
        image, target = Image.fromarray(self.data[index].numpy()), int(self.targets[index])
        return (
            self.transform(image) if self.transform else image,
            self.target_transform(target) if self.target_transform else target,
        )


class FashionMNIST(MNIST):
    """The same digits: the pages train on clothes as they do on digits."""

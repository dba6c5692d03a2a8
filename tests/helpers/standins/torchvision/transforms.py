"""Transforms of PIL images, and of the tensors that they become."""

import numpy as np
import torch
from torch import nn


class Compose:
    def __init__(self, transforms):
        self.transforms = transforms

    def __call__(self, image):
        for transform in self.transforms:
            image = transform(image)
        return image


class Resize(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.size = (size, size) if isinstance(size, int) else tuple(size)

    def forward(self, image):
        return image.resize(self.size[::-1])


class Grayscale(nn.Module):
    def forward(self, image):
        return image.convert("L")


class ToTensor:
    def __call__(self, image):
        pixels = torch.from_numpy(np.asarray(image) / np.float32(255))
        return pixels.unsqueeze(0).to(torch.get_default_dtype())


class Normalize(nn.Module):
    def __init__(self, mean, std):
        super().__init__()
        self.mean, self.std = (torch.tensor(each).view(-1, 1, 1) for each in (mean, std))

    def forward(self, image):
        return (image - self.mean) / self.std

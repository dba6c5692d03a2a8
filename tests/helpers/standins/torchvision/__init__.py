"""Stands in for torchvision, as far as the pages of the documentation use it."""

from . import datasets, transforms, utils

__all__ = ["datasets", "transforms", "utils"]

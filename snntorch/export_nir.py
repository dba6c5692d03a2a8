"""Export to NIR, under the module name of 1.0.0."""

from .nir import export_to_nir

__all__ = ["export_to_nir"]

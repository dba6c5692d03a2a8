"""Export to NIR: code for 1.0.0 finds it here."""

from .nir import export_to_nir

__all__ = ["export_to_nir"]

"""The exchange by NIR under the name that the documentation of 1.0.0 gives it."""

from .nir import Report, Row, draw, export_to_nir, import_from_nir, report

__all__ = ["Report", "Row", "draw", "export_to_nir", "import_from_nir", "report"]

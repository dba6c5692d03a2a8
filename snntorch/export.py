"""Exchange by NIR, under the module name in the documentation of 1.0.0."""

from .nir import Report, Row, draw, export_to_nir, import_from_nir, report

__all__ = ["Report", "Row", "draw", "export_to_nir", "import_from_nir", "report"]

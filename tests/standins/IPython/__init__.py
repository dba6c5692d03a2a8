"""Stands in for IPython outside of notebooks."""

"""Whole sequences: what ``unroll`` runs on."""

"""The user's folder of compiled kernels."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path


def folder() -> Path:
    """Return where kernels are kept."""
    chosen = os.environ.get("SNNTORCH_CACHE_DIR")
    if chosen:
        return Path(chosen)
    if sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    elif sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    return base / "snntorch"


def write(path: Path, text: str) -> None:
    """Write a file in one stroke, so that other processes see all of it or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as file:
        file.write(text)
    os.replace(file.name, path)

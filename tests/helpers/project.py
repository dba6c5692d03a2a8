"""Where the project's files are, and how tests read its scripts and pages."""

import importlib.util
import textwrap
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TESTS = ROOT / "tests"


def load_script(path):
    """Import a file that is not part of the package."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def python_blocks(path):
    """Yield the Python examples of a reStructuredText page."""
    _, *parts = path.read_text().split(".. code-block:: python\n\n")
    for part in parts:
        lines = part.splitlines(keepends=True)
        end = next((i for i, line in enumerate(lines) if line[:1] not in " \n"), len(lines))
        yield textwrap.dedent("".join(lines[:end]))

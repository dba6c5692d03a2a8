"""Where the project's files are, and how tests read its scripts and pages."""

import importlib.util
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
TESTS = ROOT / "tests"

CODE_BLOCK = re.compile(
    r"^(?P<indent> *)\.\. code-block:: (?P<language>\w+)\n"
    r"(?P<options>(?:(?P=indent) +:.*\n)*)\n"
    r"(?P<code>(?:(?:(?P=indent) +\S.*)?\n)+)",
    re.MULTILINE,
)


class Block(NamedTuple):
    """A code block of a reStructuredText page."""

    language: str
    code: str
    options: dict[str, str]
    line: int
    """the line of the page on which the code begins, counted from 1"""


def run_python(code, timeout=120, **environment):
    """Return what a program prints that runs in a separate process."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        check=False,
        timeout=timeout,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def load_script(path):
    """Import a file that is not part of the package."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def code_blocks(path):
    """Yield the code blocks of a reStructuredText page."""
    text = path.read_text()
    for found in CODE_BLOCK.finditer(text):
        options = dict(re.findall(r":(\S+): *(.*)", found["options"]))
        line = text.count("\n", 0, found.start("code")) + 1
        code = textwrap.dedent(found["code"]).strip("\n") + "\n"
        yield Block(found["language"], code, options, line)


def python_blocks(path):
    """Yield the Python examples of a reStructuredText page."""
    yield from (block.code for block in code_blocks(path) if block.language == "python")

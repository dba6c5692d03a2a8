"""Install each archive into an empty environment, and run the README's example and the tests on it.

    python tools/try_dist.py "torch==2.13.0" dist/snntorch-1.1.0.tar.gz -- -m "not slow"

What comes after -- goes to pytest; without it no test is run. The checkout gives the files that
the example reads, the tests and the documentation, never the package.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import textwrap
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def example(readme):
    """Return the Python code between the marks in the README."""
    marked = readme.split(".. example begins")[1].split(".. example ends")[0]
    _, code = marked.split(".. code-block:: python\n")
    return textwrap.dedent(re.split(r"\n(?=\S)", code)[0])


def try_archive(archive, torch, options):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run = partial(subprocess.run, check=True, cwd=folder)
        run([sys.executable, "-m", "venv", folder / "venv"])
        python = folder / "venv" / "bin" / "python"
        install = python, "-m", "pip", "install", "--quiet"
        run([*install, torch])
        held = folder / "held"
        held.write_text(re.sub(r"\+.*", "", torch) + "\n")
        run([*install, "--constraint", held, archive])
        run([python, "-m", "pip", "check"])
        for part in ("examples", "tests", "docs", "benchmarks", "tools", "recipe"):
            shutil.copytree(ROOT / part, folder / part)
        for file in ROOT.glob("*.*"):
            if file.is_file():
                shutil.copy(file, folder)
        run([python, "-c", "import snntorch; assert 'site-packages' in snntorch.__file__"])
        run([python, "-W", "error", "-c", example((ROOT / "README.rst").read_text())])
        if options is not None:
            run([*install, "--constraint", held, f"{archive}[test]"])
            run([python, "-m", "pytest", "-p", "no:cacheprovider", *options])


def main(arguments):
    cut = arguments.index("--") if "--" in arguments else len(arguments)
    torch, *archives = arguments[:cut]
    options = arguments[cut + 1 :] if cut < len(arguments) else None
    for archive in archives:
        print(f"{archive}:", flush=True)
        try_archive(Path(archive).resolve(), torch, options)


if __name__ == "__main__":
    os.environ.pop("PYTHONPATH", None)
    main(sys.argv[1:])

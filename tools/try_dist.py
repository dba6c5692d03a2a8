"""Install archives into empty environments, and run the README's example and the tests on them.

    python tools/try_dist.py "torch==2.13.0" dist/snntorch-1.1.0* -- -m "not slow"

What comes after -- goes to pytest; without it no test is run. One of the archives is the source
distribution: all files but the package, which is what is installed, come from there.
"""

import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import textwrap
from functools import partial
from pathlib import Path


def example(readme):
    """Return the Python code between the marks in the README."""
    marked = readme.split(".. example begins")[1].split(".. example ends")[0]
    _, code = marked.split(".. code-block:: python\n")
    return textwrap.dedent(re.split(r"\n(?=\S)", code)[0])


def try_archive(archive, sdist, torch, options):
    with tempfile.TemporaryDirectory() as name, tarfile.open(sdist) as source:
        source.extractall(name, filter="data")
        (folder,) = Path(name).iterdir()
        shutil.rmtree(folder / "snntorch")
        run = partial(subprocess.run, check=True, cwd=folder)
        run([sys.executable, "-m", "venv", "../venv"])
        python = str(folder.parent / "venv" / "bin" / "python")
        install = python, "-m", "pip", "install", "--quiet"
        # torch goes in first and is then held, so that nothing replaces it.
        run([*install, torch])
        held = folder.parent / "held"
        held.write_text(torch + "\n")
        run([*install, "--constraint", held, archive])
        run([python, "-m", "pip", "check"])
        run([python, "-W", "error", "-c", example((folder / "README.rst").read_text())])
        if options is not None:
            run([*install, "--constraint", held, f"{archive}[test]"])
            run([python, "-m", "pytest", *options])


def main(arguments):
    cut = arguments.index("--") if "--" in arguments else len(arguments)
    torch, *names = arguments[:cut]
    archives = [Path(name).resolve() for name in names]
    (sdist,) = (archive for archive in archives if archive.name.endswith(".tar.gz"))
    for archive in archives:
        print(f"{archive.name}:", flush=True)
        try_archive(archive, sdist, torch, arguments[cut + 1 :] if arguments[cut:] else None)


if __name__ == "__main__":
    main(sys.argv[1:])

"""Build the distribution snntorch-ipu into dist: the same source under another name, with the form
for IPUs on from the start. Needs `build`."""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

CHANGES = {
    "pyproject.toml": {
        'name = "snntorch"': 'name = "snntorch-ipu"',
        'description = "Spiking neural networks as PyTorch modules"': (
            'description = "snntorch for IPUs; poptorch comes with the Poplar SDK"'
        ),
        '"snntorch[test,docs]"': '"snntorch-ipu[test,docs]"',
        '"snntorch[data]"': '"snntorch-ipu[data]"',
        '"snntorch[tutorials,dev]"': '"snntorch-ipu[tutorials,dev]"',
    },
    "snntorch/ipu.py": {"\n_on = False\n": "\n_on = True\n"},
}


def write_source(folder):
    """Copy what a wheel is built from, changed."""
    for name in ("pyproject.toml", "README.rst", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "snntorch", folder / "snntorch", ignore=ignore)
    for name, changes in CHANGES.items():
        text = (folder / name).read_text()
        for old, new in changes.items():
            if text.count(old) != 1:
                raise SystemExit(f"{name} has {text.count(old)} times {old!r}; expected once")
            text = text.replace(old, new)
        (folder / name).write_text(text)


def main():
    with tempfile.TemporaryDirectory() as folder:
        write_source(Path(folder))
        command = [sys.executable, "-m", "build", "--wheel", "--outdir", ROOT / "dist", folder]
        subprocess.run(command, check=True)


if __name__ == "__main__":
    main()

"""1.0.0 draws with pandas, declares nothing that it imports, and hides its submodules.

Only names that 1.0.0 has are used, so that the file can be run against it too (with --noconftest),
where every test must fail.
"""

import subprocess
import sys
from importlib import metadata
from pathlib import Path

import snntorch


def run(code):
    """Run code in a new process, with the package of this one."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(snntorch.__file__).parents[1],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_spikeplot_needs_no_pandas():
    assert run("""
import sys
sys.modules["pandas"] = None
import matplotlib
matplotlib.use("agg")
import matplotlib.pyplot as plt
import torch
import snntorch.spikeplot as splt

spikes = torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
fig, ax = plt.subplots()
markers = splt.raster(spikes, ax)
print(len(markers.get_offsets()))
animation = splt.animator(spikes[None], fig, ax)
print(len(animation.to_jshtml()) > 1000)
""") == ["4", "True"]


def test_dependencies_are_declared():
    declared = " ".join(metadata.requires("snntorch") or ())
    for name in ("torch", "numpy", "matplotlib", "celluloid", "nir"):
        assert name in declared


def test_submodules_are_there_after_the_import():
    names = ("functional", "spikegen", "spikeplot", "surrogate", "utils")
    code = f"import snntorch as snn; print(*(hasattr(snn, name) for name in {names}))"
    assert run(code) == ["True"] * len(names)

"""The package as it is imported and installed."""

import subprocess
import sys
from importlib import metadata, resources

import pytest

import snntorch as snn

HEAVY = ("numba", "matplotlib", "celluloid", "nir", "pandas", "tonic")


def run(code):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_import_loads_nothing_heavy():
    loaded = run("import sys, snntorch; print(*{m.split('.')[0] for m in sys.modules})")
    assert "torch" in loaded
    assert not set(HEAVY) & set(loaded)


def test_submodules_load_when_first_used():
    assert run(
        "import sys, snntorch as snn\n"
        "print('snntorch.functional' in sys.modules)\n"
        "snn.functional.loss.ce_rate_loss, snn.surrogate.atan, snn.utils.reset, snn.spikegen.rate\n"
        "print('snntorch.functional' in sys.modules)"
    ) == ["False", "True"]
    assert {"functional", "surrogate", "utils", "spikegen", "Leaky"} <= set(dir(snn))
    with pytest.raises(AttributeError, match="'snntorch' has no attribute 'nothing'"):
        _ = snn.nothing


def test_metadata():
    assert metadata.version("snntorch") == snn.__version__
    assert resources.files(snn).joinpath("py.typed").is_file()

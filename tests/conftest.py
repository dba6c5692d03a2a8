import gc
import os

import pytest
import torch
from hypothesis import settings
from models import MODELS, few
from project import ROOT

from snntorch._network import record

# The first example pays for imports and warm-up; the same examples on every run.
settings.register_profile("house", deadline=None, derandomize=True)
settings.load_profile("house")

# The tensors are tiny, and the tests run in several processes: threads only wait for each other.
torch.set_num_threads(1)


# Nor would snn.compile go on recording networks as small as those of the tests.
record.SMALL = 0

# Compiled kernels stay out of the user's folder, and serve the next run.
CACHE = ROOT / ".pytest_cache" / "kernels"
os.environ.setdefault("SNNTORCH_CACHE_DIR", str(CACHE))


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def only_new_garbage():
    """Let ``gc.collect()`` look at what the test made: in a long run the rest takes a second."""
    gc.freeze()
    yield
    gc.unfreeze()


def pytest_generate_tests(metafunc):
    """A test that asks for ``model`` runs over all of them, over a few in ``make test`` if it is
    marked so; with ``reset`` and ``delay``, over all that each of them takes."""
    names = metafunc.fixturenames
    if "delay" in names:
        cases = [
            pytest.param(model, reset, delay, id=f"{model.id}-{reset}-{'late' if delay else 'now'}")
            for model in MODELS
            for reset in (("subtract", "zero", "none") if model.mechanism else ("none",))
            for delay in ((True, False) if model.delay else (True,))
        ]
        metafunc.parametrize("model, reset, delay", cases)
    elif "model" in names:
        costly = metafunc.definition.get_closest_marker("costly")
        metafunc.parametrize("model", few(MODELS) if costly else MODELS, ids=lambda model: model.id)

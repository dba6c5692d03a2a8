"""Record what release 1.0.0 computes with subclasses that override a part of a neuron's step.

Run inside a virtual environment that holds torch==2.13.0, numpy and snntorch==1.0.0, never the
project itself, and from another folder, with tests/helpers on the path:

    PYTHONPATH=tests/helpers python record_overrides.py tests/golden/overrides.npz

The cases and their input are those of tests/helpers/overridden.py.
``<model>/<override>/<reset>/<name>`` holds what its ``run`` returns.
"""

import sys
import warnings
from importlib.metadata import version

import numpy as np
import torch

warnings.filterwarnings("ignore")
import overridden  # noqa: E402

assert version("snntorch") == "1.0.0"
torch.set_num_threads(1)
found = {}
for case in overridden.cases():
    neuron, x = overridden.make(*case), overridden.current(case[0])
    for name, value in overridden.run(neuron, x).items():
        found["/".join((*case, name))] = value
np.savez_compressed(sys.argv[1], **found)
print(f"{len(overridden.cases())} cases, {len(found)} arrays")

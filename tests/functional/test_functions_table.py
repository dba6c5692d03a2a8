"""Losses, accuracies, the regularizer and encoders beside a table of calls recorded with 1.0.0.

``golden/functions.npz`` holds some 5500 calls. Each gives here what it gave there, or differs for
a reason that ``REASONS`` names, and then is what functions_reference.py works out from the
documentation.
"""

import json
import math
from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest
import torch
from functions_reference import Random, Refused, exactly, right
from project import TESTS, load_script
from releases import CLAMPS_HALF

from snntorch import spikegen
from snntorch.functional import acc, loss, reg

GOLDEN = TESTS / "golden"
recorder = load_script(GOLDEN / "record_functions.py")

FILE = np.load(GOLDEN / "functions.npz")
NUMBERS = np.split(FILE["numbers"], FILE["ends"][:-1])
TENSORS = recorder.tensors()


@dataclass
class Cell:
    """A call and what 1.0.0 gave: ``out`` and ``grad``, or the name of an ``error``."""

    name: str
    kwargs: dict
    args: list
    out: list = ()
    grad: list = None
    error: str = None

    def __str__(self):
        kwargs = "".join(f", {key}={value!r}" for key, value in self.kwargs.items())
        return f"{self.name}({', '.join(self.args)}{kwargs})"

    def arguments(self):
        return recorder.arguments(self.kwargs, self.args, TENSORS)

    def get(self, key, default=None):
        return self.kwargs.get(key, default)

    def of(self, *tensors):
        """Whether the first tensor is one of these."""
        return bool(self.args) and self.args[0] in tensors


CELLS = [Cell(*row[:3], **row[3]) for row in json.loads(str(FILE["table"]))]
NAMES = sorted({cell.name for cell in CELLS})


def measured(tensor):
    """The kind, type, shape and numbers of a result."""
    kind = "numpy" if isinstance(tensor, float) else "tensor"
    tensor = torch.as_tensor(tensor).detach()
    dtype = str(tensor.dtype).removeprefix("torch.") if kind == "tensor" else "float64"
    return kind, dtype, list(tensor.shape), tensor.double().flatten().numpy()


def equal(one, other):
    """Whether two results are the same, to the precision of the lower of their types."""
    exact = "float64" == one[1] == other[1]
    rtol, atol = (1e-6, 1e-7) if exact else (1e-5, 3e-6)
    return one[:3] == other[:3] and np.allclose(one[3], other[3], rtol, atol, equal_nan=True)


def recorded(entry):
    *form, place = entry
    return *form, NUMBERS[place]


def result(given, slope):
    return [measured(each) for each in (*given, *([] if slope is None else [slope]))]


# Why a call differs from 1.0.0, and which calls do. docs/reference/compatibility.rst tells users.

TEMPORAL = ("ce_temporal_loss", "mse_temporal_loss", "SpikeTime", "accuracy_temporal")
ENTROPIES, SQUARES = recorder.ENTROPIES, recorder.SQUARES
LATENCIES = ("latency", "latency_code", "latency_code_linear", "latency_code_log")
TARGETS = ("targets_rate", "targets_latency", "targets_convert")
RATES = ("rate", "rate_conv")
HALF = ("spikes_float16", "spikes_bfloat16", "image_float16", "wave_float16")
WHOLE = ("spikes_bool", "spikes_int64", "bytes")
TYPED = ("classes_int32", "classes_uint8", "classes_float32")


def varies(cell):
    """Whether rate targets are anything but the right class at every step."""
    defaults = {"correct_rate": 1, "incorrect_rate": 0, "first_spike_time": 0}
    return any(cell.get(key, default) != default for key, default in defaults.items())


REASONS = {
    # Losses
    "the mean and the sum of weighted losses are reduced": lambda c: (
        c.name in ENTROPIES and c.get("weight") and c.get("reduction") == "sum"
    ),
    "weights of squared errors follow the class": lambda c: c.name in SQUARES and c.get("weight"),
    "weights may have another type than the outputs": lambda c: (
        c.name in ENTROPIES
        and c.get("weight")
        and c.of("spikes_f64") != (c.get("weight") == "@weight_f64")
    ),
    "float64 outputs give float64": lambda c: c.of("spikes_f64"),
    "half precision is computed in float32": lambda c: c.of(*HALF),
    "integers and booleans are cast": lambda c: c.of(*WHOLE),
    "class indices may have any type": lambda c: c.name in ENTROPIES and c.args[1] in TYPED,
    "probabilities sum to 1 over the classes, not over an axis of space": lambda c: (
        c.name in ENTROPIES and c.of("dense", "dense2")
    ),
    "of one sample, a cross-entropy is one number, and a squared error is refused": lambda c: c.of(
        "no_batch"
    ),
    "unknown reductions are refused": lambda c: c.get("reduction") == "avg",
    "one target for several samples is refused": lambda c: (
        len(c.args) > 1 and c.args[1] in ("classes_1", "classes_4", "class_scalar", "column")
    ),
    "ce_rate_loss takes a population code": lambda c: (
        c.name == "ce_rate_loss" and c.get("population_code")
    ),
    "a population code needs a number of classes": lambda c: c.get("num_classes") is True,
    "a rate that is a whole number of spikes aims at that number": lambda c: (
        c.get("correct_rate") in (0.29, 0.57)
    ),
    "membrane targets may vary in time": lambda c: c.get("time_var_targets"),
    "a negative off_target stays": lambda c: (
        c.name in ("mse_membrane_loss", "latency", *TARGETS) and c.get("off_target", 0) < 0
    ),
    # Spike times
    "the last step is off_target -1": lambda c: (
        c.name in TEMPORAL
        and not c.get("target_is_time")
        and -1 in np.atleast_1d(recorder.arguments(c.kwargs, [], TENSORS)[0].get("off_target", -1))
    ),
    "several spikes of a neuron have times": lambda c: c.get("multi_spike"),
    "every number but 0 is one spike": lambda c: (
        c.name in TEMPORAL and c.of("graded", "potentials")
    ),
    "spike times of another shape are refused": lambda c: (
        c.get("target_is_time")
        and c.args[1] in ("classes", "times_several", "times_several_neuron")
    ),
    # Encoders
    "linear times start at the first spike time": lambda c: c.of("bright") and c.get("normalize"),
    "clipped features never fire, and are never late": lambda c: c.get("clip"),
    "rates of targets other than 1 and 0": lambda c: c.name in TARGETS and varies(c),
    "targets_convert passes the levels on": lambda c: (
        c.name == "targets_convert" and c.get("code") != "other"
    ),
    "uniform trains fire at different steps": lambda c: c.get("firing_pattern") == "uniform",
    "a regular train of 5 in 9 steps": lambda c: c.get("rate") == 5 / 9,
    "no spike times are integers too": lambda c: (
        c.get("rate") == 0 and c.get("firing_pattern") != "other"
    ),
    "unknown codes and patterns are refused": lambda c: (
        "other" in (c.get("code"), c.get("firing_pattern"))
    ),
    "a step has to be left for a spike": lambda c: c.get("first_spike_time") == 9,
    "spike times lie within the steps": lambda c: c.name == "rate_interpolate",
    "rates that vary in time have a gain": lambda c: c.get("time_var_input"),
    "a code that is not one-hot is refused": lambda c: c.name == "from_one_hot",
    "features at the threshold need an epsilon": lambda c: c.get("epsilon") == 0,
}


def check_trains(cell, given):
    """The random trains of targets have the rate that was asked for."""
    steps = cell.get("num_steps") - cell.get("first_spike_time", 0)

    def count(rate):
        return math.ceil(exactly(rate) * steps)

    if cell.name == "target_rate_code":
        spikes, times = given
        assert torch.equal(times, spikes.nonzero().flatten())
        assert len(times) == count(cell.get("rate"))
        assert times.min() >= cell.get("first_spike_time")
        return
    (spikes,) = given
    assert set(spikes.unique().tolist()) <= {0, 1}
    classes = TENSORS["classes"]
    for b, k in np.ndindex(3, 4):
        rate = cell.get("correct_rate" if classes[b] == k else "incorrect_rate")
        if cell.get("firing_pattern") == "uniform" or rate in (0, 1):
            assert spikes[:, b, k].sum() == count(rate)


def check_right(cell, given, slope, error):
    """The call gives, or refuses, what the documentation says."""
    kwargs, args = cell.arguments()
    if slope is not None:
        args[0].requires_grad_()
    try:
        expected = right(cell.name, kwargs, args)
    except Refused as refused:
        assert isinstance(error, ValueError | TypeError), f"{cell} gives {given}"
        assert str(error).startswith(str(refused)), f"{cell} raises {error}"
    except Random:
        assert error is None, f"{cell} raises {error}"
        check_trains(cell, given)
    else:
        assert error is None, f"{cell} raises {error}"
        grad = None if slope is None else recorder.gradient(expected, args[0])
        pairs = zip(result(given, slope), result(expected, grad), strict=True)
        assert all(equal(*pair) for pair in pairs), f"{cell} is not what is documented"


def check(cell):
    """Compare a call with 1.0.0; return the reasons that may explain a difference."""
    given, slope, error = None, None, None
    try:
        given, slope = recorder.call(cell.name, *cell.arguments())
    except Exception as raised:
        error = raised
    if error is not None and cell.error:
        assert isinstance(error, ValueError | TypeError), f"{cell} raises {error!r}"
        return None
    if error is None and not cell.error:
        theirs = [recorded(entry) for entry in (*cell.out, *([cell.grad] if cell.grad else []))]
        ours = result(given, slope)
        if len(ours) == len(theirs) and all(map(equal, ours, theirs)):
            return None
    reasons = [reason for reason, holds in REASONS.items() if holds(cell)]
    assert reasons, f"{cell} differs from 1.0.0, and no reason says why"
    check_right(cell, given, slope, error)
    return reasons


@cache
def differences(name):
    """The reasons of every call of a function that differs from 1.0.0."""
    cells = [cell for cell in CELLS if cell.name == name]
    if not CLAMPS_HALF:
        cells = [cell for cell in cells if not (name in RATES and cell.of("image_float16"))]
    checked = [check(cell) for cell in cells]
    return [reasons for reasons in checked if reasons]


def test_the_table_covers_every_function():
    public = {*loss.__all__, *acc.__all__, *reg.__all__, *spikegen.__all__}
    # The last two are new.
    assert public - set(NAMES) == {"LossFunctions", "events", "frames"}
    assert len(CELLS) > 5000


@pytest.mark.parametrize("name", NAMES)
def test_calls_give_what_1_0_0_gave_or_what_is_documented(name):
    differences(name)


def test_every_reason_is_needed():
    alone = {reasons[0] for name in NAMES for reasons in differences(name) if len(reasons) == 1}
    assert not set(REASONS) - alone

"""The step-wise neurons, one row each: every contract test runs over all rows."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import reference
import torch

import snntorch as snn

COMMON = {"threshold", "graded_spikes_factor", "reset_mechanism_val"}


@dataclass(frozen=True)
class Model:
    id: str
    cls: str
    kwargs: dict[str, Any]
    states: tuple[str, ...]
    keys: set[str]  # of the state_dict beside COMMON
    shape: tuple[int, ...] = (5,)
    hidden: tuple[int, ...] = (5,)
    delay: bool = False  # whether it takes reset_delay
    vectors: tuple[str, ...] = ("threshold",)  # what may be given for each neuron
    fired: tuple[int, ...] | None = field(default=None)  # shape of the spikes, if pooled
    mechanism: bool = True  # whether it takes reset_mechanism
    cleared: bool = False  # whether the membrane is returned after its own reset
    rounded: bool = False  # whether a kernel may round otherwise, by a product or an exponential
    scale: float = 1.0  # of the input, in units of the model's own
    # The equation as helpers/reference.py runs it; None for those that are written there.
    equation: Callable[..., dict[str, Any]] | None = None
    # States before the first step, from the parameters; zero where it does not say.
    start: Callable[[dict[str, Any]], dict[str, Any]] = lambda p: {}

    def make(self, **kwargs):
        if not self.mechanism:
            kwargs.pop("reset_mechanism", None)
        return getattr(snn, self.cls)(**{**self.kwargs, **kwargs})

    def init(self, neuron, *sizes):
        return getattr(neuron, f"init_{self.cls.lower()}", neuron.init_states)(*sizes)

    def mem(self, out):
        """Return the membrane among what a call returns."""
        own = [name for name in self.states if name != "spk"]
        return out[1 + own.index("mem")]

    def rests(self, neuron, names=None):
        """Tell whether states are as before the first step."""
        start = self.start({**dict(neuron.named_parameters()), **dict(neuron.named_buffers())})
        return all(
            (getattr(neuron, name) == start.get(name, 0.0)).all() for name in names or self.states
        )

    def input(self, *lead, seed=0, dtype=torch.float32):
        """Return input that makes the neuron fire now and then; ``lead`` as in [T, B]."""
        generator = torch.Generator().manual_seed(seed)
        x = torch.randn((*lead, *self.shape), generator=generator, dtype=torch.float64)
        return (self.scale * (0.35 + 0.9 * x)).to(dtype)


_CONV = {"shape": (2, 4, 4), "hidden": (2, 4, 4)}
_IMAGE = {**_CONV, "rounded": True}
_FEEDBACK = {"recurrent.weight", "recurrent.bias"}
_LSTM = {f"lstm_cell.{kind}_{side}" for kind in ("weight", "bias") for side in ("ih", "hh")}
_CONV_LSTM = {"in_channels": 2, "out_channels": 3, "kernel_size": 3, "threshold": 0.1}
_LINEAR = {"linear_features": 5}
_CONV2D = {"conv2d_channels": 2, "kernel_size": 3}
_ONE = {"all_to_all": False, "V": 0.4}
_B = {"beta": 0.9}
_AB = {"alpha": 0.8, "beta": 0.9}
_SM, _PM, _PSM = ("syn", "mem"), ("spk", "mem"), ("spk", "syn", "mem")
_RC = {"beta", "time_step", "R", "C"}
_ADAPTIVE = {"alpha": 0.6, "beta": 0.9, "a": 0.2, "b": 0.5}
_PEAK = {"threshold": 1.0, "dt": 1.0}
_EXPONENTIAL = {"rest": 0.1, "v_rheobase": 0.5, "slope_factor": 0.3, "v_reset": -0.2, **_PEAK}
_TB, _TAB = ("threshold", "beta"), ("threshold", "alpha", "beta")

MODELS = [
    Model("leaky", "Leaky", _B, ("mem",), {"beta"}, delay=True, vectors=_TB),
    Model("leaky-image", "Leaky", _B, ("mem",), {"beta"}, **_CONV, delay=True),
    Model("lapicque", "Lapicque", {"R": 5.1, "C": 5e-3, "time_step": 5e-3}, ("mem",), _RC),
    Model("lapicque-beta", "Lapicque", {**_B, "threshold": 0.1}, ("mem",), _RC, vectors=_TB),
    Model("synaptic", "Synaptic", _AB, _SM, {"alpha", "beta"}, delay=True, vectors=_TAB),
    Model(
        "alpha",
        "Alpha",
        {"alpha": 0.9, "beta": 0.8, "threshold": 0.5},
        ("syn_exc", "syn_inh", "mem"),
        {"alpha", "beta"},
    ),
    Model(
        "rleaky-one",
        "RLeaky",
        {**_B, **_ONE},
        _PM,
        {"beta", "V", "recurrent.V"},
        delay=True,
        vectors=(*_TB, "V"),
    ),
    Model(
        "rleaky-linear",
        "RLeaky",
        {**_B, **_LINEAR},
        _PM,
        {"beta", *_FEEDBACK},
        delay=True,
        rounded=True,
    ),
    Model(
        "rleaky-conv", "RLeaky", {**_B, **_CONV2D}, _PM, {"beta", *_FEEDBACK}, **_IMAGE, delay=True
    ),
    Model(
        "rsynaptic-one",
        "RSynaptic",
        {**_AB, **_ONE},
        _PSM,
        {"alpha", "beta", "V", "recurrent.V"},
        delay=True,
        vectors=(*_TAB, "V"),
    ),
    Model(
        "rsynaptic-linear",
        "RSynaptic",
        {**_AB, **_LINEAR},
        _PSM,
        {"alpha", "beta", *_FEEDBACK},
        delay=True,
        rounded=True,
    ),
    Model(
        "rsynaptic-conv",
        "RSynaptic",
        {**_AB, **_CONV2D},
        _PSM,
        {"alpha", "beta", *_FEEDBACK},
        **_IMAGE,
        delay=True,
    ),
    Model(
        "slstm",
        "SLSTM",
        {"input_size": 5, "hidden_size": 7, "threshold": 0.1},
        _SM,
        _LSTM,
        hidden=(7,),
        rounded=True,
    ),
    Model(
        "sconv2dlstm",
        "SConv2dLSTM",
        _CONV_LSTM,
        _SM,
        {"conv.weight", "conv.bias"},
        shape=(2, 4, 4),
        hidden=(3, 4, 4),
        rounded=True,
    ),
    Model(
        "sconv2dlstm-pool",
        "SConv2dLSTM",
        {**_CONV_LSTM, "max_pool": 2},
        _SM,
        {"conv.weight", "conv.bias"},
        shape=(2, 4, 4),
        hidden=(3, 4, 4),
        rounded=True,
        fired=(3, 2, 2),
    ),
    Model(
        "plif",
        "PLIF",
        {"reset_delay": True},
        ("mem",),
        {"w"},
        delay=True,
        equation=lambda o, p, x, s: {"mem": s["mem"] + o.sigmoid(p["w"]) * (x - s["mem"])},
    ),
    Model(
        "alif",
        "ALIF",
        {"alpha": 0.9, "rho": 0.8, "gain": 0.3},
        ("spk", "mem", "adaptation"),
        {"alpha", "rho", "gain"},
        vectors=("threshold", "alpha", "rho", "gain"),
        mechanism=False,
        equation=reference.alif,
    ),
    Model(
        "adlif",
        "AdLIF",
        {**_ADAPTIVE, "threshold": 0.6},
        ("spk", "mem", "adaptation"),
        {*_ADAPTIVE},
        vectors=("threshold", *_ADAPTIVE),
        mechanism=False,
        equation=reference.adlif,
    ),
    Model(
        "seadlif",
        "SEAdLIF",
        {**_ADAPTIVE, "threshold": 0.6},
        ("mem", "adaptation"),
        {*_ADAPTIVE},
        vectors=("threshold", *_ADAPTIVE),
        mechanism=False,
        cleared=True,
        equation=reference.seadlif,
    ),
    Model(
        "rf",
        "RF",
        {"omega": 0.8, "b": -0.3, "dt": 0.5, "threshold": 0.5},
        ("mem", "imag"),
        {"omega", "b", "dt"},
        vectors=("threshold", "omega", "b"),
        mechanism=False,
        equation=reference.rf,
    ),
    Model(
        "brf",
        "BRF",
        {"omega": 0.8, "b_offset": 0.2, "dt": 0.5, "threshold": 0.5},
        ("mem", "imag", "q"),
        {"omega", "b_offset", "gamma", "dt"},
        vectors=("threshold", "omega", "b_offset"),
        mechanism=False,
        equation=reference.brf,
    ),
    Model(
        "izhikevich",
        "Izhikevich",
        {},
        ("mem", "recovery"),
        {"a", "b", "c", "d", "dt"},
        mechanism=False,
        scale=100.0,
        equation=reference.izhikevich,
        start=lambda p: {"mem": -65.0, "recovery": -65.0 * p["b"]},
    ),
    Model(
        "qif",
        "QIF",
        {"tau": 2.0, "rest": 0.0, "v_critical": 0.5, "v_reset": -0.2, "R": 1.0, **_PEAK},
        ("mem",),
        {"tau", "rest", "v_critical", "v_reset", "R", "dt"},
        mechanism=False,
        equation=reference.qif,
        start=lambda p: {"mem": p["rest"]},
    ),
    Model(
        "eif",
        "EIF",
        {"tau": 2.0, "R": 1.0, **_EXPONENTIAL},
        ("mem",),
        {"tau", "rest", "v_rheobase", "slope_factor", "v_reset", "R", "dt"},
        mechanism=False,
        rounded=True,
        equation=reference.eif,
        start=lambda p: {"mem": p["rest"]},
    ),
    Model(
        "adex",
        "AdEx",
        {"C": 2.0, "g": 1.0, "tau": 5.0, "a": 0.2, "b": 0.3, **_EXPONENTIAL},
        ("mem", "adaptation"),
        {"C", "g", "rest", "v_rheobase", "slope_factor", "tau", "a", "b", "v_reset", "dt"},
        mechanism=False,
        rounded=True,
        equation=reference.adex,
        start=lambda p: {"mem": p["rest"]},
    ),
]


def states_of(out):
    """Split what a neuron returns into spikes and states as given to the next call."""
    return out if isinstance(out, tuple) else (out,)


def roll(model, neuron, x, state=None):
    """Run with explicit states over the first dimension of ``x``.

    :returns: spikes and states, each stacked over time, and the last states
    """
    state = states_of(model.init(neuron)) if state is None else state
    steps = []
    for x_t in x:
        out = neuron(x_t, *state)
        steps.append(out)
        state = out if model.states[0] == "spk" else out[1:]
    return [torch.stack(each) for each in zip(*steps, strict=True)], state


# One of each kind. What compiles a kernel for each neuron runs over these in ``make test``.
FEW = ("leaky", "alpha", "rsynaptic-one", "rleaky-linear", "slstm", "alif")


def few(rows: list[Model]) -> list[Any]:
    """Return rows as parameters of a test; all but a few are slow."""
    return [
        pytest.param(row, marks=() if row.id in FEW else pytest.mark.slow, id=row.id)
        for row in rows
    ]


# What any neuron of 5 takes beside its own parameters.
every_option = pytest.mark.parametrize(
    "options",
    [
        pytest.param(lambda: {}, id="plain"),
        pytest.param(
            lambda: {"refractory": 2, "recurrent": torch.nn.Linear(5, 5)},
            id="refractory and recurrent",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            lambda: {"graded_spikes_factor": 2.5, "learn_graded_spikes_factor": True}, id="graded"
        ),
    ],
)

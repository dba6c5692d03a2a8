"""Neurons whose dynamics a subclass overrides, as users of 1.0.0 write them.

Only names that 1.0.0 has are used: tests/golden/record_overrides.py runs them there.
"""

import torch
from torch import nn

import snntorch as snn

STEPS = 50
RESETS = ("subtract", "zero", "none")

# What makes each neuron, and the shape of a sample of its input and of its states.
MODELS = {
    "leaky": (snn.Leaky, {"beta": 0.9, "learn_beta": True}, (4,)),
    "lapicque": (snn.Lapicque, {"beta": 0.9, "threshold": 0.1}, (4,)),
    "synaptic": (snn.Synaptic, {"alpha": 0.7, "beta": 0.9, "learn_alpha": True}, (4,)),
    "alpha": (snn.Alpha, {"alpha": 0.9, "beta": 0.8, "threshold": 0.5, "learn_beta": True}, (4,)),
    "rleaky-one": (snn.RLeaky, {"beta": 0.9, "V": 0.4, "all_to_all": False}, (4,)),
    "rleaky-linear": (snn.RLeaky, {"beta": 0.9, "linear_features": 4}, (4,)),
    "rsynaptic-linear": (snn.RSynaptic, {"alpha": 0.7, "beta": 0.9, "linear_features": 4}, (4,)),
    "slstm": (snn.SLSTM, {"input_size": 4, "hidden_size": 4, "threshold": 0.1}, (4,)),
    "sconv2dlstm": (
        snn.SConv2dLSTM,
        {"in_channels": 2, "out_channels": 2, "kernel_size": 3, "threshold": 0.1},
        (2, 2, 2),
    ),
}


def last(out, function):
    """Apply a function to the membrane, the last of what a step gives."""
    return (*out[:-1], function(out[-1])) if isinstance(out, tuple) else function(out)


class Trained:
    """A subclass with its own parameter."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.a = nn.Parameter(torch.tensor(0.8))


class LinearLeak(snn.Leaky):
    """A membrane that loses the same at each step."""

    def _base_state_function(self, input_):
        return (self.mem - self.beta + input_).clamp(min=0)


class Update(Trained):
    """A membrane that also leaks by its square, and feeds back into the input."""

    def _base_state_function(self, input_):
        out = super()._base_state_function(input_ + 0.1 * self.a * self.mem)
        return last(out, lambda mem: mem - 0.05 * self.a * self.mem * self.mem.abs())


class Reset(Trained):
    """Resets that damp the membrane on top."""

    def damped(self, out):
        return last(out, lambda mem: mem * (1 - 0.3 * self.a * self.reset))

    def _base_sub(self, input_):
        return self.damped(super()._base_sub(input_))

    def _base_zero(self, input_):
        return self.damped(super()._base_zero(input_))

    def _base_int(self, input_):
        return self.damped(super()._base_int(input_))


class Taken(Trained):
    """A reset that takes off half of what it would."""

    def _base_state_reset_zero(self, input_):
        return tuple(0.5 * part for part in super()._base_state_reset_zero(input_))

    def _base_state_reset_sub_function(self, input_):
        return tuple(0.5 * part for part in super()._base_state_reset_sub_function(input_))


class Firing(Trained):
    """Its own threshold for spikes, and another for the reset."""

    def fire(self, mem):
        return self.spike_grad(mem - self.a * self.threshold) * self.graded_spikes_factor

    def mem_reset(self, mem):
        return (mem.detach() > 0.9 * self.threshold.detach()).to(mem)


class Winner(Trained):
    """The two highest membranes fire."""

    def fire_inhibition(self, batch_size, mem):
        flat = mem.reshape(batch_size, -1)
        mask = torch.zeros_like(flat).scatter(1, flat.topk(2, dim=1).indices, 1.0)
        return self.spike_grad(mem - self.a * self.threshold) * mask.reshape(mem.shape)


class Own(Trained):
    """A call that is written out."""

    def forward(self, input_, *states):
        names = [name for name in ("syn_exc", "syn_inh", "syn", "mem") if hasattr(self, name)]
        if isinstance(self, (snn.RLeaky, snn.RSynaptic)):
            names = ["spk", *names]
        for name in names:
            if getattr(self, name).shape != input_.shape:
                setattr(self, name, torch.zeros_like(input_))
        self.reset = self.mem_reset(self.mem)
        out = self.state_function(self.a * input_)
        out = out if isinstance(out, tuple) else (out,)
        for name, state in zip(names[-len(out) :], out, strict=True):
            setattr(self, name, state)
        spk = self.fire(self.mem)
        if "spk" in names:
            self.spk = spk
        return (spk, *out)


def assigned(neuron):
    """Damp the membrane by a function that replaces the neuron's."""
    given = neuron.state_function
    neuron.a = nn.Parameter(torch.tensor(0.8))
    neuron.state_function = lambda input_: last(given(input_), lambda mem: neuron.a * mem)
    return neuron


HOW = {"update": Update, "reset": Reset, "firing": Firing, "own": Own, "assigned": assigned}


def cases():
    """Return the names of all cases: model, what is overridden, reset mechanism."""
    every = [(m, how, reset) for m in MODELS for how in HOW for reset in RESETS]
    two_states = ("synaptic", "rsynaptic-linear", "slstm", "sconv2dlstm")
    every += [(m, "taken", "zero") for m in two_states] + [("alpha", "taken", "subtract")]
    return every + [(m, "winner", "subtract") for m in ("leaky", "synaptic", "alpha", "rleaky-one")]


def make(model, how, reset, **kwargs):
    """Return the neuron of a case, always with the same weights."""
    cls, given, _ = MODELS[model]
    given = {**given, "reset_mechanism": reset, "init_hidden": True, "output": True, **kwargs}
    torch.manual_seed(7)
    if how == "assigned":
        return assigned(cls(**given))
    if how == "winner":
        return type("User", (Winner, cls), {})(inhibition=True, **given)
    return type("User", (HOW.get(how, Taken), cls), {})(**given)


def current(model):
    """Return the input of all steps, which makes the neuron fire now and then."""
    generator = torch.Generator().manual_seed(11)
    x = torch.randn((STEPS, 1, *MODELS[model][2]), generator=generator, dtype=torch.float64)
    return (0.3 + 0.8 * x).float()


def run(neuron, x):
    """Return what a neuron gives over time, its last reset signal, and all gradients.

    :returns: arrays by name: ``out0`` (spikes), ``out1``, ... ``[T, ...]``, ``reset``,
        ``grad:x`` and ``grad:<parameter>``
    """
    x = x.clone().requires_grad_()
    outs = [torch.stack(each) for each in zip(*[neuron(step) for step in x], strict=True)]
    weights = [torch.linspace(-1, 1, out.numel()).reshape(out.shape) for out in outs]
    loss = sum((w * out).sum() for w, out in zip(weights, outs, strict=True))
    loss.backward()
    found = {f"out{i}": out.detach() for i, out in enumerate(outs)}
    found.update(reset=neuron.reset.detach(), **{"grad:x": x.grad})
    for name, parameter in neuron.named_parameters():
        if parameter.grad is not None:
            found[f"grad:{name}"] = parameter.grad
    return {name: value.numpy() for name, value in found.items()}

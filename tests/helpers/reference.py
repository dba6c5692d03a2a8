"""Every model's documented equation as a plain loop, apart from the library.

The loop runs in NumPy (``NumpyOps``), and on tensors for its gradients (``TorchOps``).
"""

import numpy as np
import torch


class NumpyOps:
    log, exp, tanh, einsum = np.log, np.exp, np.tanh, staticmethod(np.einsum)

    def spike(self, u):
        return (u > 0).astype(u.dtype)

    def stop(self, a):
        return a

    def where(self, chosen, a, b):
        return np.where(chosen, a, b)

    def sigmoid(self, a):
        return 1 / (1 + np.exp(-a))

    def pad(self, a, by):
        (top, bottom), (left, right) = by
        return np.pad(a, ((0, 0), (0, 0), (top, bottom), (left, right)))

    def concat(self, parts):
        return np.concatenate(parts, 1)

    def split(self, a):
        return np.split(a, 4, 1)

    def stack(self, steps):
        return np.stack(steps)

    def zeros(self, shape):
        return np.zeros(shape)

    def winner(self, u):
        flat = u.reshape(len(u), -1)
        return np.eye(flat.shape[1])[flat.argmax(1)].reshape(u.shape)


class TorchOps:
    log, exp, tanh, sigmoid = torch.log, torch.exp, torch.tanh, torch.sigmoid
    einsum = staticmethod(torch.einsum)

    def __init__(self, slope):
        self.slope = slope

    def spike(self, u):
        # The value of the step, and by the second term the slope as its derivative.
        value = (u > 0).to(u.dtype)
        return value if self.slope is None else value + (u - u.detach()) * self.slope(u.detach())

    def stop(self, a):
        return a.detach()

    def where(self, chosen, a, b):
        return torch.where(chosen > 0, a, b)

    def pad(self, a, by):
        (top, bottom), (left, right) = by
        return torch.nn.functional.pad(a, (left, right, top, bottom))

    def concat(self, parts):
        return torch.cat(parts, 1)

    def split(self, a):
        return a.chunk(4, 1)

    def stack(self, steps):
        return torch.stack(steps)

    def zeros(self, shape):
        return torch.zeros(shape, dtype=torch.float64)

    def winner(self, u):
        flat = u.reshape(len(u), -1)
        return torch.eye(flat.shape[1], dtype=u.dtype)[flat.argmax(1)].reshape(u.shape)


def same_convolution(o, image, weight, bias):
    height, width = image.shape[2:]
    kernel = weight.shape[2:]
    padded = o.pad(image, [((k - 1) // 2, k // 2) for k in kernel])
    out = 0
    for i in range(kernel[0]):
        for j in range(kernel[1]):
            window = padded[:, :, i : i + height, j : j + width]
            out = out + o.einsum("bchw,oc->bohw", window, weight[:, :, i, j])
    return out + bias[:, None, None]


def feedback(o, p, spk):
    if "recurrent.weight" not in p:
        return p["V"] * spk
    if p["recurrent.weight"].ndim == 2:
        return o.einsum("bi,oi->bo", spk, p["recurrent.weight"]) + p["recurrent.bias"]
    return same_convolution(o, spk, p["recurrent.weight"], p["recurrent.bias"])


def clamp(decay):
    return decay.clip(0, 1)


def integrate(o, cls, p, x, s, keep, subtract, R):
    """One update of the states by the documented equation, the delayed reset included."""
    if cls == "Leaky":
        return {"mem": clamp(p["beta"]) * (keep * s["mem"]) + x - subtract}
    if cls == "Lapicque":
        rc = p["R"] * p["C"]
        drive = x * p["R"] * (1 / rc) * p["time_step"]
        return {"mem": keep * (drive + (1 - p["time_step"] / rc) * s["mem"]) - subtract}
    if cls == "RLeaky":
        drive = x + feedback(o, p, s["spk"])
        return {"mem": keep * (clamp(p["beta"]) * s["mem"] + drive) - subtract}
    if cls in ("Synaptic", "RSynaptic"):
        drive = x + feedback(o, p, s["spk"]) if cls == "RSynaptic" else x
        syn = clamp(p["alpha"]) * s["syn"] + drive
        return {"syn": syn, "mem": keep * (clamp(p["beta"]) * s["mem"] + syn) - subtract}
    if cls == "Alpha":
        alpha, beta = clamp(p["alpha"]), clamp(p["beta"])
        tau = o.log(alpha) / (o.log(beta) - o.log(alpha)) + 1
        exc = alpha * s["syn_exc"] + x
        inh = beta * s["syn_inh"] - x
        mem = keep * tau * (exc + inh)
        if not isinstance(subtract, float):  # the odd rule of release 1.0.0
            mem, inh = mem + R * s["syn_inh"], inh * (1 - R)
        return {"syn_exc": keep * exc - subtract, "syn_inh": keep * inh, "mem": mem}
    if cls == "SLSTM":
        gates = (
            o.einsum("bi,oi->bo", x, p["lstm_cell.weight_ih"])
            + p["lstm_cell.bias_ih"]
            + o.einsum("bi,oi->bo", s["mem"], p["lstm_cell.weight_hh"])
            + p["lstm_cell.bias_hh"]
        )
        i, f, g, out = o.split(gates)
    if cls == "SConv2dLSTM":
        gates = same_convolution(o, o.concat([x, s["mem"]]), p["conv.weight"], p["conv.bias"])
        i, f, out, g = o.split(gates)
    syn = o.sigmoid(f) * s["syn"] + o.sigmoid(i) * o.tanh(g)
    return {"syn": syn, "mem": keep * (o.sigmoid(out) * o.tanh(syn)) - subtract}


def run(
    o,
    cls,
    p,
    x,
    shape,
    reset,
    delay=True,
    inhibition=False,
    quant=None,
    pool=None,
    model=None,
):
    """Return spikes and states, each stacked over time.

    :param p: parameters by the names of the state_dict
    :param x: input ``[T, B, ...]``
    :param shape: shape of the states
    :param model: the row of a model with its own equation: ``equation(o, p, x, s)`` returns
        the new states by name, before any reset; with spikes among them, ``spk``, it has fired and
        was reset
    """
    names = {"Alpha": ("syn_exc", "syn_inh", "mem")}.get(cls, ("syn", "mem"))
    names = ("mem",) if cls in ("Leaky", "Lapicque", "RLeaky") else names
    s = {name: o.zeros(shape) for name in ("spk", *names)}
    if model is not None and model.equation:
        names, start = model.states, model.start(p)
        s = {name: o.zeros(shape) + start.get(name, 0.0) for name in ("spk", *names)}
    record = {name: [] for name in ("spk", *names)}
    for x_t in x:
        keep, subtract, R = 1.0, 0.0, None
        if delay and reset != "none":
            R = o.stop(o.spike(s["mem"] - p["threshold"]))
            if reset == "zero":
                keep = 1 - R
            else:
                subtract = R * p["threshold"]
        if model is not None and model.equation:
            new = model.equation(o, p, x_t, s)
            new["mem"] = keep * new["mem"] - subtract
        else:
            new = integrate(o, cls, p, x_t, s, keep, subtract, R)
        if quant:
            new = {name: quant(state) for name, state in new.items()}
        if "spk" not in new:
            seen = pool(new["mem"]) if pool else new["mem"]
            u = seen - p["threshold"]
            new["spk"] = o.spike(u) * (o.winner(u) if inhibition else 1)
            if not delay and reset == "subtract":
                new["mem"] = new["mem"] - new["spk"] * p["threshold"]
            if not delay and reset == "zero":
                new["mem"] = (1 - new["spk"]) * new["mem"]
        s = {**new, "spk": new["spk"] * p["graded_spikes_factor"]}
        for name, value in s.items():
            record[name].append(value)
    return {name: o.stack(steps) for name, steps in record.items()}


# Equations of single models, for their rows in models.py --------------------------------------


def alif(o, p, x, s):
    def above(mem, adaptation):
        return mem - p["threshold"] - p["gain"] * adaptation

    R = o.stop(o.spike(above(s["mem"], s["adaptation"])))
    mem = clamp(p["alpha"]) * s["mem"] + x - R * p["threshold"]
    adaptation = clamp(p["rho"]) * s["adaptation"] + s["spk"]
    return {"spk": o.spike(above(mem, adaptation)), "mem": mem, "adaptation": adaptation}


def adlif(o, p, x, s):
    alpha, beta = clamp(p["alpha"]), clamp(p["beta"])
    R = o.stop(o.spike(s["mem"] - p["threshold"]))
    mem = alpha * (s["mem"] - R * p["threshold"]) + (1 - alpha) * (x - s["adaptation"])
    adaptation = beta * s["adaptation"] + p["a"] * s["mem"] + p["b"] * s["spk"]
    return {"spk": o.spike(mem - p["threshold"]), "mem": mem, "adaptation": adaptation}


def seadlif(o, p, x, s):
    alpha, beta = clamp(p["alpha"]), clamp(p["beta"])
    raw = alpha * s["mem"] + (1 - alpha) * (x - s["adaptation"])
    spk = o.spike(raw - p["threshold"])
    mem = raw * (1 - spk)
    adaptation = beta * s["adaptation"] + (1 - beta) * (p["a"] * mem + p["b"] * spk)
    return {"spk": spk, "mem": mem, "adaptation": adaptation}


def rotated(p, x, s, b):
    """Turn a pair of states as a complex number would by the explicit Euler method."""
    u, v, omega, dt = s["mem"], s["imag"], p["omega"], p["dt"]
    return u + dt * (b * u - omega * v + x), v + dt * (omega * u + b * v)


def rf(o, p, x, s):
    mem, imag = rotated(p, x, s, p["b"])
    return {"spk": o.spike(mem - p["threshold"]), "mem": mem, "imag": imag}


def brf(o, p, x, s):
    dt, offset = p["dt"], p["b_offset"]
    boundary = ((1 - (dt * p["omega"]) ** 2) ** 0.5 - 1) / dt
    mem, imag = rotated(p, x, s, boundary - abs(offset) - s["q"])
    spk = o.spike(mem - p["threshold"] - s["q"])
    return {"spk": spk, "mem": mem, "imag": imag, "q": p["gamma"] * s["q"] + spk}


def izhikevich(o, p, x, s):
    R = o.stop(o.spike(s["mem"] - p["threshold"]))
    v = o.where(R, p["c"], s["mem"])
    u = s["recovery"] + R * p["d"]
    mem = v + p["dt"] * (0.04 * v**2 + 5 * v + 140 - u + x)
    recovery = u + p["dt"] * p["a"] * (p["b"] * v - u)
    return {"spk": o.spike(mem - p["threshold"]), "mem": mem, "recovery": recovery}


def qif(o, p, x, s):
    R = o.stop(o.spike(s["mem"] - p["threshold"]))
    v = o.where(R, p["v_reset"], s["mem"])
    rest, critical = p["rest"], p["v_critical"]
    rise = (v - rest) * (v - critical) / (critical - rest) + p["R"] * x
    mem = v + p["dt"] / p["tau"] * rise
    return {"spk": o.spike(mem - p["threshold"]), "mem": mem}


def eif(o, p, x, s):
    R = o.stop(o.spike(s["mem"] - p["threshold"]))
    v = o.where(R, p["v_reset"], s["mem"])
    upswing = p["slope_factor"] * o.exp((v - p["v_rheobase"]) / p["slope_factor"])
    mem = v + p["dt"] / p["tau"] * (p["rest"] - v + upswing + p["R"] * x)
    return {"spk": o.spike(mem - p["threshold"]), "mem": mem}


def adex(o, p, x, s):
    R = o.stop(o.spike(s["mem"] - p["threshold"]))
    v = o.where(R, p["v_reset"], s["mem"])
    w = s["adaptation"] + R * p["b"]
    upswing = p["g"] * p["slope_factor"] * o.exp((v - p["v_rheobase"]) / p["slope_factor"])
    mem = v + p["dt"] / p["C"] * (p["g"] * (p["rest"] - v) + upswing - w + x)
    adaptation = w + p["dt"] / p["tau"] * (p["a"] * (v - p["rest"]) - w)
    return {"spk": o.spike(mem - p["threshold"]), "mem": mem, "adaptation": adaptation}

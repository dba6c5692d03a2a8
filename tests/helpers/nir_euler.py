"""NIR's equations by forward Euler in plain NumPy: the truth that imported graphs are held to.

It knows nothing of the project. Every node is one sample wide, and starts at zero. Within a step
signals run through the whole graph; an edge named in ``late`` carries the value of the step before.
"""

import itertools

import numpy as np


def run(graph, signals, dt, late=()):
    """Return what each Output of a flat graph gives, ``[T, ...]``, by name.

    :param signals: for each Input its signal ``[T, ...]``
    """
    steps = len(next(iter(signals.values())))
    state, past, out = {}, {}, []
    for t in range(steps):
        now = {name: np.asarray(x[t], dtype=np.float64) for name, x in signals.items()}

        def value(name, now=now, past=past):
            if name not in now:
                now[name] = None  # meets itself in a cycle that is not cut
                sources = [a for a, b in graph.edges if b == name]
                total = 0.0
                for a in sources:
                    lag = (a, name) in late
                    total = total + (past.get(a, 0.0) if lag else value(a))
                node = graph.nodes[name]
                now[name] = STEPS[type(node).__name__](node, total, state.setdefault(name, {}), dt)
            return now[name]

        ends = [n for n, node in graph.nodes.items() if type(node).__name__ == "Output"]
        out.append({name: value(name) for name in ends})
        for name in {a for a, _ in late}:
            value(name)
        past = now
    return {name: np.stack([np.broadcast_to(o[name], _size(graph, name)) for o in out])
            for name in out[0]}  # fmt: skip


def _size(graph, name):
    return tuple(graph.nodes[name].output_type["output"])


def _first(node, x, s, dt):
    v = s.get("v", np.zeros(node.r.shape))
    if hasattr(node, "tau"):
        return v + dt / node.tau * (node.v_leak - v + node.r * x)
    # r = 1 is how libraries without units write that the input itself is added.
    return v + np.where(node.r == 1, 1.0, dt * node.r) * x


def _second(node, x, s, dt):
    v, i = (s.get(key, np.zeros(node.r.shape)) for key in "vi")
    s["i"] = i + dt / node.tau_syn * (-i + node.w_in * x)
    return v + dt / node.tau_mem * (node.v_leak - v + node.r * s["i"])


def _integrate(update):
    def step(node, x, s, dt):
        s["v"] = update(node, x, s, dt)
        return s["v"]

    return step


def _fire(update):
    def step(node, x, s, dt):
        v = update(node, x, s, dt)
        z = v > node.v_threshold
        s["v"] = np.where(z, node.v_reset, v)
        return z.astype(np.float64)

    return step


def _delay(node, x, s, dt):
    line = s.setdefault("line", [])
    line.append(np.broadcast_to(x, node.delay.shape))
    y = np.zeros(node.delay.shape)
    for index, delay in np.ndenumerate(node.delay):
        steps = round(delay / dt)
        if steps < len(line):
            y[index] = line[-1 - steps][index]
    return y


def _conv(node, x, s, dt):
    """Correlate in one or two dimensions, by loops."""
    w, dims = node.weight, node.weight.ndim - 2
    stride, dilation = (np.broadcast_to(v, dims) for v in (node.stride, node.dilation))
    reach = dilation * (np.array(w.shape[2:]) - 1)
    if isinstance(node.padding, str):
        whole = reach if node.padding == "same" else 0 * reach
        pads = [(p // 2, p - p // 2) for p in whole]
    else:
        pads = [(int(p), int(p)) for p in np.broadcast_to(node.padding, dims)]
    x = np.pad(x, [(0, 0), *pads])
    size = [(n - r - 1) // st + 1 for n, r, st in zip(x.shape[1:], reach, stride, strict=True)]
    out_each, in_each = len(w) // node.groups, w.shape[1]
    y = np.zeros((len(w), *size))
    for o, *place in itertools.product(range(len(w)), *map(range, size)):
        first = o // out_each * in_each
        window = [slice(p * st, p * st + r + 1, d)
                  for p, st, r, d in zip(place, stride, reach, dilation, strict=True)]  # fmt: skip
        y[(o, *place)] = (x[(slice(first, first + in_each), *window)] * w[o]).sum() + node.bias[o]
    return y


def _pool(mean):
    def step(node, x, s, dt):
        (kh, kw), (sh, sw), (ph, pw) = node.kernel_size, node.stride, node.padding
        x = np.pad(x, [(0, 0), (ph, ph), (pw, pw)])
        rows, columns = (x.shape[1] - kh) // sh + 1, (x.shape[2] - kw) // sw + 1
        y = np.zeros((len(x), rows, columns))
        for i, j in itertools.product(range(rows), range(columns)):
            y[:, i, j] = x[:, i * sh : i * sh + kh, j * sw : j * sw + kw].sum(axis=(1, 2))
        return y / (kh * kw if mean else 1)

    return step


def _flatten(node, x, s, dt):
    end = node.end_dim % x.ndim
    return x.reshape(*x.shape[: node.start_dim], -1, *x.shape[end + 1 :])


STEPS = {
    "Output": lambda node, x, s, dt: x,
    "Linear": lambda node, x, s, dt: node.weight @ (x + np.zeros(node.weight.shape[1])),
    "Affine": lambda node, x, s, dt: node.weight @ (x + np.zeros(node.weight.shape[1])) + node.bias,
    "Scale": lambda node, x, s, dt: node.scale * x,
    "Threshold": lambda node, x, s, dt: (x > node.threshold).astype(np.float64),
    "Conv1d": _conv,
    "Conv2d": _conv,
    "SumPool2d": _pool(mean=False),
    "AvgPool2d": _pool(mean=True),
    "Flatten": _flatten,
    "Delay": _delay,
    "I": _integrate(_first),
    "LI": _integrate(_first),
    "CubaLI": _integrate(_second),
    "IF": _fire(_first),
    "LIF": _fire(_first),
    "CubaLIF": _fire(_second),
}

"""Record STDP and monitors of the published release 1.0.0 into plasticity.npz.

Run in an environment that has it, from another folder than this repository::

    python <path>/record_plasticity.py plasticity.npz

``meta`` is a JSON list with one entry per case; ``<k>:<name>`` are its arrays:

- steps of STDP: ``weight``; ``in`` and ``out``, the spikes over time; ``trace_pre``,
  ``trace_post`` and ``delta`` over time;
- learners: ``weight``; ``in``, the spikes over time, in two halves; ``dw_0`` and ``dw_1`` (or
  ``grad_0`` and ``grad_1``) after each;
- monitors: ``p:<name>``, the network; ``in``, the input over time; ``r:<i>``, the records.
"""

import json
import sys

import numpy as np
import torch
from torch import nn

import snntorch as snn
from snntorch.functional import probe, stdp_learner

FACTORS = {"weight": lambda w: w, "one": torch.ones_like, "distance": lambda w: 0.5 - w}
LINEAR = ("Linear", {"in_features": 5, "out_features": 4})
CONV1 = {"in_channels": 2, "out_channels": 3, "kernel_size": 3}
CONV2 = {"in_channels": 2, "out_channels": 3, "kernel_size": [3, 2]}
STEPS = [
    ("stdp_linear_single_step", LINEAR, {}, [3, 5]),
    ("stdp_linear_single_step", LINEAR, {"f_pre": "one", "f_post": "distance"}, [3, 5]),
    ("mstdp_linear_single_step", LINEAR, {}, [3, 5]),
    ("mstdp_linear_single_step", LINEAR, {"f_pre": "distance", "f_post": "one"}, [3, 5]),
    ("mstdpet_linear_single_step", LINEAR, {"tau_trace": 3.0}, [5]),
    ("stdp_conv1d_single_step", ("Conv1d", CONV1), {}, [2, 2, 7]),
    ("stdp_conv1d_single_step", ("Conv1d", {**CONV1, "padding": 1, "stride": 2}), {}, [2, 2, 7]),
    ("stdp_conv2d_single_step", ("Conv2d", CONV2), {"f_pre": "one"}, [2, 2, 5, 6]),
    (
        "stdp_conv2d_single_step",
        ("Conv2d", {**CONV2, "padding": [1, 2], "stride": [2, 1]}),
        {},
        [2, 2, 5, 6],
    ),
    (
        "stdp_conv2d_single_step",
        ("Conv2d", {**CONV2, "padding": 1, "padding_mode": "reflect"}),
        {},
        [2, 2, 5, 6],
    ),
]
LEARNERS = [
    (LINEAR, {"on_grad": False}, [3, 5]),
    (LINEAR, {"on_grad": True, "scale": 0.5}, [3, 5]),
    (("Conv1d", CONV1), {"on_grad": False}, [2, 2, 7]),
    (("Conv2d", CONV2), {"on_grad": True}, [2, 2, 5, 6]),
]
MONITORS = [
    ("OutputMonitor", []),
    ("InputMonitor", []),
    ("AttributeMonitor", ["mem", False]),
    ("GradOutputMonitor", []),
    ("GradInputMonitor", []),
]
TAUS = {"tau_pre": 2.0, "tau_post": 3.0}


def make(layer):
    name, kwargs = layer
    lists = {k: tuple(v) if isinstance(v, list) else v for k, v in kwargs.items()}
    return getattr(nn, name)(**lists)


def spikes(*shape):
    return (torch.rand(shape) < 0.4).float()


def network():
    inner = nn.Sequential(nn.Linear(4, 3), snn.Leaky(0.7, init_hidden=True, threshold=0.2))
    return nn.Sequential(nn.Linear(5, 4), snn.Leaky(0.8, init_hidden=True, threshold=0.3), inner)


def step_case(function, layer, kwargs, shape):
    synapse = make(layer)
    given = {**TAUS, **{k: FACTORS.get(v, v) for k, v in kwargs.items()}}
    rows, pre, post = [], None, None
    for x in spikes(6, *shape):
        out = spikes(*synapse(x).shape)
        pre, post, delta = getattr(stdp_learner, function)(synapse, x, out, pre, post, **given)
        rows.append([x, out, pre, post, delta])
    names = ("in", "out", "trace_pre", "trace_post", "delta")
    arrays = {n: torch.stack(a) for n, a in zip(names, zip(*rows, strict=True), strict=True)}
    meta = {"kind": "step", "function": function, "layer": layer, "kwargs": {**TAUS, **kwargs}}
    return meta, {"weight": synapse.weight, **arrays}


def learner_case(layer, kwargs, shape):
    synapse, x = make(layer), spikes(2, 4, *shape)
    lif = snn.Leaky(0.8, init_hidden=True, threshold=0.1)
    learner = stdp_learner.STDPLearner(synapse, lif, **TAUS)
    arrays = {"weight": synapse.weight, "bias": synapse.bias, "in": x}
    for half in range(2):
        for x_t in x[half]:
            lif(synapse(x_t))
        change = learner.step(**kwargs)
        name = "grad" if kwargs["on_grad"] else "dw"
        arrays[f"{name}_{half}"] = (synapse.weight.grad if change is None else change).clone()
    return {"kind": "learner", "layer": layer, "taus": TAUS, "kwargs": kwargs}, arrays


def monitor_case(name, args):
    net, x = network(), torch.rand(4, 2, 5)
    monitor = getattr(probe, name)(*args, net, snn.Leaky)
    out = torch.stack([net(x_t) for x_t in x])
    (out * torch.arange(1.0, 4.0)).sum().backward()
    arrays = {f"p:{key}": value for key, value in net.state_dict().items()}
    arrays |= {"in": x} | {f"r:{i}": record for i, record in enumerate(monitor.records)}
    meta = {"kind": "monitor", "monitor": name, "args": args, "index": monitor.name_records_index}
    return meta, arrays


if __name__ == "__main__":
    torch.manual_seed(0)
    cases = [step_case(*case) for case in STEPS]
    cases += [learner_case(*case) for case in LEARNERS]
    cases += [monitor_case(*case) for case in MONITORS]
    data = {f"{k}:{n}": a.detach().numpy() for k, (_, d) in enumerate(cases) for n, a in d.items()}
    np.savez_compressed(sys.argv[1], meta=json.dumps([meta for meta, _ in cases]), **data)

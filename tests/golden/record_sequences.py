"""Record what the published release 1.0.0 computes beyond the step-wise neurons.

Run inside a virtual environment that holds torch==2.13.0, numpy and snntorch==1.0.0,
never the project itself, and from another folder:

    python record_sequences.py tests/golden/sequences

The format is that of README.rst. Of DeltaLeaky, ``out_2`` is ``mem_prev``. Of batch normalisation
through time, ``out_0`` is recorded in training and ``out_1`` afterwards in evaluation, and
``q:<name>`` is the ``state_dict`` after the run. GradedSpikes is recorded where 1.0.0 is right:
with equal weights, and as many samples as neurons.
"""

import json
import sys
import warnings
from pathlib import Path

import numpy as np
import torch

warnings.filterwarnings("ignore")
import snntorch as snn  # noqa: E402

OUT = Path(sys.argv[1])
T, B, N = 12, 3, 5
BETAS = [0.5, 0.7, 0.8, 0.9, 0.99]


def whole(module, x):
    out = module(x)
    return list(out) if isinstance(out, tuple) else [out]


def built(module, x):
    return []


def stepped(module, x):
    state, steps = (None, None), []
    for x_t in x:
        spk, state = module(x_t, state)
        steps.append((spk, *state))
    return [torch.stack(each) for each in zip(*steps, strict=True)]


def normalised(module, x):
    training = torch.stack([module[t](x_t) for t, x_t in enumerate(x)])
    module.eval()
    return [training, torch.stack([module[t](x_t) for t, x_t in enumerate(x)])]


def record(name, run, cls, kwargs, shape=(B, N), train=True, seed=0):
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    arguments = {k: torch.tensor(v) if isinstance(v, list) else v for k, v in kwargs.items()}
    module = getattr(snn, cls)(**arguments)
    data = {f"p:{k}": v.clone().numpy() for k, v in module.state_dict().items()}
    x = torch.tensor(rng.normal(0.35, 0.9, (T, *shape)).astype(np.float32), requires_grad=True)
    outs = run(module, x)
    for i, out in enumerate(outs):
        data[f"out_{i}"] = out.detach().numpy()
        data[f"w_{i}"] = rng.normal(0, 1, out.shape).astype(np.float32)
    data |= {f"q:{k}": v.clone().numpy() for k, v in module.state_dict().items()}
    if train:
        sum((torch.tensor(data[f"w_{i}"]) * out).sum() for i, out in enumerate(outs)).backward()
        data["grad_x"] = x.grad.numpy()
        data |= {
            f"g:{k}": p.grad.numpy() for k, p in module.named_parameters() if p.grad is not None
        }
    if cls not in ("BatchNormTT1d", "BatchNormTT2d"):
        data = {k: v for k, v in data.items() if not k.startswith("q:")}
    meta = {"cls": cls, "kwargs": kwargs, "seed": seed, "run": run.__name__}
    path = OUT / f"{name}.npz"
    np.savez_compressed(path, meta=json.dumps(meta), x=x.detach().numpy(), **data)


OUT.mkdir(parents=True, exist_ok=True)
delta = {"delta_threshold": 0.6, "beta": 0.8}
record("deltaleaky", stepped, "DeltaLeaky", delta, seed=1)
record(
    "deltaleaky-learn", stepped, "DeltaLeaky", {**delta, "beta": BETAS, "learn_beta": True}, seed=3
)
sized = {"beta": 0.9, "channels": N}
linear = {"in_features": N, "out_features": 4}
record("stateleaky-learn", whole, "StateLeaky", {**sized, "learn_threshold": True}, seed=4)
record("stateleaky-spikes", whole, "StateLeaky", {**sized, "output": False}, seed=5, train=False)
learnt = {**linear, "beta": BETAS[:4], "learn_beta": True, "bias": False}
record("linearleaky-learn", whole, "LinearLeaky", learnt, seed=6)
parallel = {"input_size": N, "hidden_size": 4, "threshold": 0.3}
record("leakyparallel-none", whole, "LeakyParallel", parallel, seed=7)
everything = {**parallel, "beta": 0.2, "weight_hh_enable": True, "learn_beta": True, "bias": False}
record("leakyparallel-dense", whole, "LeakyParallel", everything, seed=8)
learnt = {**parallel, "beta": 0.8, "learn_beta": True, "learn_threshold": True}
record("leakyparallel-learn", whole, "LeakyParallel", learnt, seed=9)
norm = {"input_features": 4, "time_steps": T}
record("bntt1d", normalised, "BatchNormTT1d", norm, (6, 4), seed=10)
record("bntt2d", normalised, "BatchNormTT2d", {**norm, "momentum": 0.3}, (3, 4, 2, 2), seed=11)
record("bntt1d-plain", normalised, "BatchNormTT1d", {**norm, "affine": False}, (6, 4), seed=12)
graded = {"size": N, "constant_factor": 0.75}
record("gradedspikes", whole, "GradedSpikes", graded, (N, N), seed=13, train=False)
drawn = {"size": N, "constant_factor": None}
record("gradedspikes-drawn", built, "GradedSpikes", drawn, (N, N), seed=14, train=False)

# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Adaptive and resonating neurons
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/snntorch/snntorch/blob/main/examples/tutorials/adaptive_and_resonating.ipynb)
#
# A leaky neuron is a low-pass filter with a threshold. Many neurons of the brain do more: they get
# tired, they oscillate, they prefer some frequencies. This tutorial shows what adaptive neurons
# (`ALIF`, `AdLIF`) and resonate-and-fire neurons (`RF`, `BRF`) do with simple inputs, and what that
# is good for: dividing an electrocardiogram into the waves of each heartbeat, where they do better
# than leaky neurons. It builds on the leaky neuron and on training with surrogate gradients, and
# takes about 40 minutes.

# %% tags=["remove-output"]
# %pip install --quiet snntorch

# %%
import math
import os
from time import perf_counter

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

import snntorch as snn
from snntorch import datasets, surrogate, utils

FULL = "SNNTORCH_FULL" in os.environ  # longer training
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#999999"
plt.rcParams.update(
    {
        "figure.figsize": (8, 3),
        "figure.dpi": 100,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "figure.constrained_layout.use": True,
    }
)

# %% [markdown]
# ## Four neurons
#
# All four have a membrane $U$ that fires where it is above a threshold, $S[t] = \Theta(\ldots)$.
# What differs is the second variable beside it.
#
# **Leaky** (`snn.Leaky`) has none. The membrane decays, and a spike lowers it by the threshold
# $U_{\rm thr}$ one step later:
#
# $$U[t+1] = \beta U[t] + X[t+1] - S[t]\, U_{\rm thr}$$
#
# **Adaptive threshold** (`snn.ALIF`, Bellec et al. 2020). Each spike adds one to the adaptation
# $A$, which decays slowly and raises the threshold. The neuron fires where $U$ is above
# $U_{\rm thr} + \gamma A$:
#
# $$A[t+1] = \rho A[t] + S[t]$$
#
# **Adaptation current** (`snn.AdLIF`, Bittar and Garner 2022). The current $W$ is taken off the
# input. It follows the spikes, with a weight $b$, and also the membrane below the threshold, with a
# weight $a$:
#
# $$
# \begin{aligned}
# U[t+1] &= \alpha\,(U[t] - S[t]\, U_{\rm thr}) + (1 - \alpha)(X[t+1] - W[t]) \\
# W[t+1] &= \beta W[t] + a U[t] + b S[t]
# \end{aligned}
# $$
#
# **Resonate-and-fire** (`snn.RF`, Izhikevich 2001). Membrane $U$ and a second variable $V$ are the
# two parts of a damped oscillation with $\omega$ radians per unit of time, in steps of $\delta$:
#
# $$
# \begin{aligned}
# U[t+1] &= U[t] + \delta\, (b\, U[t] - \omega V[t] + X[t+1]) \\
# V[t+1] &= V[t] + \delta\, (\omega U[t] + b\, V[t])
# \end{aligned}
# $$
#
# **Balanced resonate-and-fire** (`snn.BRF`, Higuchi et al. 2024) adds two things, which are
# explained below: a damping $b$ that cannot become unstable, and a rest after each spike.

# %% [markdown]
# ## A constant input
#
# The input is switched on at step 50 and off at step 450. A neuron called by `snn.unroll` returns
# its spikes and all of its states over time.

# %%
num_steps = 600
step_input = torch.zeros(num_steps, 1, 1)
step_input[50:450] = 1

neurons = {
    "Leaky": (snn.Leaky(beta=0.95), 0.15),
    "ALIF": (snn.ALIF(alpha=0.95, rho=0.99, gain=0.1), 0.15),
    "AdLIF": (snn.AdLIF(alpha=0.95, beta=0.99, a=0.005, b=0.15), 5.0),
    "BRF": (snn.BRF(omega=10.0, b_offset=1.0), 20.0),
}

fig, axes = plt.subplots(4, 1, figsize=(8, 6.5), sharex=True)
for ax, (name, (neuron, strength)) in zip(axes, neurons.items(), strict=True):
    out = snn.unroll(neuron, strength * step_input)
    spk, mem = out[0].flatten(), out[1].flatten()
    ax.plot(mem, color=BLUE, linewidth=1)
    if name == "ALIF":
        ax.plot(1 + 0.1 * out[2].flatten(), color=ORANGE, linewidth=1, label="threshold")
    elif name == "AdLIF":
        ax.plot(out[2].flatten() / 5, color=ORANGE, linewidth=1, label="current $W$ / 5")
        ax.axhline(1, color=GREY, linestyle="--", linewidth=1)
    elif name == "BRF":
        ax.plot(1 + out[3].flatten(), color=ORANGE, linewidth=1, label="threshold")
    else:
        ax.axhline(1, color=GREY, linestyle="--", linewidth=1, label="threshold")
    top = ax.get_ylim()[1]
    ax.vlines(spk.nonzero(), top + 0.05, top + 0.35, color="black", linewidth=1)
    ax.set_ylabel(name)
    ax.legend(frameon=False, loc="upper right", fontsize="small")
axes[-1].set_xlabel("time step")
plt.show()

# %% [markdown]
# Membranes are blue, and the black bars above are spikes.
#
# - `Leaky` fires at the same rate from beginning to end. Its response says how strong the input is,
#   not when it began.
# - `ALIF` fires fast at first. Each spike raises the threshold, and the rate falls until the
#   threshold decays between two spikes by as much as each adds.
# - `AdLIF` slows down too, but its adaptation is a current: after the input ends, the current is
#   still there and pulls the membrane below zero.
# - `BRF` hardly reacts to a constant input. It fires when the input is switched on, swings around
#   its new equilibrium with decreasing amplitude, and swings again when the input ends.

# %% [markdown]
# ## All frequencies in turn
#
# A chirp is an oscillation that becomes faster. This one goes from 400 steps per period to 12
# steps, weak enough that nothing fires.

# %%
num_steps = 2000
periods = torch.logspace(math.log10(400), math.log10(12), num_steps)
chirp = torch.sin((2 * math.pi / periods).cumsum(0)).reshape(-1, 1, 1)

omega = 2 * math.pi / 50 / 0.01  # one turn in 50 steps of 0.01
candidates = {
    "Leaky": (snn.Leaky(beta=0.95), 0.04),
    "AdLIF": (snn.AdLIF(alpha=0.95, beta=0.99, a=0.3, b=0.0), 0.9),
    "BRF": (snn.BRF(omega=omega, b_offset=1.0), 1.3),
}
fig, axes = plt.subplots(4, 1, figsize=(8, 5.5), sharex=True)
axes[0].plot(chirp.flatten(), color=GREY, linewidth=0.8)
axes[0].set_ylabel("input")
for ax, (name, (neuron, strength)) in zip(axes[1:], candidates.items(), strict=True):
    spk, mem = snn.unroll(neuron, strength * chirp)[:2]
    assert not spk.any()
    ax.plot(mem.flatten(), color=BLUE, linewidth=0.8)
    ax.set(ylabel=name, ylim=(-1, 1))
for ax in axes:
    ax.axvline((periods > 50).sum(), color=ORANGE, linestyle="--", linewidth=1)
axes[-1].set_xlabel("time step; the dashed line marks a period of 50 steps")
plt.show()

# %% [markdown]
# The leaky membrane becomes smaller as the input becomes faster: it is a low-pass filter. `AdLIF`
# and `BRF` have a favorite frequency. In `AdLIF` the current $W$ lags behind the membrane and
# pushes it back, which makes the pair an oscillator; with $a=0.3$ its period is 51 steps. The
# oscillation of `BRF` is set directly, here to 50 steps. Both peak a little after the dashed line,
# since an oscillation takes some periods to build up.
#
# The sharper the resonance, the better a neuron tells frequencies apart. Here are three `BRF`
# neurons under sine waves of 60 periods. Their spikes say which frequency is there:

# %%
num_steps = 1500
periods = torch.logspace(math.log10(15), math.log10(300), 60)
time = torch.arange(num_steps).reshape(-1, 1, 1)
waves = 6 * torch.sin(2 * math.pi * time / periods.reshape(1, -1, 1))  # [time, period, 1]

favorites = torch.tensor([30.0, 60.0, 120.0])
bank = snn.BRF(omega=2 * math.pi / favorites / 0.01, b_offset=1.0)
spk, *_ = snn.unroll(bank, waves.expand(-1, -1, 3))
leaky_spk, _ = snn.unroll(snn.Leaky(beta=0.95), waves / 30)

for favorite, count, color in zip(favorites, spk.sum(0).T, (BLUE, ORANGE, GREEN), strict=True):
    plt.plot(periods, count, ".-", color=color, label=f"BRF, {favorite:.0f} steps")
plt.plot(periods, leaky_spk.sum(0), ".-", color=GREY, label="Leaky")
plt.xscale("log")
plt.xticks([15, 30, 60, 120, 300], ["15", "30", "60", "120", "300"])
plt.minorticks_off()
plt.xlabel("period of the input [steps]")
plt.ylabel(f"spikes in {num_steps} steps")
plt.legend(frameon=False, fontsize="small")
plt.show()

# %% [markdown]
# ## Why balanced?
#
# The equations of `RF` are Euler steps of a damped oscillation. One step multiplies the amplitude
# by
#
# $$\sqrt{(1 + \delta b)^2 + (\delta \omega)^2},$$
#
# which is below 1, and the oscillation dies out, only if
#
# $$b < p(\omega) = \frac{-1 + \sqrt{1 - (\delta\omega)^2}}{\delta}.$$
#
# A fast oscillator with little damping violates this and grows without bound. Training can push any
# neuron over this line. `BRF` cannot cross it: it uses $b = p(\omega) - |b_{\rm offset}| - Q[t]$.
# The third state $Q$ rises by one at each spike and decays by 0.9 per step; it raises the threshold
# and adds to the damping, so that the neuron rests after a spike.

# %%
pulse = torch.zeros(500, 1, 1)
pulse[10] = 30
fast = torch.tensor([20.0])
boundary = ((1 - (0.01 * fast) ** 2).sqrt() - 1) / 0.01
print(f"An RF neuron with omega = {fast.item():.0f} needs b below {boundary.item():.2f}")

_, unstable, _ = snn.unroll(snn.RF(omega=fast, b=-1.0), pulse)
_, balanced, *_ = snn.unroll(snn.BRF(omega=fast, b_offset=1.0), pulse)

fig, (left, right) = plt.subplots(1, 2, figsize=(9, 2.8), sharex=True)
left.plot(unstable.flatten(), color=ORANGE, linewidth=1)
left.set(title="RF, b = -1", xlabel="time step", ylabel="membrane")
right.plot(balanced.flatten(), color=BLUE, linewidth=1)
right.set(title="BRF, offset = 1", xlabel="time step")
plt.show()

# %% [markdown]
# Both neurons get the same single input. The amplitude of the unbalanced one has grown tenfold or
# more at the end; that of the balanced one decays.

# %% [markdown]
# ## Heartbeats as events
#
# An electrocardiogram (ECG) has a P wave, the steep QRS complex and a T wave in each heartbeat. The
# task is to say, at each time step, in which of six parts of the beat it is: P, PQ, QR, RS, ST or
# TP.
#
# The recordings are from the QT Database of PhysioNet by Laguna et al. (1997), under the Open Data
# Commons Attribution License 1.0. Yin, Corradi and Bohté (2021) turned them into events: whenever a
# signal has changed by a certain amount, there is an event, on one channel if it rose and on
# another if it fell. Two leads make four channels.

# %%
train_set, test_set = datasets.ecg(), datasets.ecg(train=False)
events, classes = train_set.tensors
names = ("P", "PQ", "QR", "RS", "ST", "TP")
print("events ", tuple(events.shape), "[recording, time step, channel]")
print("classes", tuple(classes.shape), "[recording, time step]")
share = [(classes == c).sum() / (classes >= 0).sum() for c in range(6)]
print("share of each class:", ", ".join(f"{n} {s:.0%}" for n, s in zip(names, share, strict=True)))
print(f"without a label: {(classes < 0).float().mean():.0%} of the steps")

# %%
colors = ("#56B4E9", "#009E73", "#F0E442", "#D55E00", "#CC79A7", "#DDDDDD")


def show_classes(ax, row, height=(0, 1)):
    """Color the background by the class of each step."""
    row = np.asarray(row)
    starts = np.flatnonzero(np.diff(row, prepend=-1))
    for start, end in zip(starts, [*starts[1:], len(row)], strict=True):
        if row[start] >= 0:
            ax.axvspan(start, end, *height, color=colors[row[start]], linewidth=0)


recording = 100
fig, ax = plt.subplots(figsize=(9, 2.8))
show_classes(ax, classes[recording])
step, channel = events[recording].nonzero(as_tuple=True)
ax.vlines(step, channel - 0.35, channel + 0.35, color="black", linewidth=0.8)
ax.set(xlim=(0, 700), xlabel="time step", yticks=range(4))
ax.set_yticklabels(["lead 1, up", "lead 1, down", "lead 2, up", "lead 2, down"])
handles = [plt.Rectangle((0, 0), 1, 1, color=color) for color in colors]
ax.legend(handles, names, ncols=6, loc="lower center", bbox_to_anchor=(0.5, 1), frameon=False)
plt.show()

# %% [markdown]
# Events are dense in the QRS complex, here at the end of PQ and in QR, and sparse elsewhere. During
# ST and TP, which fill most of the time, the network hardly gets any input. It must know how long
# ago the last events were: this is where memory counts. A beat takes about 200 steps.

# %% [markdown]
# ## The networks
#
# One hidden layer of 36 neurons, of one of the four kinds, sees the events. It has no recurrent
# connections, so that the only memory is that of the neurons. Six leaky membranes that do not fire
# read it out, and the largest membrane is the answer. Each neuron starts with its own time
# constants, drawn at random from a range, and learns them.
#
# An event is short: the size of a single step. The input of `BRF` is multiplied by the step
# $\delta = 0.01$, so an event is a pulse of height $1/\delta = 100$. The other neurons get pulses
# of height 10.

# %%
SIZE = 36


def time_constants(shortest, longest):
    """Return the decay rates of random time constants, in steps."""
    return torch.exp(-1 / torch.empty(SIZE).uniform_(shortest, longest))


options = {"spike_grad": surrogate.fast_sigmoid(slope=25), "init_hidden": True}


def leaky():
    return snn.Leaky(time_constants(5, 50), learn_beta=True, **options)


def alif():
    return snn.ALIF(
        alpha=time_constants(5, 25),
        rho=time_constants(20, 200),
        gain=0.5,
        learn_alpha=True,
        learn_rho=True,
        **options,
    )


def adlif():
    return snn.AdLIF(
        alpha=time_constants(5, 25),
        beta=time_constants(30, 120),
        a=0.3 * torch.rand(SIZE),
        b=2 * torch.rand(SIZE),
        learn_alpha=True,
        learn_beta=True,
        **options,
    )


def brf():
    return snn.BRF(
        omega=torch.empty(SIZE).uniform_(2, 15),
        b_offset=torch.empty(SIZE).uniform_(0.5, 3),
        learn_omega=True,
        learn_b_offset=True,
        **options,
    )


def make_net(hidden):
    """Return a network of one time step: events [batch, 4] to six membranes [batch, 6]."""
    readout = snn.Leaky(
        torch.full((6,), 0.95),
        learn_beta=True,
        reset_mechanism="none",
        init_hidden=True,
        output=True,
    )
    net = nn.Sequential(nn.Linear(4, SIZE, bias=False), hidden, nn.Linear(SIZE, 6), readout)
    nn.init.uniform_(net[2].weight, -0.02, 0.02)  # the readout sums over many steps
    return net


# %% [markdown]
# The network is an `nn.Sequential` of one time step. This is the loop over time, written plainly:


# %%
def loop(net, events):  # events: [time, batch, 4]
    utils.reset(net)
    out = []
    for x in events:
        _, mem = net(x)
        out.append(mem)
    return torch.stack(out)  # [time, batch, 6]


# %% [markdown]
# `snn.unroll` returns the same, and runs each layer over all 1,301 steps at once in compiled
# kernels. The difference is large where sequences are long:

# %%
torch.manual_seed(0)
net = make_net(brf())
x = 100 * events[:16].transpose(0, 1)
start = perf_counter()
plain = loop(net, x)
plain_time = perf_counter() - start
_, membranes = snn.unroll(net, x)  # compiles the kernels
start = perf_counter()
_, membranes = snn.unroll(net, x)
unroll_time = perf_counter() - start
print(f"loop {plain_time:.2f} s, unroll {unroll_time:.3f} s")
print("same membranes:", torch.allclose(plain, membranes, atol=1e-5))

# %% [markdown]
# The loss is the cross entropy of each labeled step; steps without a label have the class -100,
# which `cross_entropy` ignores. Gradients through many spikes can be very large, so their norm is
# clipped.

# %%
num_epochs = 30 if FULL else 8


def evaluate(net, height, data):
    """Return the accuracy, the confusion matrix and the rate of the hidden spikes."""
    x, y = data.tensors
    with torch.no_grad():
        spikes = snn.unroll(net[:2], height * x.transpose(0, 1))
        _, out = snn.unroll(net[2:], spikes)
    y = y.T  # time first
    pairs = 6 * y[y >= 0] + out.argmax(-1)[y >= 0]
    confusion = pairs.bincount(minlength=36).reshape(6, 6).float()
    return (confusion.trace() / confusion.sum()).item(), confusion, spikes.mean().item()


def train(make_neuron, height):
    torch.manual_seed(0)
    net = make_net(make_neuron())
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    batches = DataLoader(train_set, batch_size=16, shuffle=True)
    scheduler = torch.optim.lr_scheduler.LinearLR(
        optimizer, start_factor=1, end_factor=0.05, total_iters=num_epochs * len(batches)
    )
    curve = []
    for _ in range(num_epochs):
        for x, y in batches:
            _, out = snn.unroll(net, height * x.transpose(0, 1))
            loss = F.cross_entropy(out.flatten(0, 1), y.T.flatten())
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimizer.step()
            scheduler.step()
        curve.append(evaluate(net, height, test_set)[0])
    return net, curve


kinds = {"Leaky": (leaky, 10), "ALIF": (alif, 10), "AdLIF": (adlif, 10), "BRF": (brf, 100)}
nets, curves, results = {}, {}, {}
for name, (make_neuron, height) in kinds.items():
    nets[name], curves[name] = train(make_neuron, height)
    results[name] = accuracy, confusion, rate = evaluate(nets[name], height, test_set)
    size = sum(p.numel() for p in nets[name].parameters())
    print(
        f"{name:6} accuracy {accuracy:.1%}, {rate:.3f} spikes per neuron and step, {size} numbers"
    )
labels = test_set.tensors[1]
print(f"Always TP: {(labels == 5).sum() / (labels >= 0).sum():.1%}")

# %%
for (name, curve), color in zip(curves.items(), (GREY, GREEN, ORANGE, BLUE), strict=True):
    plt.plot(
        range(1, num_epochs + 1), [100 * each for each in curve], "o-", color=color, label=name
    )
plt.xlabel("epoch")
plt.ylabel("steps classified correctly [%]")
plt.legend(frameon=False)
plt.show()

# %% [markdown]
# All networks have the same layers and the same training, and differ in their neurons only. Those
# with a second variable do better than leaky ones, and the two that oscillate, `AdLIF` and `BRF`,
# do best.
#
# ## What it learned
#
# The upper band is the class of each step of a test recording, and the lower bands are the answers
# of two networks.

# %%
recording = 20
x, y = test_set[recording : recording + 1]
fig, axes = plt.subplots(3, 1, figsize=(9, 2.6), sharex=True)
with torch.no_grad():
    rows = {"true": y}
    for name in ("BRF", "Leaky"):
        _, out = snn.unroll(nets[name], kinds[name][1] * x.transpose(0, 1))
        rows[name] = out.argmax(-1).T
for ax, (name, row) in zip(axes, rows.items(), strict=True):
    show_classes(ax, row[0])
    ax.set(yticks=[], xlim=(0, 1300))
    ax.set_ylabel(name, rotation=0, ha="right", va="center")
axes[-1].set_xlabel("time step")
axes[0].legend(handles, names, ncols=6, loc="lower center", bbox_to_anchor=(0.5, 1), frameon=False)
plt.show()

# %%
fig, axes = plt.subplots(1, 2, figsize=(9, 3.6), sharey=True)
for ax, name in zip(axes, ("Leaky", "BRF"), strict=True):
    confusion = results[name][1]
    shares = 100 * confusion / confusion.sum(1, keepdim=True)
    ax.imshow(shares, cmap="Blues", vmin=0, vmax=100)
    for i in range(6):
        for j in range(6):
            shade = "white" if shares[i, j] > 50 else "black"
            ax.text(j, i, f"{shares[i, j]:.0f}", ha="center", va="center", color=shade)
    ax.set(title=name, xlabel="answer", xticks=range(6), yticks=range(6))
    ax.set_xticklabels(names)
axes[0].set(ylabel="true class")
axes[0].set_yticklabels(names)
plt.show()

# %% [markdown]
# Each row shows, in percent, what the network answers for the steps of one class. Most errors are
# between neighboring parts. The hardest is P, which follows TP: the P wave is small and leaves few
# events.
#
# ## Time constants
#
# A trained `BRF` layer is a bank of filters. The period of a neuron is $2\pi/(\omega\,\delta)$
# steps:

# %%
layer = nets["BRF"][1]
period = 2 * math.pi / layer.omega.detach().abs() / 0.01
print(f"Periods from {period.min():.0f} to {period.max():.0f} steps")
plt.scatter(period, layer.b_offset.detach().abs(), color=BLUE, s=16)
plt.axvline(200, color=GREY, linestyle="--", linewidth=1)
plt.xscale("log")
plt.xticks([40, 60, 100, 200, 300], ["40", "60", "100", "200", "300"])
plt.minorticks_off()
plt.xlabel("period [steps]; the dashed line is about one heartbeat")
plt.ylabel("offset of the damping")
plt.show()

# %% [markdown]
# The slowest neurons turn about once per heartbeat, and the fastest several times, about as long as
# the QRS complex.
#
# ## More
#
# - **Recurrent connections.** Published networks connect the hidden neurons with each other.
#   `recurrent=nn.Linear(36, 36, bias=False)` is an option of every neuron. Gradients through 1,301
#   steps of a recurrent network easily explode; Higuchi et al. report that `BRF` is much less
#   affected than `ALIF`.
# - **`snn.SEAdLIF`** integrates `AdLIF` by the symplectic Euler method (Baronig et al. 2024), which
#   keeps the oscillation stable in a wider range.
# - **Stability of `AdLIF`.** Here $a$ and $b$ are not learned. A negative $a$ is positive feedback:
#   below $-(1 - \beta)$ the pair of membrane and current grows without end.
# - [Your own neuron](own_neuron.ipynb) shows how such a neuron is written.
#
# ## Results
#
# Share of the labeled steps of the 141 test recordings that are classified correctly, seed 0. All
# recordings come with the library; full mode, with the environment variable `SNNTORCH_FULL` set,
# trains for 30 epochs instead of 8. snnTorch's tutorials have no counterpart.
#
# | | short mode here | full mode here |
# | --- | --- | --- |
# | `Leaky` | 77.2% | 77.6% |
# | `ALIF` | 79.0% | 80.6% |
# | `AdLIF` | 81.0% | 83.0% |
# | `BRF` | 79.7% | 81.9% |
#
# The published `BRF` network of Higuchi et al. (2024), whose 36 hidden neurons have recurrent
# connections, reaches 86.2% with the weights of its authors, run in this library. That figure
# counts steps without a label as class P and is therefore not comparable to the digit. The weights
# do not come with the library.
#
# ## References
#
# - G. Bellec et al., "A solution to the learning dilemma for recurrent networks of spiking
#   neurons", Nature Communications 11 (2020) 3625.
# - A. Bittar and P. N. Garner, "A surrogate gradient spiking baseline for speech command
#   recognition", Frontiers in Neuroscience 16 (2022) 865897.
# - M. Baronig et al., "Advancing spatio-temporal processing through adaptation in spiking neural
#   networks", arXiv:2408.07517 (2024).
# - E. M. Izhikevich, "Resonate-and-fire neurons", Neural Networks 14 (2001) 883-894.
# - S. Higuchi, S. Kairat, S. M. Bohté and S. Otte, "Balanced resonate-and-fire neurons", ICML
#   (2024).
# - P. Laguna, R. G. Mark, A. L. Goldberger and G. B. Moody, "A database for evaluation of
#   algorithms for measurement of QT and other waveform intervals in the ECG", Computers in
#   Cardiology 24 (1997) 673-676. Data: QT Database, PhysioNet, Open Data Commons Attribution
#   License 1.0.
# - B. Yin, F. Corradi and S. M. Bohté, "Accurate and efficient time-domain classification with
#   adaptive spiking recurrent neural networks", Nature Machine Intelligence 3 (2021) 905-913.

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
# # Tutorial 4: Second-order neurons
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/snntorch/snntorch/blob/main/examples/tutorials/tutorial_4_second_order_neurons.ipynb)
#
# `snn.Leaky` from [Tutorial 3](tutorial_3_feedforward.ipynb) jumps with each input spike. The
# neurons of this tutorial rise and fall smoothly: `snn.Synaptic` adds a synapse with its own time
# constant, and `snn.Alpha` follows the spike response model. You see how each computes a time step,
# how they are related, and when they are worth the extra state. It takes about 30 minutes.

# %% tags=["remove-output"]
# %pip install --quiet snntorch

# %%
import math

import matplotlib.pyplot as plt
import torch
from torch import nn

import snntorch as snn
import snntorch.spikeplot as splt
from snntorch import datasets, spikegen
from snntorch import functional as SF

torch.manual_seed(0)
plt.rcParams.update(
    {
        "figure.figsize": (8, 3),
        "figure.dpi": 100,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "figure.constrained_layout.use": True,
    }
)
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#999999"

# %% [markdown]
# ## A synapse takes time
#
# In `snn.Leaky`, an input spike delivers all of its charge in a single step. A real synapse is
# slower. The spike arrives at the end of the axon and releases a transmitter. The molecules cross
# the gap to the next cell and bind to its receptors, which open ion channels. Current flows as long
# as channels are open. How long this is depends on the receptor: with the AMPA receptor, the
# current is gone after some milliseconds, with the NMDA receptor after some hundred.
#
# The simplest model of this current jumps with each spike, and decays exponentially with a time
# constant $\tau_\text{syn}$: the equation of a leaky membrane once more. The membrane then
# integrates the current instead of the spikes:

# %%
time = torch.arange(0, 120, 0.1)  # ms
tau_mem = 10

fig, (left, right) = plt.subplots(1, 2, figsize=(8, 2.8))
for tau_syn, color, name in ((5, BLUE, "AMPA, 5 ms"), (100, ORANGE, "NMDA, 100 ms")):
    current = torch.exp(-time / tau_syn)
    membrane = tau_syn / (tau_syn - tau_mem) * (current - torch.exp(-time / tau_mem))
    left.plot(time, current, color=color, label=name)
    right.plot(time, membrane / membrane.max(), color=color)
left.set(xlabel="time after the spike (ms)", ylabel="synaptic current")
left.legend(frameon=False)
right.set(xlabel="time after the spike (ms)", ylabel="membrane (scaled)")
plt.show()

# %% [markdown]
# Left: the current after one spike at time 0, for a fast and a slow synapse. Right: the response of
# a membrane with a time constant of 10 ms. It does not jump; it rises first, and the slow synapse
# keeps it up for long.
#
# ## `snn.Synaptic`
#
# In time steps, there are two decay rates, and two states instead of one:
#
# $$\alpha = e^{-\Delta t / \tau_\text{syn}}, \qquad \beta = e^{-\Delta t / \tau_\text{mem}} .$$
#
# The input $W X$ charges the synaptic current, and the current charges the membrane:
#
# $$
# \begin{aligned}
# I_\text{syn}[t] &= \alpha \, I_\text{syn}[t-1] + W X[t] \\
# U[t] &= \beta \, U[t-1] + I_\text{syn}[t] - S[t-1] \, \theta \\
# S[t] &= 1 \text{ if } U[t] > \theta \text{, else } 0
# \end{aligned}
# $$
#
# Firing and reset are those of `snn.Leaky`. Only the membrane is reset; the current goes on. (You
# may read the name *synaptic conductance-based model* for it. Strictly, the synapse here is
# current-based: with a conductance, the current would also depend on the membrane potential.)
#
# By hand, and with the library:


# %%
def synaptic_step(x, syn, mem, alpha, beta, threshold=1.0):
    fired = (mem > threshold).float()
    syn = alpha * syn + x
    mem = beta * mem + syn - fired * threshold
    spk = (mem > threshold).float()
    return spk, syn, mem


def simulate(step_function, inputs, *states):
    """Run a neuron over inputs [time, ...]; return the records of its spikes and of each state."""
    records = []
    for x in inputs:
        spk, *states = step_function(x, *states)
        records.append((spk, *states))
    return [torch.stack(record) for record in zip(*records, strict=True)]


num_steps = 200
x = torch.zeros(num_steps)
x[::10] = 0.2  # an input spike with weight 0.2 in every tenth step

alpha, beta = 0.9, 0.8
zero = torch.tensor(0.0)
spk, syn, mem = simulate(lambda x, *s: synaptic_step(x, *s, alpha, beta), x, zero, zero)

lif = snn.Synaptic(alpha=alpha, beta=beta)
library = simulate(lif, x, *lif.init_synaptic())
for name, record, other in zip(("spk", "syn", "mem"), (spk, syn, mem), library, strict=True):
    print(f"Same {name}:", torch.allclose(record, other))

# %% [markdown]
# A call takes the input and both states, and returns the spikes and both new states: `spk, syn, mem
# = lif(x, syn, mem)`. `lif.init_synaptic()` gives the two states at rest.

# %%
_, axes = plt.subplots(4, 1, figsize=(8, 4.5), sharex=True, height_ratios=(0.6, 1.2, 2, 0.6))
splt.cur_mem_spk(x, mem, spk, 1, syn=syn, spikes_in=True, axes=axes)
for ax, name in zip(axes, ("input", "current", "membrane", "output"), strict=True):
    ax.set_ylabel(name)
plt.show()
print("Input spikes at ", x.nonzero().flatten()[:6].tolist(), "...")
print("Output spikes at", spk.nonzero().flatten()[:6].tolist(), "...")

# %% [markdown]
# Each input spike makes the current jump by 0.2. The membrane follows with a delay, and so do the
# output spikes: none falls into the step of an input spike.
#
# ### The response to one spike
#
# Feed in a single spike with weight $W$, too weak to fire. $n$ steps later, the membranes are
#
# $$
# U_\text{Leaky}[n] = W \beta^n, \qquad
# U_\text{Synaptic}[n] = W \sum_{k=0}^{n} \alpha^k \beta^{n-k}
# = W \, \frac{\alpha^{n+1} - \beta^{n+1}}{\alpha - \beta} .
# $$
#
# These are the *kernels* of the neurons. A new neuron that is called without states starts at rest,
# so a simulation needs no more than the neuron and its input. The threshold is set far too high to
# fire:

# %%
n = torch.arange(40)
impulse = (n == 0).float()
silent = {"threshold": 1e6}

leaky_fast, leaky_slow = 0.8**n, 0.9**n
synaptic = (0.9 ** (n + 1) - 0.8 ** (n + 1)) / (0.9 - 0.8)
kernels = {
    r"Leaky, $\beta$ = 0.8": (snn.Leaky(beta=0.8, **silent), leaky_fast, GREY),
    r"Leaky, $\beta$ = 0.9": (snn.Leaky(beta=0.9, **silent), leaky_slow, GREEN),
    r"Synaptic, $\alpha$ = 0.9, $\beta$ = 0.8": (
        snn.Synaptic(alpha=0.9, beta=0.8, **silent),
        synaptic,
        BLUE,
    ),
}
fig, (left, right) = plt.subplots(1, 2)
for name, (neuron, formula, color) in kernels.items():
    *_, mem = simulate(neuron, impulse)
    for ax in (left, right):
        ax.plot(mem, "o", color=color, markersize=3)
        ax.plot(formula, color=color, linewidth=1, label=name)
left.set(xlabel="time step", ylabel="membrane")
right.set(xlabel="time step", yscale="log", ylim=(1e-2, 10))
left.legend(frameon=False, fontsize="small")
plt.show()

print(f"Peak of Synaptic: {synaptic.max():.2f} at step {synaptic.argmax()}")
for name, area in (("Leaky, 0.8", 1 / 0.2), ("Leaky, 0.9", 1 / 0.1), ("Synaptic", 1 / 0.1 / 0.2)):
    print(f"Sum of the whole kernel of {name}: {area:.0f}")

# %% [markdown]
# Dots are simulated, lines are the formulas. Notice three things:
#
# - `Leaky` has its peak in the step of the spike, `Synaptic` some steps later.
# - The right panel has a logarithmic axis, on which exponentials are straight. In the end,
#   `Synaptic` decays at the rate of its slower state. So it remembers for longer than a `Leaky`
#   with the same $\beta$, but as long as a `Leaky` with the larger of the two.
# - The area under the kernel is $1 / ((1 - \alpha)(1 - \beta))$, which is large. **When you replace
#   `Leaky` by `Synaptic`, make the weights smaller**, by a factor of $1 - \alpha$ to begin with.
#
# With $\alpha = 0$ the synapse has no memory, and `Synaptic` is a `Leaky`:

# %%
x = torch.rand(200)
leaky_spk, leaky_mem = simulate(snn.Leaky(beta=0.8), x)
spk, syn, mem = simulate(snn.Synaptic(alpha=0, beta=0.8), x)
print("Same spikes:", torch.equal(leaky_spk, spk))
print("Same membrane:", torch.equal(leaky_mem, mem))

# %% [markdown]
# ### After a spike
#
# The reset acts on the membrane only. If the synaptic current is still large, the membrane climbs
# again at once. So one strong input spike makes a `Leaky` fire once, and a `Synaptic` several
# times:

# %%
strong = 1.5 * impulse
neurons = {
    "Leaky": snn.Leaky(beta=0.8),
    "Synaptic, subtract": snn.Synaptic(alpha=0.9, beta=0.8),
    "Synaptic, zero": snn.Synaptic(alpha=0.9, beta=0.8, reset_mechanism="zero"),
}
fig, axes = plt.subplots(1, 3, figsize=(8, 2.6), sharey=True)
for ax, (name, neuron) in zip(axes, neurons.items(), strict=True):
    spk, *_, mem = simulate(neuron, strong)
    times = spk.nonzero().flatten().tolist()
    print(f"{name:18} fires at steps {times}")
    ax.plot(mem[:20], ".-", color=BLUE)
    ax.axhline(1, color=GREY, linestyle="--", linewidth=1)
    ax.plot(times, [1.9] * len(times), "|", color=ORANGE, markersize=10)
    ax.set(title=name, xlabel="time step", ylim=(-0.1, 2))
axes[0].set_ylabel("membrane")
plt.show()

# %% [markdown]
# The options of `snn.Leaky` are the same here: `threshold`, `reset_mechanism`, `reset_delay`,
# `refractory`. One detail differs. With `reset_mechanism="zero"`, the membrane of a `Synaptic` is 0
# in the step after a spike (right panel), regardless of its input; a `Leaky` clears its old
# membrane and keeps the input of that step. The synaptic current survives either way.
#
# ### The time of a spike
#
# A smooth kernel makes the *time* of an output spike controllable. Give 250 neurons a single input
# spike each, with different weights, and record when they first fire. To compare `Leaky` and
# `Synaptic`, choose the weights by the peak of the membrane that they would cause without a
# threshold:

# %%
peaks = torch.linspace(0.01, 2.5, 250)
fig, ax = plt.subplots()
for name, make, color in (
    ("Leaky", lambda **options: snn.Leaky(beta=0.95, **options), GREEN),
    ("Synaptic", lambda **options: snn.Synaptic(alpha=0.95, beta=0.9, **options), BLUE),
):
    *_, kernel = simulate(make(**silent), impulse)
    spk, *_ = simulate(make(), impulse.unsqueeze(1) * peaks / kernel.max())  # [steps, peaks]
    fired = spk.any(0)
    ax.plot(peaks[fired], spk.argmax(0)[fired], ".", color=color, label=name)
ax.set(xlabel="peak of the membrane", ylabel="step of the first spike", xlim=(0, 2.5))
ax.legend(frameon=False)
plt.show()

# %% [markdown]
# Below a peak of 1, the threshold, neither fires. Above, the `Leaky` fires in the step of its input
# or not at all. The `Synaptic` has a choice: the stronger the input, the earlier the spike. This is
# what a latency code needs, as in [Tutorial 1](tutorial_1_spike_encoding.ipynb): weights that move
# spikes in time.
#
# ## The spike response model
#
# There is a second way to look at a neuron: as a *filter*. Each input spike adds a copy of the same
# kernel $\epsilon$ to the membrane. With the input spikes $S_\text{in}$ of several synapses $i$,
#
# $$U(t) = \sum_i W_i \, (\epsilon * S_{\text{in}, i})(t)
# = \sum_i W_i \sum_f \epsilon(t - t_i^f) ,$$
#
# where $*$ is a convolution and $t_i^f$ are the times of the spikes of input $i$. This is the core
# of the *spike response model* (SRM) of Gerstner (1995). It works with any kernel. An exponential
# gives the `Leaky`, and the difference of two exponentials the `Synaptic`. Often it is the *alpha
# function*,
#
# $$\epsilon(t) = \frac{t}{\tau} \, e^{1 - t / \tau} \quad (t \ge 0),$$
#
# which rises from 0 to a peak of 1 at $t = \tau$.
#
# A convolution over all past spikes would need a long memory. `snn.Alpha` computes the same step by
# step, by two exponentials of opposite sign, with $\alpha > \beta$:
#
# $$
# \begin{aligned}
# I_\text{exc}[t] &= \alpha \, I_\text{exc}[t-1] + W X[t] \\
# I_\text{inh}[t] &= \beta \, I_\text{inh}[t-1] - W X[t] \\
# U[t] &= \tau_\alpha \left( I_\text{exc}[t] + I_\text{inh}[t] \right), \qquad
# \tau_\alpha = \frac{\ln \alpha}{\ln \beta - \ln \alpha} + 1
# \end{aligned}
# $$
#
# The kernel is therefore $\epsilon[n] = \tau_\alpha \, (\alpha^n - \beta^n)$. It starts at 0, since
# the two currents cancel in the step of the spike. Check that the neuron is the filter:


# %%
def convolve(kernel, spikes):
    return torch.stack([kernel[: t + 1].flip(0) @ spikes[: t + 1] for t in range(len(spikes))])


def alpha_kernel(alpha, beta, n):
    scale = math.log(alpha) / (math.log(beta) - math.log(alpha)) + 1
    return scale * (alpha**n - beta**n)


steps = torch.arange(80)
spikes = torch.zeros(80)
spikes[[5, 20, 26, 30, 60]] = 1
filters = {
    "Leaky": (snn.Leaky(beta=0.85, **silent), 0.85**steps),
    "Alpha": (snn.Alpha(alpha=0.85, beta=0.8, **silent), alpha_kernel(0.85, 0.8, steps)),
}
fig, axes = plt.subplots(1, 2, sharex=True)
for ax, (name, (neuron, kernel)) in zip(axes, filters.items(), strict=True):
    *_, mem = simulate(neuron, spikes)
    print(f"{name} is a filter:", torch.allclose(mem, convolve(kernel, spikes), atol=1e-5))
    for t in spikes.nonzero().flatten().tolist():
        ax.plot(steps[t:], kernel[: 80 - t], color=GREY, linewidth=1)
        ax.axvline(t, ymax=0.05, color="black")
    ax.plot(mem, color=BLUE)
    ax.set(title=name, xlabel="time step")
axes[0].set_ylabel("membrane")
plt.show()

# %% [markdown]
# Black ticks are input spikes. Each adds a kernel (gray), and their sum is the membrane (blue). On
# the left the kernels are exponentials, on the right they rise and fall.
#
# ### How close is it to an alpha function?
#
# The closer $\beta$ is to $\alpha$, the closer. In the limit, the kernel is
# $\frac{n}{\tau} e^{-n / \tau}$ with $\tau = -1 / \ln \alpha$: the alpha function, divided by $e$.
# So one input spike of weight 1 moves the membrane by about 0.37, not by 1:

# %%
n = torch.arange(60)
tau = -1 / math.log(0.9)
fig, ax = plt.subplots()
for beta, color in ((0.6, GREY), (0.8, ORANGE), (0.89, BLUE)):
    ax.plot(alpha_kernel(0.9, beta, n), color=color, label=rf"snn.Alpha, $\beta$ = {beta}")
alpha_function = n / tau * torch.exp(1 - n / tau)
ax.plot(alpha_function / math.e, "k:", label="alpha function / e")
ax.set(xlabel="time step", ylabel=r"kernel, $\alpha$ = 0.9")
ax.legend(frameon=False)
plt.show()
print(f"Peak for beta = 0.89: {alpha_kernel(0.9, 0.89, n).max():.3f}, 1 / e = {1 / math.e:.3f}")

# %% [markdown]
# ### `snn.Alpha` at work
#
# The neuron has three states: `spk, syn_exc, syn_inh, mem = lif(x, syn_exc, syn_inh, mem)`. Here a
# single spike, two spikes that are close together, and then a regular train:

# %%
x = torch.zeros(200)
x[10] = 0.85
x[[60, 63]] = 0.85
x[110::6] = 0.85

lif = snn.Alpha(alpha=0.8, beta=0.7, threshold=0.5)
spk, syn_exc, syn_inh, mem = simulate(lif, x, *lif.init_alpha())

_, axes = plt.subplots(3, 1, figsize=(8, 3.6), sharex=True, height_ratios=(0.6, 2, 0.6))
splt.cur_mem_spk(x, mem, spk, 0.5, spikes_in=True, axes=axes)
for ax, name in zip(axes, ("input", "membrane", "output"), strict=True):
    ax.set_ylabel(name)
plt.show()
print("Output spikes at", spk.nonzero().flatten().tolist())

# %% [markdown]
# One spike stays below the threshold, two within a few steps exceed it. After each output spike the
# membrane falls to zero and starts anew. `snn.Alpha` resets to zero by default, and clears **all
# three** states, so it forgets its input. (With `reset_mechanism="subtract"` it computes the
# numbers of snnTorch 1.0.0, which do not correspond to taking a threshold off the membrane. Keep
# the default unless you have to reproduce results.)
#
# ### How Alpha and Synaptic are related
#
# Compare the two kernels: $\tau_\alpha \, (\alpha^n - \beta^n)$ and
# $(\alpha^{n+1} - \beta^{n+1}) / (\alpha - \beta)$. Below the threshold, an `Alpha` is a `Synaptic`
# that is one step later, with weights scaled by $\tau_\alpha (\alpha - \beta)$:

# %%
x = torch.rand(200)
*_, synaptic_mem = simulate(snn.Synaptic(alpha=0.8, beta=0.7, **silent), x)
*_, alpha_mem = simulate(snn.Alpha(alpha=0.8, beta=0.7, **silent), x)
scale = math.log(0.8) / (math.log(0.7) - math.log(0.8)) + 1
print("Same:", torch.allclose(alpha_mem[1:], scale * (0.8 - 0.7) * synaptic_mem[:-1], atol=1e-4))

# %% [markdown]
# What really differs is the reset. A `Synaptic` keeps its current through a spike, an `Alpha`
# starts from nothing. And a `Synaptic` with $\alpha = \beta$, which `snn.Alpha` does not allow, has
# the kernel $(n + 1) \, \alpha^n$: an alpha function too.

# %% [markdown]
# ## In a network
#
# To build a network from these neurons, put them where `snn.Leaky` was. With hidden states
# (`init_hidden=True`) nothing else changes, and `snn.unroll` runs all steps, as in Tutorial 3:


# %%
def network(neuron, scale=1.0):
    """Two layers; `neuron` makes the neurons of a layer, `scale` multiplies the first weights."""
    net = nn.Sequential(nn.Linear(784, 100), neuron(), nn.Linear(100, 10), neuron())
    with torch.no_grad():
        for parameter in (*net[0].parameters(), *net[2].parameters()):
            parameter *= scale
    return net


neurons = {
    "Leaky": (lambda: snn.Leaky(beta=0.9, init_hidden=True), 1.0),
    "Synaptic": (lambda: snn.Synaptic(alpha=0.8, beta=0.9, init_hidden=True), 0.2),
    "Alpha": (lambda: snn.Alpha(alpha=0.9, beta=0.8, init_hidden=True), 1.0),
}
net = network(*neurons["Synaptic"])
print(net)
print("Output:", tuple(snn.unroll(net, torch.rand(25, 8, 784)).shape))

# %% [markdown]
# The weights of the `Synaptic` are scaled by $1 - \alpha = 0.2$, so that its kernel has the area of
# the `Leaky`. The `Alpha` has about this area already.
#
# ## Which one is best?
#
# Measure it. All three networks learn to read handwritten digits, once from a rate code, which is
# dense, and once from a latency code, with one spike per pixel. Skip how they are trained for now;
# [Tutorial 5](tutorial_5_training.ipynb) is about that.

# %%
images, labels = datasets.mnist(train=True).tensors
test_images, test_labels = datasets.mnist(train=False).tensors
num_epochs = 2 if len(images) > 10_000 else 3


def rate(images):
    return spikegen.rate(images.flatten(1), num_steps=25)


def latency(images):
    options = {"threshold": 0.1, "linear": True, "normalize": True, "clip": True}
    return spikegen.latency(images.flatten(1), num_steps=25, **options)


def accuracy_after_training(net, encode):
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    loss_fn = SF.ce_count_loss()
    for _ in range(num_epochs):
        for batch in torch.randperm(len(images)).split(100):
            spikes = snn.unroll(net, encode(images[batch]))
            loss = loss_fn(spikes, labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        counts = snn.unroll(net, encode(test_images)).sum(0)
    return (counts.argmax(1) == test_labels).float().mean().item()


print("neuron      rate code   latency code")
for name, (neuron, scale) in neurons.items():
    torch.manual_seed(0)
    results = [accuracy_after_training(network(neuron, scale), code) for code in (rate, latency)]
    print(f"{name:9}   {results[0]:9.1%}   {results[1]:12.1%}")

# %% [markdown]
# On the dense rate code the three are close. On the sparse latency code `Synaptic` comes out ahead
# of `Leaky` by a little, and `Alpha` falls far behind. Is it the reset, which deletes the two
# currents at each spike? Leave it out:

# %%
torch.manual_seed(0)
net = network(lambda: snn.Alpha(alpha=0.9, beta=0.8, reset_mechanism="none", init_hidden=True))
print(f"Alpha without a reset, latency code: {accuracy_after_training(net, latency):.1%}")

# %% [markdown]
# It mostly is: without the reset, `Alpha` almost catches up. With one spike per pixel, what the
# reset deletes does not come again.
#
# With 1,000 test digits the standard error is one point, so one or two points mean little. All of
# MNIST (see the results below) is clearer: there, `Leaky` is two points ahead on the rate code and
# `Synaptic` three points on the latency code. All networks were trained with the same learning
# rate; tuning would change the numbers again. The measurement suggests:
#
# - **Start with `Leaky`.** It has the fewest parameters and states, and is the fastest.
# - **Try `Synaptic`** if the input is sparse, if it stays relevant for a long time, or if exact
#   spike times matter. `learn_alpha=True` and `learn_beta=True` let training choose the decay
#   rates.
# - **Use `Alpha`** to reproduce a spike response model. To *train* such models well, there are
#   methods that treat the kernel as a filter over time, such as SLAYER (Shrestha and Orchard,
#   2018).
#
# ## What you know now
#
# The four neurons of Tutorials 2 to 4, each with one time step. $X$ is the weighted input; all fire
# where $U[t] > \theta$:
#
# | Neuron | One time step | Reset one step after a spike |
# |---|---|---|
# | `Lapicque` | $U[t] = (1 - \Delta t / R C) \, U[t-1] + I[t] \, \Delta t / C$ | $-\theta$ |
# | `Leaky` | $U[t] = \beta \, U[t-1] + X[t]$ | $-\theta$ |
# | `Synaptic` | $I[t] = \alpha I[t-1] + X[t]$, $U[t] = \beta U[t-1] + I[t]$ | $-\theta$ on $U$ |
# | `Alpha` | two such currents, $U[t]$ from their difference | all states 0 |
#
# [Tutorial 5](tutorial_5_training.ipynb) trains them.
#
# ## Results
#
# | | Short mode here | Full mode here | snnTorch's page |
# |---|---|---|---|
# | `Leaky`, rate / latency code | 91.9% / 88.5% | 96.6% / 93.5% | not measured |
# | `Synaptic`, rate / latency code | 90.2% / 90.1% | 94.2% / 96.5% | not measured |
# | `Alpha`, rate / latency code | 89.0% / 73.5% | 93.0% / 89.7% | not measured |
# | `Alpha` without a reset, latency code | 86.2% | 94.5% | not measured |
#
# The full mode uses all of MNIST, two epochs. The page recommends `Leaky` and `Synaptic` for
# training, and has not found a case in which `Alpha` is better; this agrees.
#
# ## References
#
# - W. Gerstner, "Time structure of the activity in neural network models", *Physical Review E* 51
#   (1995) 738–758.
# - W. Gerstner, W. M. Kistler, R. Naud, L. Paninski, *Neuronal Dynamics*, Cambridge University
#   Press (2014), chapters 1, 3 and 6.
# - S. B. Shrestha, G. Orchard, "SLAYER: Spike layer error reassignment in time", *Advances in
#   Neural Information Processing Systems* 31 (2018) 1412–1421.

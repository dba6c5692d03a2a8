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
# # Tutorial 3: A feedforward spiking network
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/snntorch/snntorch/blob/main/examples/tutorials/tutorial_3_feedforward.ipynb)
#
# You reduce the neuron of [Tutorial 2](tutorial_2_lif_neuron.ipynb) to a single parameter, which
# gives `snn.Leaky`, the neuron that most spiking networks are made of. You learn exactly when it
# resets, and connect 1,010 of them to a network of two layers. It takes about 40 minutes. Nothing
# is trained yet; training starts in [Tutorial 5](tutorial_5_training.ipynb).

# %% tags=["remove-output"]
# %pip install --quiet snntorch

# %%
import math

import matplotlib.pyplot as plt
import torch
from IPython.display import HTML
from torch import nn

import snntorch as snn
import snntorch.spikeplot as splt
from snntorch import spikegen, utils

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
# ## From five parameters to one
#
# Tutorial 2 ended with the time step of `snn.Lapicque`,
#
# $$U[t] = \left(1 - \frac{\Delta t}{\tau}\right) U[t-1] + \frac{\Delta t}{\tau} R \, I[t]
# - S[t-1] \, \theta ,$$
#
# which has a resistance, a capacitance (both in $\tau = R C$), a time step and a threshold. Four
# steps simplify it.
#
# ### 1. One number for the decay
#
# Without input and spikes, each step multiplies the membrane by the same factor, the *decay rate*
# $\beta$:
#
# $$U[t] = \beta \, U[t-1] .$$
#
# Euler's method makes it $\beta = 1 - \Delta t / \tau$. But the exact solution is known,
# $U(t) = U_0 \, e^{-t / \tau}$, and the ratio of two values one step apart is
#
# $$\beta = \frac{U_0 \, e^{-(t + \Delta t) / \tau}}{U_0 \, e^{-t / \tau}}
# = e^{-\Delta t / \tau} .$$
#
# This is exact for every time step, and always between 0 and 1, so the membrane cannot swing or
# grow.

# %%
tau, time_step = 5e-3, 1e-3
print(f"Exact: {math.exp(-time_step / tau):.3f}, Euler: {1 - time_step / tau:.3f}")

ratio = torch.linspace(0, 3, 100)
fig, ax = plt.subplots(figsize=(6, 2.6))
ax.plot(ratio, torch.exp(-ratio), color=BLUE, label=r"exact, $e^{-\Delta t / \tau}$")
ax.plot(ratio, 1 - ratio, color=ORANGE, label=r"Euler, $1 - \Delta t / \tau$")
ax.axhline(0, color=GREY, linewidth=0.5)
ax.set(xlabel=r"$\Delta t / \tau$", ylabel=r"decay rate $\beta$")
ax.legend(frameon=False)
plt.show()

# %% [markdown]
# The two agree for small steps only, where both are close to 1.
#
# ### 2. One weight for the input
#
# If the current is constant during a step, the exact solution with input is
#
# $$U[t] = \beta \, U[t-1] + (1 - \beta) \, R \, I[t] .$$
#
# In a network, the current is a weighted sum of inputs, and the weights are learned. The factor
# $(1 - \beta) R$ can therefore be part of the weight. Call the input $X[t]$ and the weight $W$:
#
# $$U[t] = \beta \, U[t-1] + W X[t] .$$
#
# Think of $X$ as a spike and of $W$ as the strength of the synapse: each spike makes the membrane
# jump by $W$. Now $\beta$ and $W$ are independent. Keep in mind what that means: with a constant
# input, the membrane adds up to
#
# $$U[\infty] = W X \, (1 + \beta + \beta^2 + \ldots) = \frac{W X}{1 - \beta} ,$$
#
# so **a slower leak amplifies the input**, a hundred times for $\beta = 0.99$.
#
# ### 3. The threshold is 1
#
# Multiply all weights and the threshold by the same number, and every membrane is multiplied too:
# the spikes stay the same. So the threshold can be 1 when the weights are learned.
#
# ### 4. Time is counted in steps
#
# $\Delta t$ is gone; only $\beta$ remains. It corresponds to a time constant of $-1 / \ln \beta$
# steps:

# %%
print("beta   time constant   half-life   gain 1 / (1 - beta)")
for beta in (0.5, 0.8, 0.9, 0.95, 0.99):
    constant = -1 / math.log(beta)
    half = constant * math.log(2)
    print(f"{beta:4}   {constant:7.1f} steps   {half:4.1f} steps   {1 / (1 - beta):6.0f}")

# %% [markdown]
# ## The time step of `snn.Leaky`
#
# What is left is
#
# $$
# \begin{aligned}
# U[t] &= \underbrace{\beta \, U[t-1]}_\text{decay} + \underbrace{W X[t]}_\text{input}
#         - \underbrace{S[t-1] \, \theta}_\text{reset} \\
# S[t] &= 1 \text{ if } U[t] > \theta \text{, else } 0
# \end{aligned}
# $$
#
# A step by hand takes four lines. The neuron gets the weighted input; the weights belong to the
# layer in front of it.


# %%
def leaky_step(x, mem, beta, threshold=1.0):
    fired = (mem > threshold).float()
    mem = beta * mem + x - fired * threshold
    spk = (mem > threshold).float()
    return spk, mem


def simulate(step_function, inputs):
    mem, spikes, membranes = torch.tensor(0.0), [], []
    for x in inputs:
        spk, mem = step_function(x, mem)
        spikes.append(spk)
        membranes.append(mem)
    return torch.stack(spikes), torch.stack(membranes)


num_steps = 200
x = torch.zeros(num_steps)
x[10:] = 0.21
spk, mem = simulate(lambda x, mem: leaky_step(x, mem, beta=0.8), x)

lif = snn.Leaky(beta=0.8)
library_spk, library_mem = simulate(lif, x)
print("Same spikes:", torch.equal(spk, library_spk))
print("Same membrane:", torch.allclose(mem, library_mem))

_, axes = plt.subplots(3, 1, figsize=(8, 3.6), sharex=True, height_ratios=(1, 2, 0.6))
splt.cur_mem_spk(x, library_mem, library_spk, 1, axes=axes)
for ax, name in zip(axes, ("input $WX$", "membrane", "spikes"), strict=True):
    ax.set_ylabel(name)
plt.show()

# %% [markdown]
# An input of 0.21 drives the membrane towards 0.21 / (1 - 0.8) = 1.05, a little above the
# threshold.
#
# `lif(x, mem)` returns `spk, mem`, as `snn.Lapicque` does. In fact, `Lapicque` is a `Leaky` with
# other parameters: $\beta = 1 - \Delta t / \tau$, and an input of $I \, \Delta t / C$.

# %%
lapicque = snn.Lapicque(R=5.1, C=5e-3, time_step=1e-3)
leaky = snn.Leaky(beta=1 - 1e-3 / (5.1 * 5e-3))
current = torch.full((num_steps,), 0.3)

lapicque_spk, lapicque_mem = simulate(lapicque, current)
leaky_spk, leaky_mem = simulate(leaky, current * 1e-3 / 5e-3)
print("Same spikes:", torch.equal(lapicque_spk, leaky_spk))
print("Same membrane:", torch.allclose(lapicque_mem, leaky_mem, atol=1e-5))

# %% [markdown]
# ## When does it reset?
#
# Definitions of the LIF neuron in the literature differ in one detail: whether the reset happens in
# the step of the spike or in the next. This changes the numbers, so you need to know it when you
# compare results or move a network to hardware. `snn.Leaky` has both:
#
# - **`reset_delay=True`**, the default: one step later. The membrane that comes back with a spike
#   is above the threshold.
# - **`reset_delay=False`**: at once. The neuron adds up $V[t] = \beta U[t-1] + W X[t]$, fires if
#   $V[t] > \theta$, and returns the membrane after the reset.
#
# With `reset_mechanism="subtract"` (the default) or `"zero"`, there are four combinations:
#
# | Mechanism | Reset | Membrane |
# |---|---|---|
# | `"subtract"` | delayed | $U[t] = \beta \, U[t-1] + W X[t] - S[t-1] \, \theta$ |
# | `"subtract"` | at once | $U[t] = V[t] - S[t] \, \theta$ |
# | `"zero"` | delayed | $U[t] = \beta \, (1 - S[t-1]) \, U[t-1] + W X[t]$ |
# | `"zero"` | at once | $U[t] = (1 - S[t]) \, V[t]$ |
#
# With a constant input of 0.6 they give:

# %%
x = torch.full((12,), 0.6)
records = {}
print(f"{'':20} membrane, with * for a spike")
for mechanism in ("subtract", "zero"):
    for delay in (True, False):
        neuron = snn.Leaky(beta=0.8, reset_mechanism=mechanism, reset_delay=delay)
        spk, mem = simulate(neuron, x)
        name = f"{mechanism}, {'delayed' if delay else 'at once'}"
        records[name] = spk, mem
        cells = (f"{m:.2f}{'*' if s else ' '}" for s, m in zip(spk, mem, strict=True))
        print(f"{name:20}", *cells)

# %%
fig, axes = plt.subplots(2, 2, figsize=(8, 4), sharex=True, sharey=True)
for ax, (name, (spk, mem)) in zip(axes.flat, records.items(), strict=True):
    ax.plot(mem, "o-", color=BLUE, markersize=4)
    ax.axhline(1, color=GREY, linestyle="--", linewidth=1)
    ax.plot(spk.nonzero().flatten(), [1.75] * int(spk.sum()), "|", color=ORANGE, markersize=10)
    ax.set_title(name, size="medium")
    ax.set(ylim=(-0.1, 1.9))
for ax in axes[:, 0]:
    ax.set_ylabel("membrane")
for ax in axes[1]:
    ax.set_xlabel("time step")
plt.show()

# %% [markdown]
# The left column shows the peaks above the threshold, the right column does not. Two more things
# are worth knowing:
#
# - **`"zero"`: the spikes are the same** with and without delay. The delayed reset clears the old
#   membrane before it decays and keeps the new input, so nothing but the recorded membrane differs.
#   (`snn.Lapicque`, `snn.Synaptic` and `snn.Alpha` clear the new membrane instead, with the input
#   of that step.)
# - **`"subtract"`: the spikes can differ.** At once, the threshold is taken off *before* the
#   membrane decays. For a membrane $V$ that has fired, the next step gives
#   $\beta \, (V - \theta) + W X = \beta V + W X - \beta \theta$, so the reset is only
#   $\beta \theta$. Such a *softer* reset leaves a higher membrane, and the neuron fires more often.
#
# Check both claims with a random input:

# %%
x = torch.rand(1_000) * 0.6
count = {}
for name, options in {
    "zero, delayed": {"reset_mechanism": "zero"},
    "zero, at once": {"reset_mechanism": "zero", "reset_delay": False},
    "subtract, delayed": {},
    "subtract, at once": {"reset_delay": False},
}.items():
    count[name], _ = simulate(snn.Leaky(beta=0.8, **options), x)
    print(f"{name}: {int(count[name].sum())} spikes")
print("Zero, same spikes:", torch.equal(count["zero, delayed"], count["zero, at once"]))


# %%
def softer_reset(x, mem, beta=0.8):
    fired = (mem > 1).float()
    mem = beta * mem + x - beta * fired
    return (mem > 1).float(), mem


soft, _ = simulate(softer_reset, x)
print("Subtract at once is a reset by beta:", torch.equal(soft, count["subtract, at once"]))

# %% [markdown]
# The other option of Tutorial 2, a refractory period, works here too: `snn.Leaky(beta,
# refractory=k)` ignores its input for `k` steps after a spike.

# %% [markdown]
# ## A network
#
# In a spiking network, a layer of neurons replaces the activation function. `nn.Linear` multiplies
# the incoming spikes by weights, and `snn.Leaky` turns the sums into spikes. Unlike an activation
# function, the neurons have a memory, so the network runs step by step and hands its membranes on
# from each step to the next. Drawn over time, the network is *unrolled* into a recurrent network
# (you can skip the code of the picture):

# %% tags=["hide-input"]
fig, ax = plt.subplots(figsize=(8, 3.6))
rows = (("spikes in", GREY), ("fc1", "white"), ("lif1", BLUE), ("fc2", "white"), ("lif2", BLUE))
for column in range(3):
    for row, (name, color) in enumerate(rows):
        dark = color == BLUE
        box = {"boxstyle": "round", "facecolor": color, "edgecolor": "black", "alpha": 1}
        ax.text(
            3 * column,
            row,
            name,
            ha="center",
            va="center",
            bbox=box,
            color="white" if dark else "black",
        )
        ax.annotate(
            "", (3 * column, row + 0.75), (3 * column, row + 0.25), arrowprops={"arrowstyle": "->"}
        )
        if dark:
            arrow = {"arrowstyle": "->", "color": ORANGE, "linewidth": 1.5}
            ax.annotate("", (3 * column + 2.6, row), (3 * column + 0.4, row), arrowprops=arrow)
            label = f"mem{row // 2}"
            ax.text(3 * column + 1.5, row + 0.12, label, color=ORANGE, ha="center")
    ax.text(3 * column, 4.9, "spikes out", ha="center", va="center")
    ax.text(3 * column, -0.7, f"$t$ = {column}", ha="center")
ax.set(xlim=(-1, 9), ylim=(-1, 5.2))
ax.axis("off")
plt.show()

# %% [markdown]
# Upwards run spikes and currents, within one step. To the right run the membranes (orange), from
# one step to the next. The weights are the same at every step. A spike of the input can reach the
# output within the same step: layers add no delay.
#
# As a module, with the loop over time in `forward`:

# %%
num_inputs, num_hidden, num_outputs = 784, 1000, 10


class Net(nn.Module):
    def __init__(self, beta):
        super().__init__()
        self.fc1 = nn.Linear(num_inputs, num_hidden)
        self.lif1 = snn.Leaky(beta=beta)
        self.fc2 = nn.Linear(num_hidden, num_outputs)
        self.lif2 = snn.Leaky(beta=beta)

    def forward(self, x):  # [time, batch, 784]
        mem1 = self.lif1.init_leaky()
        mem2 = self.lif2.init_leaky()
        hidden, spikes, membranes = [], [], []
        for step in range(len(x)):
            cur1 = self.fc1(x[step])  # weighted spikes are a current
            spk1, mem1 = self.lif1(cur1, mem1)
            cur2 = self.fc2(spk1)
            spk2, mem2 = self.lif2(cur2, mem2)
            hidden.append(spk1)
            spikes.append(spk2)
            membranes.append(mem2)
        return torch.stack(hidden), torch.stack(spikes), torch.stack(membranes)


torch.manual_seed(0)
net = Net(beta=0.99)

# %% [markdown]
# `init_leaky()` gives membranes at rest. They take the shape of the input at the first step, so the
# same network runs with any batch size.
#
# As input, draw random spikes for 784 neurons over 200 steps, each neuron with its own rate of up
# to 0.2. Time comes first in snnTorch, then the batch, then the features: `[200, 1, 784]` for a
# batch of one.

# %%
rates = 0.2 * torch.rand(num_inputs)
spk_in = spikegen.rate_conv(rates.expand(200, 1, num_inputs))
with torch.no_grad():
    spk1, spk2, mem2 = net(spk_in)
for name, record in {"input": spk_in, "hidden": spk1, "output": spk2, "membranes": mem2}.items():
    print(f"{name:9} {tuple(record.shape)}")

# %%
_, axes = plt.subplots(3, 1, figsize=(8, 5), sharex=True, height_ratios=(2, 2, 1.2))
splt.network_raster({"input": spk_in, "hidden": spk1, "output": spk2}, axes=axes)
plt.show()

# %% [markdown]
# The spikes travel from the input (top) to the output (bottom). In every step:
#
# 1. `fc1` adds up the weights of the inputs that fire, for each of the 1,000 hidden neurons.
# 2. `lif1` adds this current to the decayed membranes, takes 1 off those that fired in the step
#    before, and fires those that are above the threshold.
# 3. `fc2` and `lif2` do the same for the ten output neurons.
#
# Weights and inputs are random, so the spikes mean nothing yet. Some output neurons fire often and
# some never, and with other weights it would be other ones.
#
# ### The output
#
# A network that reads digits has one output neuron per class, and its answer is the neuron that
# fires most. `spikeplot.spike_count` counts; here for the first 100 steps:

# %%
fig, ax = plt.subplots(figsize=(6, 3), dpi=50)
labels = [str(digit) for digit in range(10)]
animation = splt.spike_count(spk2[:, 0], fig, ax, labels, num_steps=100, animate=True, interval=80)
plt.close(fig)
HTML(animation.to_jshtml())

# %%
print("Spikes of each output neuron in 200 steps:", spk2[:, 0].sum(0).int().tolist())

# %% [markdown]
# `spikeplot.traces` draws the membranes of the first nine output neurons, with their spikes on top.
# Match them with the counts: the neurons without spikes are those whose membrane stays low or
# sinks.

# %%
fig = plt.figure(figsize=(8, 4))
splt.traces(mem2[:, 0], spk=spk2[:, 0], titles=labels[:9])
plt.show()

# %% [markdown]
# ### Why networks fall silent
#
# The default weights of `nn.Linear` are made for networks without spikes. Whether a spiking network
# is active depends on its weights and on $\beta$, since the leak sets the gain. The same weights
# and the same input, with four decay rates:

# %%
print("beta   hidden   output")
fig, ax = plt.subplots(figsize=(6, 2.8))
for beta, color in ((0.99, BLUE), (0.95, ORANGE), (0.9, GREEN), (0.5, "black")):
    other = Net(beta)
    other.fc1, other.fc2 = net.fc1, net.fc2
    with torch.no_grad():
        spk1, spk2, _ = other(spk_in)
    print(f"{beta:4}   {spk1.mean():6.4f}   {spk2.mean():6.4f}")
    sorted_rates = spk1.mean((0, 1)).sort(descending=True).values
    ax.plot(sorted_rates, color=color, label=rf"$\beta$ = {beta}")
ax.set(xlabel="hidden neurons, sorted by rate", ylabel="spikes per step", ylim=(0, None))
ax.legend(frameon=False)
plt.show()

# %% [markdown]
# The table shows the mean spikes per step of each layer, the figure the rates of the 1,000 hidden
# neurons. Many of them never fire, since their weights happen to add up to a negative input. The
# faster the leak, the lower the rates of the others, and the activity shrinks from layer to layer:
# with $\beta = 0.9$ the output is silent, with $\beta = 0.5$ nearly everything. If a network does
# not fire, raise $\beta$ or the weights, or lower the threshold. Training adjusts the weights, but
# it needs some activity to start from.

# %% [markdown]
# ## Shorter: hidden states
#
# A plain chain of layers needs no class. With `init_hidden=True` a neuron keeps its state inside
# and returns spikes only, so that it fits into `nn.Sequential`. Reset the states before each new
# sequence with `utils.reset`, or the network carries on from the last one.

# %%
sequential = nn.Sequential(
    net.fc1,
    snn.Leaky(beta=0.99, init_hidden=True),
    net.fc2,
    snn.Leaky(beta=0.99, init_hidden=True),
)
utils.reset(sequential)
with torch.no_grad():
    output = torch.stack([sequential(spk_in[step]) for step in range(len(spk_in))])
    _, expected, _ = net(spk_in)
print(f"Equal to Net: {(output == expected).float().mean():.2%} of the spikes")

# %% [markdown]
# ## Faster: `snn.compile` and `snn.unroll`
#
# The loop runs all layers in step 0, then all layers in step 1, and so on: many small operations.
# `snn.compile` takes a network with a loop in its `forward`, such as `Net`, and computes the same
# faster, for example by one large matrix product for all steps. `snn.unroll` does this for an
# `nn.Sequential`, and takes care of the loop and the reset.

# %%
fast = snn.compile(net)
with torch.no_grad():
    _, compiled, _ = fast(spk_in)
    unrolled = snn.unroll(sequential, spk_in)
print(f"Compiled: {(compiled == expected).float().mean():.2%} equal")
print(f"Unrolled: {(unrolled == expected).float().mean():.2%} equal")

# %% [markdown]
# ## What you know now
#
# One time step of `snn.Leaky`, with the default settings: **decay, add the input, subtract the
# threshold if the neuron fired in the step before, fire if the result is above the threshold.** The
# only parameter to choose is $\beta$, and layers of weights connect neurons to networks.
#
# In practice you will use `snn.Leaky` rather than `snn.Lapicque`, since there is less to tune.
# [Tutorial 4](tutorial_4_second_order_neurons.ipynb) adds a synapse to the neuron. You can skip it
# and go on to training in [Tutorial 5](tutorial_5_training.ipynb).
#
# ## Results
#
# | | Here | snnTorch's page |
# |---|---|---|
# | $\beta$ for $\tau$ = 5 ms and steps of 1 ms | 0.819 | 0.819 |
# | Reset by default, seen in the step after the spike | $\theta$ | stated as $\beta \theta$ |
# | The same with `reset_delay=False` | $\beta \theta$ | not shown |
# | Shape of the input | `[200, 1, 784]` | `[200, 1, 784]` |
#
# ## References
#
# - J. K. Eshraghian et al., "Training spiking neural networks using lessons from deep learning",
#   *Proceedings of the IEEE* 111 (2023) 1016–1054.
# - E. O. Neftci, H. Mostafa, F. Zenke, "Surrogate gradient learning in spiking neural networks",
#   *IEEE Signal Processing Magazine* 36 (2019) 51–63.
# - W. Gerstner, W. M. Kistler, R. Naud, L. Paninski, *Neuronal Dynamics*, Cambridge University
#   Press (2014), chapter 1.

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
# # Reading a network
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/snntorch/snntorch/blob/main/examples/tutorials/reading_a_network.ipynb)
#
# A spiking network that does not learn often has a layer that never fires, or one that always does.
# The loss does not say so. This tutorial looks inside: a summary of each layer with its spikes,
# operations and energy, monitors that record what layers do, and pictures of spikes and membranes.
# It finds a silent and a saturated layer, mends both, and then reads the trained network. It
# assumes that you have trained a spiking network before, and takes about half an hour.

# %% tags=["remove-output"]
# %pip install --quiet snntorch

# %%
import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

import snntorch as snn
import snntorch.spikeplot as splt
from snntorch import datasets, surrogate, utils
from snntorch.functional import probe

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
# ## A network with a problem
#
# Three layers of leaky neurons are to tell pictures of clothes apart. Each picture is shown for 25
# steps as a constant input.

# %%
num_steps = 25


def make_net(gain=1.0):
    """Return a network; ``gain`` multiplies the initial weights behind the first neurons."""
    torch.manual_seed(0)
    neuron = {"beta": 0.9, "spike_grad": surrogate.fast_sigmoid(slope=25), "init_hidden": True}
    net = nn.Sequential(
        nn.Flatten(),
        nn.Linear(784, 200, bias=False),
        snn.Leaky(**neuron),
        nn.Linear(200, 200, bias=False),
        snn.Leaky(**neuron),
        nn.Linear(200, 10, bias=False),
        snn.Leaky(**neuron),
    )
    with torch.no_grad():
        net[3].weight *= gain
    return net


def loop(net, images):
    """Show images [batch, 1, 28, 28] for all steps; return output spikes [time, batch, 10]."""
    utils.reset(net)
    return torch.stack([net(images) for _ in range(num_steps)])


# %% [markdown]
# `snn.unroll(net, images, num_steps=25)` returns the same as this loop and is faster, so training
# uses it. The library comes with 3,000 pictures to train on and 600 to test on. With the
# environment variable `SNNTORCH_DATA` set to a folder whose subfolder `fashion-mnist` has the full
# data set, everything below runs on that.

# %%
train_set, test_set = datasets.fashion_mnist(), datasets.fashion_mnist(train=False)
names = ("T-shirt", "trouser", "pullover", "dress", "coat")
names += ("sandal", "shirt", "sneaker", "bag", "boot")
images, labels = test_set.tensors
images, labels = images[:600], labels[:600]
num_epochs = 1 if len(train_set) > 10_000 else 4


def accuracy(net):
    with torch.no_grad():
        counts = snn.unroll(net, images, num_steps).sum(0)
    return (counts.argmax(1) == labels).float().mean().item()


def train(net, optimizer):
    """Return the loss of each update."""
    torch.manual_seed(0)
    losses = []
    for _ in range(num_epochs):
        for x, y in DataLoader(train_set, batch_size=64, shuffle=True):
            counts = snn.unroll(net, x, num_steps).sum(0)
            loss = F.cross_entropy(0.2 * counts, y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    return losses


def sgd(net):
    return torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)


# %% [markdown]
# Two networks have unlucky initial weights: in one, those of the second linear layer are ten times
# too small; in the other they are large and all positive.


# %%
def make_weak():
    return make_net(gain=0.1)


def make_strong():
    net = make_net(gain=100.0)
    with torch.no_grad():
        net[3].weight.abs_()
    return net


for make in (make_weak, make_strong):
    net = make()
    losses = train(net, sgd(net))
    print(
        f"{make.__name__:12} loss {losses[0]:.2f} -> {losses[-1]:.2f}, accuracy {accuracy(net):.1%}"
    )

# %% [markdown]
# Chance is 10%. Neither learns anything, and the numbers look alike. To see why, look at the
# networks *before* training.
#
# ## The summary
#
# `snn.summary` runs a network on a batch and reports each layer.

# %%
too_weak = make_weak()
print(snn.summary(too_weak, images[:100], num_steps))

# %% [markdown]
# From left to right:
#
# - *output* and *parameters* are the size of the layer;
# - *neurons*, and their *rate*, in spikes per neuron and step;
# - *silent* neurons fire for no sample, and *saturated* ones at each step of every sample;
# - *synaptic ops* counts one for each weight that a nonzero input meets, per sample and over all
#   steps. Silence saves work. *dense MACs* is what the same network without spikes would do in a
#   single pass;
# - *energy* is an estimate for 45 nm hardware: 0.9 pJ for an addition, 4.6 pJ where a
#   multiplication is needed, as in the first layer, whose inputs are gray values.
#
# The row of layer 4 has the diagnosis: 200 of 200 neurons are silent. No spike reaches the output,
# and hardly any gradient comes back. Now the other network:

# %%
too_strong = make_strong()
rows = snn.summary(too_strong, images[:100], num_steps)
print(rows)

# %% [markdown]
# Its layer 4 fires nearly always, whatever the picture. A constant carries no information, and it
# is expensive: layer 5 has almost as many operations as are possible, 25 times the dense ones. No
# neuron counts as saturated, since all wait for the first input spikes; the rate tells. The report
# is also data, with one row for each layer:

# %%
row = next(row for row in rows if row.path == "4")
print(f"rate {row.rate:.2f}, {row.silent} silent, {row.saturated} saturated of {row.neurons}")
print(f"{rows.total('operations'):,.0f} operations, {1e9 * rows.total('energy'):.0f} nJ per sample")

# %% [markdown]
# ## Membranes tell why
#
# A monitor from `snntorch.functional.probe` records what layers do while the network runs.
# `AttributeMonitor` records an attribute, here the membrane `mem` of every `Leaky`, after each
# call.


# %%
def membranes(net, images):
    """Return the membranes [time, batch, neurons] of each layer of neurons, by name."""
    monitor = probe.AttributeMonitor("mem", False, net, snn.Leaky, lambda mem: mem.detach())
    with torch.no_grad():
        loop(net, images)
    monitor.remove_hooks()
    return {name: torch.stack(monitor[name]) for name in monitor.monitored_layers}


healthy = make_net(gain=3.0)
fig, axes = plt.subplots(1, 3, figsize=(9, 2.8))
cases = {"too weak": too_weak, "too strong": too_strong, "healthy": healthy}
for ax, (name, net) in zip(axes, cases.items(), strict=True):
    values = membranes(net, images[:100])["4"].flatten()
    ax.hist(values, bins=60, color=BLUE, density=True)
    ax.axvline(1, color=ORANGE, linestyle="--")
    ax.set(title=name, xlabel="membrane of layer 4", yticks=[])
plt.show()

# %% [markdown]
# The dashed line is the threshold. On the left, no membrane gets near it. In the middle, nearly all
# are far above, and the subtracted threshold of 1 cannot bring them back. On the right, the
# membranes reach to both sides of the threshold, where the surrogate gradient is large, so that
# training can move them to either side.
#
# ## Mending it
#
# The weights of a layer set the scale of its membranes. A constant input to `Leaky` is amplified by
# up to $1/(1-\beta)$, but few inputs are active at a time, so the usual initialization of
# `nn.Linear` may be too small or too large. One remedy is to measure and rescale, layer by layer,
# until each fires at a moderate rate:


# %%
def calibrate(net, images, target=0.1, rounds=12):
    """Scale the weights of each linear layer until the neurons behind it fire at the target."""
    for before, after in ((1, 2), (3, 4), (5, 6)):
        for _ in range(rounds):
            spikes = snn.unroll(net[: after + 1], images, num_steps)
            factor = (target / spikes.mean().clamp(min=0.01)) ** 0.5
            net[before].weight.mul_(factor.clamp(0.2, 5))


with torch.no_grad():
    calibrate(too_weak, images[:100])
    calibrate(too_strong, images[:100])
for name, net in (("too weak", too_weak), ("too strong", too_strong)):
    rates = [f"{row.rate:.2f}" for row in snn.summary(net, images[:100], num_steps) if row.rate]
    losses = train(net, sgd(net))
    print(f"{name:10} rates {', '.join(rates)}; loss {losses[0]:.2f} -> {losses[-1]:.2f}, ", end="")
    print(f"accuracy {accuracy(net):.1%}")

# %% [markdown]
# Both learn now. Other remedies are a learnable or lower `threshold`, a bias, a larger `beta`,
# batch normalization before the neurons, or a penalty on rates that are too high, such as
# `SF.l1_rate_sparsity`.
#
# The optimizer matters too. Adam divides the gradient of each weight by its usual size, so it can
# wake up a silent layer whose gradients are tiny but not zero:

# %%
net = make_weak()
losses = train(net, torch.optim.Adam(net.parameters(), lr=1e-3))
print(f"too weak, Adam: loss {losses[0]:.2f} -> {losses[-1]:.2f}, accuracy {accuracy(net):.1%}")

# %% [markdown]
# ## A healthy network, in pictures
#
# Now a network with the usual initial weights, trained with Adam:

# %%
net = make_net()
losses = train(net, torch.optim.Adam(net.parameters(), lr=1e-3))
print(f"accuracy {accuracy(net):.1%}")
rows = snn.summary(net, images[:100], num_steps)
print(rows)
axes = rows.plot()
axes[0].figure.set_size_inches(8, 4.5)
plt.show()

# %% [markdown]
# The upper panel is the rate of each layer, with the share of silent neurons; the lower panel
# compares the operations of the spiking network over all steps with those of a dense one in one
# step.
#
# `OutputMonitor` records what layers return. With its records, `splt.network_raster` draws one
# sample in all layers, with time to the right and one dot for each spike:

# %%
monitor = probe.OutputMonitor(net, snn.Leaky, lambda out: out.detach())
with torch.no_grad():
    loop(net, images[:100])
spikes = {name: torch.stack(monitor[name]) for name in monitor.monitored_layers}
monitor.remove_hooks()
print({name: tuple(each.shape) for name, each in spikes.items()})

sample = 3
fig, axes = plt.subplots(3, 1, figsize=(8, 5), sharex=True, height_ratios=(2, 2, 1))
some = {f"layer {k}": each[:, sample, :40] for k, each in spikes.items()}
splt.network_raster(some, axes=axes)
fig.suptitle(f"A picture of the class {names[labels[sample]]}")
plt.show()

# %% [markdown]
# Each panel has up to 40 neurons of a layer. The input is constant, so neurons that are driven fire
# at regular intervals, and many stay silent for this picture. The output neuron with the most
# spikes is the answer.
#
# The membranes of the output layer show how sure the network is:

# %%
mem = membranes(net, images[:100])["6"]
best = int(spikes["6"][:, sample].sum(0).argmax())
fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3))
for neuron in range(10):
    chosen = neuron == best
    color, label = (BLUE, names[neuron]) if chosen else (GREY, None)
    left.plot(mem[:, sample, neuron], color=color, linewidth=1.5 if chosen else 0.7, label=label)
left.axhline(1, color=ORANGE, linestyle="--", linewidth=1)
left.set(xlabel="time step", ylabel="output membrane")
left.legend(frameon=False)
splt.membrane_map(membranes(net, images[:100])["4"][:, sample, :60], threshold=1, ax=right)
right.set_title("60 neurons of layer 4")
plt.show()

# %% [markdown]
# On the left, the membrane of the answer is above the threshold (dashed) at most steps. A few
# others are close rivals, and some are pushed far down. On the right, `splt.membrane_map` shows
# many membranes at once, red above the threshold and blue below: most are near it, and a few are so
# far below that they will not fire for this picture.
#
# Distributions over all samples complete the picture:

# %%
fig, axes = plt.subplots(1, 3, figsize=(10, 2.8))
splt.rate_histogram(spikes["2"], ax=axes[0])
axes[0].set_title("rates, layer 2")
splt.rate_histogram(spikes["4"], ax=axes[1])
axes[1].set_title("rates, layer 4")
splt.activity(spikes["2"], label="layer 2", ax=axes[2])
splt.activity(spikes["4"], label="layer 4", ax=axes[2])
axes[2].set_title("share of neurons that fire")
plt.show()

# %% [markdown]
# In the first two panels, each neuron counts once for each sample. About half stay silent. In layer
# 2 most of the others fire at every step: the layer acts almost like one of binary units, and its
# 25 steps carry little more than one would. Smaller weights or a higher threshold would use the
# time better. The third panel is the activity over time: the first step is quieter, since membranes
# have to charge, and then the rates hardly change.
#
# Which classes does it mix up?

# %%
with torch.no_grad():
    counts = snn.unroll(net, images, num_steps)
fig, ax = plt.subplots(figsize=(5, 4.5))
splt.confusion_matrix(counts, labels, ax=ax)
ax.set_xticks(range(10), names, rotation=60, ha="right")
ax.set_yticks(range(10), names)
plt.show()

# %% [markdown]
# Shirts, coats and pullovers look alike at 28 x 28 pixels, and some boots like sneakers.
#
# ## Gradients
#
# A silent layer also starves the layers before it of gradients. `GradOutputMonitor` records the
# gradient that arrives at a layer in each step of the backward pass; here is its mean size at the
# first layer of neurons in the silent network and in the healthy one, before training.

# %%
for name, gain in (("too weak", 0.1), ("healthy", 3.0)):
    each = make_net(gain)
    monitor = probe.GradOutputMonitor(each[2], snn.Leaky, lambda grad: grad.abs().mean().item())
    F.cross_entropy(loop(each, images[:64]).sum(0), labels[:64]).backward()
    print(f"{name:10} {sum(monitor.records) / len(monitor.records):.1e}")

# %% [markdown]
# ## A checklist
#
# 1. `print(snn.summary(net, batch))` before training. Any layer with nearly all neurons silent or
#    saturated needs other weights.
# 2. A histogram of membranes against the threshold shows in which direction to go.
# 3. A raster of one sample shows whether spikes reach the output, and when.
# 4. After training, look again: rates drift, and layers can die during training.
#
# ## Results
#
# Accuracy on the first 600 test pictures, seed 0. snnTorch's tutorials have no counterpart.
#
# | | short mode here, 3,000 pictures, 4 epochs | full mode here, 60,000 pictures, 1 epoch |
# | --- | --- | --- |
# | silent layer, SGD | 10.0% | 11.2% |
# | saturated layer, SGD | 10.0% | 11.2% |
# | silent layer, rescaled, SGD | 55.3% | 69.7% |
# | saturated layer, rescaled, SGD | 61.7% | 68.0% |
# | silent layer, Adam | 74.0% | 78.2% |
# | usual initial weights, Adam | 75.0% | 80.0% |

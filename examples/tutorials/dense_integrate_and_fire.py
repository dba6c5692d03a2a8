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
# # A dense integrate-and-fire network, by hand and with the library
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/snntorch/snntorch/blob/main/examples/tutorials/dense_integrate_and_fire.ipynb)
#
# This notebook builds a spiking network from nothing but PyTorch: the simplest spiking neuron, a
# substitute for the derivative of its spikes, an encoder that turns pixels into spikes, and three
# dense layers that learn to read digits. Then it builds the same network with `snntorch` and checks
# that both give the same spikes and gradients. You need to know PyTorch, and nothing about spiking
# networks. It runs in about half a minute.

# %% tags=["remove-output"]
# %pip install --quiet snntorch

# %%
import math
import time
from itertools import pairwise

import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.nn import functional as F

import snntorch as snn
from snntorch import datasets, surrogate

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
# There are two ways to a trained spiking network. One trains an ordinary network and converts it,
# so that firing rates approximate its activations; rates take many time steps to become accurate.
# The other trains the spiking network itself, and is the subject here.
#
# ## One neuron
#
# An integrate-and-fire neuron is a capacitor: its voltage $V$ is the integral of the current $I$,
# $C \frac{dV}{dt} = I$. In time steps of length 1 and with $C = 1$ this is a sum. Where the voltage
# exceeds the threshold $\theta$, the neuron fires a spike and the voltage returns to zero. It
# cannot go below zero either:
#
# $$
# \begin{aligned}
# V'[t] &= \max(V[t-1] + I[t],\ 0) \\
# S[t] &= 1 \text{ if } V'[t] > \theta \text{, else } 0 \\
# V[t] &= (1 - S[t])\, V'[t]
# \end{aligned}
# $$
#
# These are the three lines of `step`:


# %%
def step(voltage, current, threshold=1.0):
    voltage = (voltage + current).clamp(min=0)
    spike = (voltage > threshold).float()
    return spike, voltage * (1 - spike)


current = 2 * torch.rand(100) - 1  # random values between -1 and 1
voltage, voltages, spikes = torch.tensor(0.0), [], []
for value in current:
    spike, voltage = step(voltage, value)
    spikes.append(spike)
    voltages.append(voltage)

fig, axes = plt.subplots(3, 1, figsize=(8, 4), sharex=True, height_ratios=[2, 2, 1])
axes[0].plot(current, color=GREY)
axes[0].set(ylabel="current")
axes[1].plot(torch.stack(voltages), color=BLUE)
axes[1].axhline(1, color="black", linestyle=":", linewidth=1)
axes[1].set(ylabel="voltage")
axes[2].vlines(torch.stack(spikes).nonzero().squeeze(1), 0, 1, color=ORANGE)
axes[2].set(xlabel="time step", ylabel="spikes", yticks=[])
plt.show()

# %% [markdown]
# Negative currents pull the voltage down to zero and no further. The voltage is drawn after the
# reset, so the sum that exceeded the threshold (dotted) is not visible; the spike below marks it.
#
# ## A derivative for the spike
#
# A spike is a step function of the voltage, $S = \Theta(V' - \theta)$. Its derivative is zero
# wherever it exists, and backpropagation multiplies by it, so no weight before a neuron would
# learn. A *surrogate gradient* keeps the step in the forward pass and replaces its derivative in
# the backward pass. This one is the derivative of the fast sigmoid $x / (1 + k|x|)$ (F. Zenke and
# S. Ganguli, "SuperSpike: supervised learning in multilayer spiking neural networks", *Neural
# Computation* 30, 2018):
#
# $$\frac{\partial S}{\partial V'} \approx \frac{1}{(1 + k\,|V' - \theta|)^2}$$
#
# The slope $k$ says how fast the gradient fades for neurons far from their threshold.

# %%
x = torch.linspace(-1, 1, 401)
fig, axes = plt.subplots(1, 2, figsize=(8, 2.8))
axes[0].plot(x, (x > 0).float(), color="black")
axes[0].set(xlabel=r"$V' - \theta$", ylabel="spike", title="forward pass")
for slope, color in ((1, BLUE), (10, GREEN), (100, ORANGE)):
    axes[1].plot(x, 1 / (1 + slope * x.abs()) ** 2, color=color, label=f"$k$ = {slope}")
axes[1].set(xlabel=r"$V' - \theta$", ylabel="derivative", title="backward pass")
axes[1].legend(frameon=False)
plt.show()

# %% [markdown]
# In PyTorch, a function with its own backward pass is an `autograd.Function`:


# %%
class Spike(torch.autograd.Function):
    """A step function with the derivative of a fast sigmoid."""

    @staticmethod
    def forward(ctx, x, slope):
        ctx.save_for_backward(x)
        ctx.slope = slope
        return (x > 0).to(x.dtype)

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return grad / (1 + ctx.slope * x.abs()) ** 2, None  # the slope has no gradient


# %% [markdown]
# ## Pixels to spikes
#
# A pixel $x$ becomes a constant current $J = a x + b$ into a separate neuron, with a gain $a$ and
# a bias $b$. The brighter the pixel, the sooner the sum exceeds the threshold and the more often
# the neuron fires: in every $n$-th step, with $n = \lfloor \theta / J \rfloor + 1$.


# %%
@torch.no_grad()
def encode(pixels, num_steps=20, gain=1.0, bias=0.0):
    """Return spikes of one neuron per pixel, [time, ...]."""
    current, voltage, spikes = gain * pixels + bias, torch.zeros_like(pixels), []
    for _ in range(num_steps):
        spike, voltage = step(voltage, current)
        spikes.append(spike)
    return torch.stack(spikes)


train_set, test_set = datasets.mnist(), datasets.mnist(train=False)
images, labels = train_set.tensors[0].flatten(1), train_set.tensors[1]
test_images, test_labels = test_set.tensors[0].flatten(1), test_set.tensors[1]
print(f"{len(images):,} digits to train on, {len(test_images):,} to test on")

fig, axes = plt.subplots(1, 4, figsize=(10, 2.8), width_ratios=[1, 1, 1, 2])
spikes = encode(test_images[0], num_steps=100).reshape(100, 28, 28)
for ax, picture, title in (
    (axes[0], test_images[0].reshape(28, 28), "digit"),
    (axes[1], spikes[1], "spikes in step 2"),
    (axes[2], spikes.mean(0), "rates, 100 steps"),
):
    ax.imshow(picture, cmap="gray_r")
    ax.set_title(title)
    ax.axis("off")
x = torch.linspace(0, 1, 1000)
axes[3].plot(x, encode(x, num_steps=1000).mean(0), color=BLUE)
axes[3].plot([0, 1], [0, 1], color="black", linestyle=":", linewidth=1)
axes[3].set(xlabel="pixel", ylabel="spikes per step")
plt.show()

# %% [markdown]
# The rates are 1/2, 1/3, 1/4 and so on, since a neuron with a constant input fires at equal
# intervals. Even a white pixel fires only in every second step: after one step its voltage is at
# the threshold, not above it. `datasets.mnist()` gives the part of MNIST that comes with the
# library. To train on all of it, set the environment variable `SNNTORCH_DATA` to the folder that
# holds the folder `mnist` with the four original files.
#
# ## A dense network by hand
#
# A layer multiplies incoming spikes by its weights. The result flows into a synapse, whose current
# $I$ decays with the time constant $\tau$, and from there into the neurons:
#
# $$I[t] = e^{-\Delta t / \tau} I[t-1] + W S_{\rm in}[t]$$
#
# With $\Delta t = \tau$, the factor is $1/e \approx 0.37$. The layer is a module; its state,
# current and voltage, is passed in and out.


# %%
class Layer(nn.Module):
    """Weights, synapses and integrate-and-fire neurons, in plain PyTorch."""

    def __init__(self, num_inputs, num_outputs, slope, alpha):
        super().__init__()
        self.weights = nn.Linear(num_inputs, num_outputs, bias=False)
        nn.init.normal_(self.weights.weight, std=2 / math.sqrt(num_inputs))
        self.slope, self.alpha = slope, alpha

    def initial_state(self, batch_size):
        zeros = torch.zeros(batch_size, self.weights.out_features)
        return zeros, zeros

    def forward(self, spikes, state):
        current, voltage = state
        current = self.alpha * current + self.weights(spikes)
        voltage = (voltage + current).clamp(min=0)
        spikes = Spike.apply(voltage - 1.0, self.slope)
        return spikes, (current, voltage * (1 - spikes.detach()))


class HandMade(nn.Module):
    """Three dense layers; the last has a neuron for each class."""

    def __init__(self, slope=1.0, sizes=(784, 100, 100, 10)):
        super().__init__()
        self.layers = nn.ModuleList(
            Layer(*sizes, slope, alpha=math.exp(-1)) for sizes in pairwise(sizes)
        )

    def forward(self, inputs):  # [time, batch, pixels]
        states = [layer.initial_state(inputs.shape[1]) for layer in self.layers]
        outputs = []
        for spikes in inputs:
            for i, layer in enumerate(self.layers):
                spikes, states[i] = layer(spikes, states[i])
            outputs.append(spikes)
        return torch.stack(outputs)  # [time, batch, classes]


# %% [markdown]
# The reset uses `spikes.detach()`: the gradient flows through the voltage over time, and through
# the spikes to the next layer, but not through the reset.
#
# The scores of the classes are the spike counts of the ten output neurons, in a cross-entropy loss.
# (Mean rates, between 0 and 1, would be worse scores: even if only the right neuron fired, and in
# each step, the softmax would give it a probability of just 23%.) The loop over time in `forward`
# makes backpropagation go back through time; nothing else has to be done for it.


# %%
def train(net, num_epochs, batch_size=100, seed=0):
    """Train a network and return its accuracy on the test digits after each epoch."""
    torch.manual_seed(seed)
    optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
    accuracies = []
    for _ in range(num_epochs):
        for batch in torch.randperm(len(images)).split(batch_size):
            counts = net(encode(images[batch])).sum(dim=0)
            loss = F.cross_entropy(counts, labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        accuracies.append(evaluate(net))
    return accuracies


@torch.no_grad()
def evaluate(net):
    parts = test_images.split(500)
    predicted = torch.cat([net(encode(part)).sum(dim=0).argmax(dim=1) for part in parts])
    return (predicted == test_labels).float().mean().item()


torch.manual_seed(0)
hand_made = HandMade()
untrained = evaluate(hand_made)
(trained,) = train(hand_made, num_epochs=1)
print(f"accuracy on test digits: {untrained:.1%} before training, {trained:.1%} after one epoch")

# %% [markdown]
# ## The same with the library
#
# The neuron is `snn.Leaky` without a leak, `beta=1`, if it is rectified between two steps. Or it is
# its own class: [a subclass of `snn.Neuron`](own_neuron.ipynb) says how the states change,
# and the rest follows, such as the spikes with any surrogate, the reset, and compiled kernels for
# whole sequences.

# %%
options = {
    "reset_mechanism": "zero",
    "reset_delay": False,  # in the step of the spike; by default, neurons are reset in the next one
    "spike_grad": surrogate.fast_sigmoid(slope=1),
}


class IntegrateAndFire(snn.Neuron):
    states = ("mem",)

    @staticmethod
    def update(x, mem):
        return (mem + x).clamp(min=0)


leaky = snn.Leaky(beta=1, **options)
own = IntegrateAndFire(**options)

current = torch.randn(1000, 50)
voltage = mem_leaky = mem_own = torch.zeros(50)
equal = total = 0
for value in current:
    spike, voltage = step(voltage, value)
    spike_leaky, mem_leaky = leaky(value, mem_leaky)
    mem_leaky = mem_leaky.clamp(min=0)
    spike_own, mem_own = own(value, mem_own)
    equal += int(((spike == spike_leaky) & (spike == spike_own)).sum())
    total += int(spike.sum())
print(f"{total:,} spikes; all three agree in {equal / current.numel():.0%} of the values")

# %% [markdown]
# `snn.Leaky` is rectified after it fired, the other two before. That makes no difference to the
# spikes, since a voltage below zero does not fire.
#
# | by hand | with the library |
# |---|---|
# | $V + I$ | `snn.Leaky(beta=1)`, or `update` of a `snn.Neuron` |
# | $V > \theta$ | `threshold=1` |
# | $V = 0$ after a spike | `reset_mechanism="zero"`, `reset_delay=False` |
# | class `Spike` | `spike_grad=surrogate.fast_sigmoid(slope=1)` |
# | a current that decays | `snn.Synaptic(alpha=..., beta=1)`, or a second state |
#
# The layers need neurons with a synaptic current: a second state, and a parameter. Here `step`
# writes out the whole time step. `spike` is the step function with its surrogate gradient, `fired`
# the same without a gradient, for a reset like the one above. (The resets of `snn.Leaky` and of
# `update` pass the gradient of the spike on.)


# %%
class CurrentIntegrateAndFire(snn.Neuron):
    """Rectified integrate-and-fire neurons with a decaying synaptic current."""

    states = ("current", "mem")
    membrane = "mem"  # the state that fires

    def __init__(self, alpha, **options):
        super().__init__(**options)
        self.parameter("alpha", alpha)

    @staticmethod
    def step(x, current, mem, alpha, threshold, spike, fired):
        current = alpha * current + x
        mem = (mem + current).clamp(min=0)
        return spike(mem - threshold), current, mem * (1 - fired(mem - threshold))


class WithLibrary(nn.Module):
    def __init__(self, slope=1.0, sizes=(784, 100, 100, 10)):
        super().__init__()
        spike_grad = surrogate.fast_sigmoid(slope=slope)
        self.weights, self.neurons = nn.ModuleList(), nn.ModuleList()
        for num_inputs, num_outputs in pairwise(sizes):
            linear = nn.Linear(num_inputs, num_outputs, bias=False)
            nn.init.normal_(linear.weight, std=2 / math.sqrt(num_inputs))
            self.weights.append(linear)
            self.neurons.append(CurrentIntegrateAndFire(math.exp(-1), spike_grad=spike_grad))

    def forward(self, inputs):
        states = [neuron.init_states() for neuron in self.neurons]
        outputs = []
        for spikes in inputs:
            for i, (linear, neuron) in enumerate(zip(self.weights, self.neurons, strict=True)):
                spikes, *states[i] = neuron(linear(spikes), *states[i])
            outputs.append(spikes)
        return torch.stack(outputs)


# %% [markdown]
# To compare the two networks, give the second the trained weights of the first. `snn.compile`
# returns the same network, with the loop in `forward` run layer by layer, each neuron over all time
# steps in one compiled kernel.


# %%
def run(net, inputs, targets):
    """Return spikes, gradients, and the seconds that a forward and a backward pass took."""
    net.zero_grad()
    start = time.perf_counter()
    spikes = net(inputs)
    F.cross_entropy(spikes.sum(dim=0), targets).backward()
    seconds = time.perf_counter() - start
    return spikes.detach(), [p.grad.clone() for p in net.parameters()], seconds


with_library = WithLibrary()
with torch.no_grad():
    for mine, theirs in zip(with_library.parameters(), hand_made.parameters(), strict=True):
        mine.copy_(theirs)
compiled = snn.compile(with_library)

inputs, targets = encode(images[:100]), labels[:100]
run(compiled, inputs, targets)  # the first call compiles the kernels
spikes, gradients, seconds = run(hand_made, inputs, targets)
for name, net in (("library", with_library), ("library, compiled", compiled)):
    other, other_gradients, other_seconds = run(net, inputs, targets)
    apart = max(
        ((a - b).norm() / a.norm()).item() for a, b in zip(gradients, other_gradients, strict=True)
    )
    print(
        f"{name:<18} equal spikes: {(spikes == other).float().mean():.2%}, "
        f"gradients apart by {apart:.0e}"
    )
speedup = seconds / other_seconds
print("compiled is faster than by hand:", speedup > 1)

# %% [markdown]
# ## Train to the end

# %%
num_epochs = 10 if len(images) > 10_000 else 6
torch.manual_seed(0)
net = WithLibrary()
accuracies = train(snn.compile(net), num_epochs)
print(f"accuracy on test digits: {accuracies[0]:.1%} after one epoch, {accuracies[-1]:.1%} at last")

# %% [markdown]
# ## The slope decides
#
# The same training with steeper surrogates. The gradient of a neuron that is 0.5 away from its
# threshold is divided by 2.25 with a slope of 1, by 36 with a slope of 10, and by 2,601 with a
# slope of 100; and it passes through two or three such factors on its way back.

# %%
few = 2 if len(images) > 10_000 else 3
fig, ax = plt.subplots(figsize=(6, 3))
ax.plot(range(1, num_epochs + 1), accuracies, "o-", color=BLUE, label="slope 1", markersize=4)
for slope, color in ((10, GREEN), (100, ORANGE)):
    torch.manual_seed(0)
    history = train(snn.compile(WithLibrary(slope)), few)
    ax.plot(range(1, few + 1), history, "o-", color=color, label=f"slope {slope}", markersize=4)
    print(
        f"slope {slope}: {history[-1]:.1%} after {few} epochs; slope 1: {accuracies[few - 1]:.1%}"
    )
ax.set(xlabel="epoch", ylabel="accuracy on test digits", ylim=(0, 1))
ax.legend(frameon=False, loc="lower right")
plt.show()

# %% [markdown]
# ## What the neurons say
#
# The output spikes for five digits that the network reads correctly and one that it does not. A row
# is a neuron; that of the right class is blue. The prediction is the row with the most spikes.

# %%
with torch.no_grad():
    spikes = net(encode(test_images[:200]))
predicted = spikes.sum(dim=0).argmax(dim=1)
right = predicted == test_labels[:200]
chosen = [*right.nonzero()[:5, 0], *(~right).nonzero()[:1, 0]]
fig, axes = plt.subplots(2, len(chosen), figsize=(10, 3.5), height_ratios=[1, 1.6])
for i, (picture, raster) in zip(chosen, axes.T, strict=True):
    picture.imshow(test_images[i].reshape(28, 28), cmap="gray_r")
    picture.axis("off")
    when, neuron = torch.where(spikes[:, i] > 0)
    colors = [BLUE if n == test_labels[i] else GREY for n in neuron]
    raster.scatter(when + 1, neuron, c=colors, marker="|", s=40)
    raster.set(xlim=(0, 21), ylim=(-0.5, 9.5), yticks=[])
    raster.set(xlabel="time step", title=f"predicted {int(predicted[i])}")
axes[1, 0].set(ylabel="output neuron", yticks=range(10))
plt.show()

# %% [markdown]
# ## Results
#
# | | short mode here (5,000 digits) | full mode here (60,000) | the page that this follows |
# |---|---|---|---|
# | accuracy after one epoch, by hand | 77.7% | 91.8% | not stated |
# | the same at the end, library | 88.4% after 6 epochs | 96.5% after 10 epochs | not stated |
# | slope 10 | 80.3% after 3 epochs | 87.9% after 2 epochs | not stated |
# | slope 100 | 43.4% after 3 epochs | 49.5% after 2 epochs | not stated |
#
# That page writes the neurons, the encoder and the layers out as above, with a slope of 100, and
# leaves training as an exercise: it has no numbers to compare with. The full mode is the same
# notebook with the whole of MNIST.

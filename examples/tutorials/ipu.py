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
# # Train on IPUs
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/snntorch/snntorch/blob/main/examples/tutorials/ipu.ipynb)
#
# Graphcore's IPUs are processors with many independent cores, each with its own fast memory. They
# are programmed through poptorch, which records a PyTorch model and compiles the recording. This
# notebook builds a spiking network in the form that can be recorded, shows why that form is needed,
# and trains the network on handwritten digits: on an IPU if poptorch is there, on the CPU
# otherwise. **It was only ever run on a CPU**; cells that need poptorch say so. You should know
# [how a spiking network is trained](tutorial_5_training.ipynb). On a CPU the notebook runs in about
# half a minute.

# %% [markdown]
# On an IPU, install `snntorch-ipu` instead of `snntorch`, in the environment of the Poplar SDK,
# which contains poptorch. The two have the same source and cannot be installed side by side. In a
# clone, `make ipu-wheel` builds `snntorch-ipu`. This source is also a program, `python ipu.py`.

# %% tags=["remove-output"]
# %pip install --quiet snntorch

# %%
import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.func import functional_call
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils.data import DataLoader

import snntorch as snn
from snntorch import datasets, surrogate
from snntorch import functional as SF

try:
    import poptorch
except ImportError:  # it comes with the Poplar SDK only
    poptorch = None

snn.ipu.enable()  # snntorch-ipu does this on import

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
torch.manual_seed(0)
print("running on an IPU" if poptorch else "poptorch is missing: running on the CPU")

# %% [markdown]
# ## The cost of time
#
# On neuromorphic hardware, spiking networks save energy. Training one with backpropagation through
# time is more expensive than training an ordinary network: the network runs once per time step, and
# all intermediate values are kept for the backward pass. Each step depends on the one before, so
# the steps of a neuron cannot run in parallel. An IPU runs many small programs on different data at
# once, and keeps states in memory beside the cores, which suits the update of many neurons.
#
# ## The network
#
# Two layers of leaky integrate-and-fire neurons, which see the same image for 25 time steps. Three
# things differ from a network for a CPU:
#
# - The loss is computed inside the model, because the recording of `forward` is all that poptorch
#   differentiates. `poptorch.identity_loss` marks the place where the backward pass begins.
# - States begin inside `forward`. A state kept from an earlier call would be recorded as a
#   constant.
# - `forward` does not read values, as `.item()` or `if tensor:` would, and shapes never change.


# %%
def mark_loss(loss):
    """Tell poptorch where the backward pass begins."""
    return poptorch.identity_loss(loss, "none") if poptorch else loss


class Model(nn.Module):
    """Two layers of leaky integrate-and-fire neurons, with the loss inside."""

    def __init__(self, num_steps=25, num_hidden=1000, **options):
        super().__init__()
        self.num_steps = num_steps
        self.fc1 = nn.Linear(784, num_hidden)
        self.lif1 = snn.Leaky(beta=0.9, **options)
        self.fc2 = nn.Linear(num_hidden, 10)
        self.lif2 = snn.Leaky(beta=0.9, **options)
        self.loss_fn = SF.ce_count_loss()

    def forward(self, images, labels=None):
        mem1, mem2 = self.lif1.init_leaky(), self.lif2.init_leaky()
        current = self.fc1(images.flatten(1))  # the image is the same at every step
        spikes, potentials = [], []
        for _ in range(self.num_steps):
            spk1, mem1 = self.lif1(current, mem1)
            spk2, mem2 = self.lif2(self.fc2(spk1), mem2)
            spikes.append(spk2)
            potentials.append(mem2)
        spikes, potentials = torch.stack(spikes), torch.stack(potentials)
        if labels is None:
            return spikes
        return spikes, mark_loss(self.loss_fn(potentials, labels))


train_set, test_set = datasets.mnist(), datasets.mnist(train=False)
print(f"{len(train_set):,} digits to train on, {len(test_set):,} to test on")

# %% [markdown]
# `ce_count_loss` takes the sum over time as the scores of a cross-entropy loss. Applied to the
# membrane potentials instead of the spikes, it also reaches output neurons that do not fire yet.
#
# How does the memory grow with the number of time steps? PyTorch can tell what it keeps for the
# backward pass:


# %%
def kept_megabytes(net, images, labels):
    """Return the size of all tensors that the backward pass needs."""
    sizes = {}

    def pack(tensor):
        sizes[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        net(images, labels)
    return sum(sizes.values()) / 1e6


images, labels = train_set[:128]
steps = [1, 10, 20, 30, 40, 50]
memory = [kept_megabytes(Model(num_steps), images, labels) for num_steps in steps]
fig, ax = plt.subplots(figsize=(6, 3))
ax.plot(steps, memory, "o-", color=BLUE)
ax.set(xlabel="time steps", ylabel="memory (MB)", ylim=(0, None))
plt.show()

# %% [markdown]
# Linearly: each step adds the states and currents of all neurons for each sample of the batch.
#
# ## Why a special form
#
# A spike is a step function. In the backward pass a surrogate replaces its derivative, and in
# PyTorch that is usually done in the `backward` of an `autograd.Function`. But poptorch records
# what happens in the forward pass, and differentiates the recording: a `backward` written in Python
# is never called. So the surrogate has to be part of the forward pass. With a step function
# $\Theta$ and the slope $\sigma'$ of the surrogate, this expression has the right value and the
# right derivative:
#
# $$S(x) = \mathrm{detach}(\Theta(x)) + (x - \mathrm{detach}(x)) \cdot \mathrm{detach}(\sigma'(x))$$
#
# The second term is zero, its derivative with respect to $x$ is $\sigma'(x)$. `snn.ipu.enable()`
# makes all neurons of the library compute spikes like this. Both forms of a surrogate agree:

# %%
x = torch.linspace(-2, 2, 401)
surrogates = {
    "straight-through": surrogate.straight_through_estimator(),
    "fast sigmoid": surrogate.fast_sigmoid(slope=5),
    "sigmoid": surrogate.sigmoid(slope=5),
}
fig, ax = plt.subplots(figsize=(6, 3))
for (name, spike), color in zip(surrogates.items(), (GREY, BLUE, ORANGE), strict=True):
    slopes = []
    for special in (False, True):
        with snn.ipu.enabled(special):
            point = x.clone().requires_grad_()
            spike(point).sum().backward()
            slopes.append(point.grad)
    print(f"{name:<16} the forms differ by at most {(slopes[0] - slopes[1]).abs().max():.0e}")
    ax.plot(x, slopes[1], color=color, label=name)
ax.set(xlabel="membrane potential minus threshold", ylabel="derivative of a spike")
ax.legend(frameon=False)
plt.show()

# %% [markdown]
# On an IPU, neurons without a `spike_grad` get the straight-through estimator, whose derivative is
# 1 everywhere. For another one write `snn.Leaky(beta=0.9, spike_grad=surrogate.fast_sigmoid())`.
#
# What happens without the special form can be seen without an IPU. `make_fx` of PyTorch records the
# operations of a forward pass, as poptorch does. Then the recording is differentiated.


# %%
def recorded_gradients(net, images, labels):
    """Record the forward pass alone, and return the gradients of the recording."""

    def forward(parameters, images, labels):
        return functional_call(net, parameters, (images, labels))[1]

    parameters = dict(net.named_parameters())
    with torch.no_grad():
        recording = make_fx(forward)(parameters, images, labels)
    loss = recording(parameters, images, labels)
    return torch.autograd.grad(loss, list(parameters.values()), allow_unused=True)


def gradients(net, images, labels):
    return torch.autograd.grad(net(images, labels)[1], list(net.parameters()))


images, labels = train_set[:16]
for special in (False, True):
    with snn.ipu.enabled(special):
        net = Model(num_steps=10, num_hidden=100, spike_grad=surrogate.fast_sigmoid())
        pairs = zip(
            net.named_parameters(),
            gradients(net, images, labels),
            recorded_gradients(net, images, labels),
            strict=True,
        )
        print("special form" if special else "autograd function")
        for (name, _), right, recorded in pairs:
            if recorded is None or not recorded.any():
                print(f"  {name:<10} has no gradient")
            else:
                apart = (right - recorded).norm() / right.norm()
                print(f"  {name:<10} has the gradient of PyTorch, apart by {apart:.0e}")

# %% [markdown]
# With the autograd function, the weights of the first layer are cut off. They would keep their
# initial values, without an error. With the special form all gradients are those of PyTorch.
#
# ## Training
#
# On an IPU, `poptorch.trainingModel` turns the model into a function that does a forward pass, a
# backward pass and a step of the optimizer. It compiles at the first call, so the first batch takes
# long. The optimizer comes from poptorch too. On a CPU the same steps are written out. **The first
# branch has only been run with a stand-in that checks the calls, never with poptorch.**

# %%
batch_size = 128
num_epochs = 10 if len(train_set) > 10_000 else 3
net = Model()

if poptorch:
    options = poptorch.Options()
    loader = poptorch.DataLoader(options, train_set, batch_size=batch_size, shuffle=True)
    optimizer = poptorch.optim.Adam(net.parameters(), lr=1e-3, betas=(0.9, 0.999))
    train_step = poptorch.trainingModel(net, options=options, optimizer=optimizer)
else:
    # Incomplete batches are left out, as poptorch does: a compiled model takes one shape.
    loader = DataLoader(train_set, batch_size=batch_size, shuffle=True, drop_last=True)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3, betas=(0.9, 0.999))

    def train_step(images, labels):
        spikes, loss = net(images, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return spikes, loss


losses, accuracies = [], []
for epoch in range(num_epochs):
    for images, labels in loader:
        spikes, loss = train_step(images, labels)
        losses.append(loss.item())
        accuracies.append((spikes.sum(0).argmax(1) == labels).float().mean().item())
    print(f"epoch {epoch + 1}: accuracy in the last ten batches {sum(accuracies[-10:]) / 10:.1%}")

fig, axes = plt.subplots(1, 2)
axes[0].plot(losses, color=BLUE, linewidth=1)
axes[0].set(xlabel="batch", ylabel="loss")
axes[1].plot(accuracies, color=BLUE, linewidth=1)
axes[1].set(xlabel="batch", ylabel="accuracy", ylim=(0, 1))
plt.show()

# %% [markdown]
# The accuracy of a batch is measured before the network trains on it.
#
# ## Test
#
# `poptorch.inferenceModel` compiles the forward pass alone.

# %%
if poptorch:
    train_step.copyWeightsToHost()
    loader = poptorch.DataLoader(poptorch.Options(), test_set, batch_size=100)
    infer = poptorch.inferenceModel(net)
else:
    loader, infer = DataLoader(test_set, batch_size=100), net

correct = 0
with torch.no_grad():
    for images, labels in loader:
        correct += int((infer(images).sum(0).argmax(1) == labels).sum())
print(f"accuracy on test digits: {correct / len(test_set):.1%}")

# %% [markdown]
# ## Without an IPU
#
# The special form is for recording. On a CPU or a GPU, turn it off and let `snn.compile` run the
# same class: same network, same loss, and neurons in compiled kernels.

# %%
with snn.ipu.enabled(False):
    net = snn.compile(Model())
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    for _ in range(num_epochs):
        for images, labels in DataLoader(train_set, batch_size=batch_size, shuffle=True):
            _, loss = net(images, labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        spikes = net(test_set.tensors[0])
accuracy = SF.accuracy_rate(spikes, test_set.tensors[1])
print(f"accuracy on test digits: {accuracy:.1%}")

# %% [markdown]
# ## Results
#
# | | short mode here, CPU | full mode here | snnTorch's page, IPU |
# |---|---|---|---|
# | accuracy on test digits, straight-through | 89.0% | not run | not stated |
# | accuracy on test digits, `snn.compile`, default surrogate | 92.1% | not run | not applicable |
# | training on an IPU | not run | not run | "up to 10x" faster than CUDA |
#
# The page of 1.0.0 prints the accuracy of single batches and states none. Its speedup is for
# training in mixed precision, without a table; nothing here measures it. To train on all of MNIST,
# set the environment variable `SNNTORCH_DATA` to the folder that holds the folder `mnist` with the
# four original files.

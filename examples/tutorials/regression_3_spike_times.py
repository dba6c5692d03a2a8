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
# # Regression, part 3: spike times
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/snntorch/snntorch/blob/main/examples/tutorials/regression_3_spike_times.ipynb)
#
# *When* a neuron fires can carry a number, with a single spike. Here you train neurons to fire at
# given times, with `SF.mse_temporal_loss`, regress a function with a spiking LSTM, classify by
# which neuron fires first, with `SF.ce_temporal_loss`, and see what the gradient of a spike time is
# and where it fails. [Part 1](regression_1_membrane.ipynb) regressed membranes, [part
# 2](regression_2_recurrent.ipynb) spike counts. The notebook runs in about a minute.

# %% tags=["remove-output"]
# %pip install --quiet snntorch

# %%
import math

import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.utils.data import DataLoader

import snntorch as snn
from snntorch import datasets, spikeplot, surrogate
from snntorch import functional as SF

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
# ## The loss
#
# Let $t_k$ be the step at which output neuron $k$ first fires, counted from 0, and $t_k^*$ the step
# at which it should. The squared error is, with time in units of the whole run of $T$ steps,
#
# $$\mathcal{L} = \frac{1}{K} \sum_{k=1}^{K} \left( \frac{t_k - t_k^*}{T} \right)^2 .$$
#
# A neuron that stays silent counts as if it fired at the last step, $T - 1$. `SF.SpikeTime` turns a
# record of spikes into times, and `SF.mse_temporal_loss` computes the loss. With
# `target_is_time=True` the targets are times; otherwise they are class labels, and the right neuron
# should fire at the step `on_target` (0 by default) and the others at `off_target` (the last step).

# %%
spikes = torch.zeros(10, 1, 3)  # ten steps, one sample, three neurons
spikes[2, 0, 0] = spikes[6, 0, 0] = spikes[7, 0, 1] = 1  # neuron 2 stays silent
spikes.requires_grad_()
wanted = torch.tensor([[5, 4, 6]])

times, _ = SF.SpikeTime(target_is_time=True)(spikes, wanted)
loss = SF.mse_temporal_loss(target_is_time=True)(spikes, wanted)
loss.backward()
print(f"first spikes: {times[0].tolist()}, loss: {loss:.4f}")

# %%
plt.figure(figsize=(7, 2.6))
image = plt.imshow(spikes.grad[:, 0].T, cmap="RdBu", vmin=-0.03, vmax=0.03, aspect="auto")
plt.colorbar(image, label="gradient of the loss")
step, neuron = spikes[:, 0].nonzero(as_tuple=True)
plt.scatter(step, neuron, marker="|", s=300, color="black", label="spike")
plt.scatter(wanted[0], range(3), facecolors="none", edgecolors="black", s=80, label="target")
plt.gca().set(xlabel="time step", ylabel="neuron", xticks=range(10), yticks=range(3))
plt.legend(loc="lower left", frameon=False)
plt.show()

# %% [markdown]
# Each neuron gets a gradient at one step only. Neuron 0 fires too early: its gradient is positive
# (blue), so gradient descent makes this spike weaker. Neuron 1 fires too late: its gradient is
# negative (red), which makes the spike stronger, in the hope that the membrane then crosses the
# threshold earlier. The silent neuron 2 gets its gradient at the last step. The second spike of
# neuron 0 costs nothing.
#
# ## The gradient of a spike time
#
# In continuous time a spike comes when the membrane reaches the threshold, $U(t_f) = U_{\rm thr}$.
# If a parameter $w$ raises the membrane, the crossing moves to the left. Differentiating this
# equation gives
#
# $$\frac{\partial t_f}{\partial w} =
# - \frac{\partial U / \partial w}{\partial U / \partial t} \bigg|_{t_f} ,$$
#
# which is the core of SpikeProp (Bohte et al., 2002). In discrete time this derivative does not
# exist: $t_f$ is a whole number and jumps. The library combines two substitutes. The time gets a
# slope of $-1$ with respect to the spike that marks it, and the spike gets the surrogate gradient
# $\sigma'$ of its neuron:
#
# $$\frac{\partial t_f}{\partial w} := - \, \sigma'\!\left( U[t_f] - U_{\rm thr} \right)
# \frac{\partial U[t_f]}{\partial w} .$$
#
# The sign is right. The factor $1 / (\partial U / \partial t)$ is missing, so that the size of the
# gradient is bounded: SpikeProp's explodes where the membrane only grazes the threshold.
#
# Compare them for a single neuron with constant input $w$. Its membrane is
# $U[t] = w (1 - \beta^{t+1}) / (1 - \beta)$ until it fires, so it needs $w > 1 - \beta$ to fire at
# all.

# %%
num_steps, beta = 50, 0.9
weights = torch.linspace(0.02, 0.3, 400).requires_grad_()
neuron = snn.Leaky(beta=beta, spike_grad=surrogate.fast_sigmoid(slope=10), init_hidden=True)
spikes = snn.unroll(neuron, weights.unsqueeze(1), num_steps=num_steps)
times = SF.SpikeTime.FirstSpike.apply(spikes)
(slopes,) = torch.autograd.grad(times.sum(), weights)

with torch.no_grad():
    fires = weights > 1 - beta
    exact = torch.log(1 - (1 - beta) / weights[fires]) / math.log(beta) - 1
    exact_slopes = torch.gradient(exact, spacing=(weights[fires],))[0]

w = weights.detach()
fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3))
left.plot(w, times.detach(), color=BLUE, label="in steps")
left.plot(w[fires], exact, color=ORANGE, label="continuous")
left.set(xlabel="input $w$", ylabel="time of the first spike", ylim=(-1, num_steps + 5))
left.legend(frameon=False)
right.semilogy(w, -slopes, color=BLUE, label="library")
right.semilogy(w[fires], -exact_slopes, color=ORANGE, label="continuous")
right.set(xlabel="input $w$", ylabel=r"$-\partial t_f / \partial w$")
right.legend(frameon=False)
for ax in left, right:
    ax.axvline(1 - beta, color=GREY, linestyle="--")
plt.show()

# %% [markdown]
# Left of the dashed line the neuron never fires, and its time is that of the last step. There the
# true derivative is zero: a little more input does not help. The surrogate gives it a gradient
# nevertheless, and so a way out of silence. It fades with the distance to the threshold. Right of
# the line the library's gradient has the sign of the true one, is far from its size near the line,
# and saws where $U[t_f]$ jumps from step to step. An optimizer such as Adam, which rescales
# gradients, copes with that.
#
# ## One neuron, one spike time
#
# A hundred inputs fire at random times, twice each. A neuron should learn weights with which it
# fires for the first time at step 30.

# %%
torch.manual_seed(0)
inputs = torch.zeros(num_steps, 1, 100)
for _ in range(2):
    inputs.scatter_(0, torch.randint(num_steps, (1, 1, 100)), 1)

grad = surrogate.fast_sigmoid(slope=10)
fc, lif = nn.Linear(100, 1, bias=False), snn.Leaky(beta=0.9, spike_grad=grad)
nn.init.uniform_(fc.weight, 0, 0.2)
target = torch.tensor([[30]])
loss_fn = SF.mse_temporal_loss(target_is_time=True)
optimizer = torch.optim.Adam(fc.parameters(), lr=1e-2)


def membrane_and_spikes():
    mem = lif.init_leaky()
    spikes, membranes = [], []
    for step in range(num_steps):
        spk, mem = lif(fc(inputs[step]), mem)
        spikes.append(spk)
        membranes.append(mem)
    return torch.stack(spikes), torch.stack(membranes)


history, snapshots = [], []
for _ in range(100):
    spikes, membranes = membrane_and_spikes()
    loss = loss_fn(spikes, target)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    history.append(int(SF.SpikeTime.FirstSpike.apply(spikes)))
    snapshots.append(membranes.detach()[:, 0, 0])

# %%
fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3))
left.plot(history, color=BLUE)
left.axhline(30, color=GREY, linestyle="--")
left.set(xlabel="update", ylabel="time of the first spike", ylim=(0, num_steps))
right.axhline(1, color=GREY, linestyle="--")
right.axvline(30, color=GREY, linestyle="--")
right.plot(snapshots[0], color=ORANGE, label="before")
right.plot(snapshots[-1], color=BLUE, label="after")
right.set(xlabel="time step", ylabel="membrane potential")
right.legend(frameon=False)
plt.show()
print(f"first spike at step {history[0]} before and {history[-1]} after training")

# %% [markdown]
# The spike time moves in jumps, overshoots, and comes back. A spike that is weakened until it
# disappears does not move on by one step: the next peak of the membrane that reaches the threshold
# becomes the first spike. What happens after it is free, so the neuron may fire again.
#
# ## A function in spike times
#
# Now let the target depend on an input $x$ between 0 and 1:
#
# $$t^*(x) = 15 + 10 \sin(2 \pi x) , \qquad T = 30 .$$
#
# Eight inputs code for $x$ by overlapping bell curves, as receptive fields do. They drive a hidden
# layer that is either a spiking LSTM or leaky neurons with assorted decay rates. One output neuron
# gives the answer. We draw new $x$ for each update, and test on a grid.

# %%
num_steps, centers = 30, torch.linspace(0, 1, 8)


def bells(x):
    """Return the response of eight inputs to x [B, 1], as [B, 8]."""
    return torch.exp(-(((x - centers) / 0.15) ** 2))


def wave(x):
    return 15 + 10 * torch.sin(2 * math.pi * x)


class TimeNet(nn.Module):
    def __init__(self, lstm, num_hidden=32):
        super().__init__()
        self.lstm = lstm
        if lstm:
            self.hidden = snn.SLSTM(8, num_hidden, threshold=0.1, spike_grad=grad)
        else:
            self.fc1 = nn.Linear(8, num_hidden)
            self.hidden = snn.Leaky(beta=0.5 + 0.5 * torch.rand(num_hidden), spike_grad=grad)
        self.fc2 = nn.Linear(num_hidden, 1)
        self.lif2 = snn.Leaky(beta=0.95, spike_grad=grad)

    def forward(self, x):
        if self.lstm:
            syn1, mem1 = self.hidden.init_slstm()
        else:
            mem1 = self.hidden.init_leaky()
        mem2 = self.lif2.init_leaky()
        spikes = []
        for _ in range(num_steps):
            if self.lstm:
                spk1, syn1, mem1 = self.hidden(x, syn1, mem1)
            else:
                spk1, mem1 = self.hidden(self.fc1(x), mem1)
            spk2, mem2 = self.lif2(self.fc2(spk1), mem2)
            spikes.append(spk2)
        return torch.stack(spikes)


# %% [markdown]
# `snn.compile` runs the loop over time faster, with the same results.

# %%
grid = torch.linspace(0, 1, 201).unsqueeze(1)
predicted = {}
for name, lstm in ("leaky neurons", False), ("spiking LSTM", True):
    torch.manual_seed(0)
    net = snn.compile(TimeNet(lstm))
    optimizer = torch.optim.Adam(net.parameters(), lr=5e-3)
    for _ in range(400):
        x = torch.rand(64, 1)
        loss = loss_fn(net(bells(x)), wave(x))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        predicted[name] = SF.SpikeTime.FirstSpike.apply(net(bells(grid)))
    error = (predicted[name] - wave(grid)).abs().mean()
    print(f"{name}: off by {error:.2f} time steps on average")

# %%
fig, axes = plt.subplots(1, 2, figsize=(9, 3), sharey=True)
for ax, (name, times) in zip(axes, predicted.items(), strict=True):
    ax.plot(grid, wave(grid), "--", color=GREY, label="target")
    ax.scatter(grid, times, s=6, color=BLUE, label="first spike")
    ax.set(xlabel="$x$", title=name)
axes[0].set_ylabel("time step")
axes[0].legend(frameon=False)
plt.show()

# %% [markdown]
# Even a perfect network is off by a quarter of a step on average, since it fires on whole steps.
#
# ## Several spikes
#
# With `multi_spike=True` the first $F$ spikes of each neuron have targets, `[F, B, C]`. Five
# neurons with the inputs of before should each fire at three steps, and we add a fourth target at
# the last step: a spike beyond the third then costs something.

# %%
num_steps = len(inputs)
start = torch.tensor([4, 9, 14, 19, 24])
wanted = torch.stack([start, start + 8, start + 16, torch.full((5,), num_steps - 1)]).unsqueeze(1)
loss_fn = SF.mse_temporal_loss(target_is_time=True, multi_spike=True)

torch.manual_seed(0)
layers = nn.Linear(100, 5), snn.Leaky(beta=0.9, spike_grad=grad, init_hidden=True)
net = nn.Sequential(*layers)
optimizer = torch.optim.Adam(net.parameters(), lr=5e-3)
for _ in range(400):
    loss = loss_fn(snn.unroll(net, inputs), wanted)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

with torch.no_grad():
    spikes = snn.unroll(net, inputs)
times = SF.SpikeTime.MultiSpike.apply(spikes, 3)
on_time = (times - wanted[:3]).abs() <= 1
print(f"{int(on_time.sum())} of {on_time.numel()} spikes are on time, give or take a step")

# %%
plt.figure(figsize=(7, 2.4))
spikeplot.raster(spikes[:, 0], plt.gca(), marker="|", s=200, color=BLUE, label="spike")
for target in wanted[:3, 0]:
    plt.scatter(target, range(5), s=120, facecolors="none", edgecolors=ORANGE)
plt.scatter([], [], facecolors="none", edgecolors=ORANGE, label="target")
plt.gca().set(xlabel="time step", ylabel="neuron", xlim=(-1, num_steps), ylim=(-0.6, 4.6))
plt.legend(frameon=False, loc="upper left")
plt.show()

# %% [markdown]
# For a sequence, `nn.Sequential` and `snn.unroll` need no `forward`: `unroll` runs each layer over
# all time steps.
#
# ## Who fires first?
#
# A classifier can answer by its first output spike, and stop there. `SF.ce_temporal_loss` takes the
# negative times as logits of a cross-entropy (or their inverse, with `inverse="reciprocal"`), so
# only the differences between times count: the right neuron should fire before the others.
# `SF.mse_temporal_loss` sets times for all. `SF.accuracy_temporal` counts how often the right
# neuron was first.
#
# The digits of MNIST: 5,000 to train on and 1,000 to test on come with the library. For all 60,000,
# set the environment variable `SNNTORCH_DATA` to a folder that holds the four files of the full set
# in its subfolder `mnist`.

# %%
train_set, test_set = datasets.mnist(), datasets.mnist(train=False)
test_images, test_labels = test_set.tensors
num_steps = 20
num_epochs = 2 if len(train_set) > 10_000 else 4


class Net(nn.Module):
    def __init__(self, slope, num_hidden=100):
        super().__init__()
        neuron = {"beta": 0.9, "spike_grad": surrogate.fast_sigmoid(slope=slope)}
        self.fc1, self.lif1 = nn.Linear(28 * 28, num_hidden), snn.Leaky(**neuron)
        self.fc2, self.lif2 = nn.Linear(num_hidden, 10), snn.Leaky(**neuron)

    def forward(self, images):
        x = images.flatten(1)
        mem1, mem2 = self.lif1.init_leaky(), self.lif2.init_leaky()
        spikes = []
        for _ in range(num_steps):
            spk1, mem1 = self.lif1(self.fc1(x), mem1)
            spk2, mem2 = self.lif2(self.fc2(spk1), mem2)
            spikes.append(spk2)
        return torch.stack(spikes)


# %% [markdown]
# The gradient arrives at a single step of each neuron, so it should not be tiny there. We compare
# the default surrogate, `fast_sigmoid(slope=25)`, whose gradient vanishes within a short distance
# from the threshold, with a wider one.

# %%
losses = {
    "mse_temporal_loss": SF.mse_temporal_loss(on_target=5),
    "ce_temporal_loss": SF.ce_temporal_loss(),
}
first = {}
for slope in 25, 2:
    for name, loss_fn in losses.items():
        torch.manual_seed(0)
        net = snn.compile(Net(slope))
        optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
        for _ in range(num_epochs):
            for images, labels in DataLoader(train_set, batch_size=128, shuffle=True):
                loss = loss_fn(net(images), labels)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        with torch.no_grad():
            spikes = net(test_images)
        first[name] = SF.SpikeTime.FirstSpike.apply(spikes)
        accuracy = 100 * SF.accuracy_temporal(spikes, test_labels)
        steps = first[name].amin(1).mean() + 1
        print(f"slope {slope:2}, {name}: {accuracy:.1f}% correct, decided after {steps:.1f} steps")

# %%
is_right = nn.functional.one_hot(test_labels, 10).bool()
bins = torch.arange(num_steps + 1) - 0.5
fig, axes = plt.subplots(1, 2, figsize=(9, 3), sharey=True)
for ax, (name, times) in zip(axes, first.items(), strict=True):
    ax.hist(times[~is_right], bins, density=True, color=GREY, alpha=0.8, label="wrong classes")
    ax.hist(times[is_right], bins, density=True, color=BLUE, alpha=0.8, label="right class")
    ax.set(xlabel="time of the first spike", title=name, xticks=range(0, num_steps, 5))
axes[0].set_ylabel("fraction of neurons")
axes[0].legend(frameon=False)
plt.show()

# %% [markdown]
# The wide surrogate wins with both losses. The picture shows its networks. The squared error
# gathers the right neurons around their target, step 5. The cross-entropy has no target; it only
# pulls the right class ahead of the others, and decides earlier. Most wrong neurons stay silent,
# and so are in the last bin.
#
# ## Where it fails
#
# - **Silence.** A neuron far below its threshold gets almost no gradient, as the second picture
#   showed, and only at the last step. Start with weights at which neurons fire, or use a surrogate
#   with a wide slope (a small `slope` of `fast_sigmoid`).
# - **One step at a time.** The gradient goes to the step of the spike alone. Nothing tells the
#   neuron that a peak of its membrane five steps later, just below the threshold, was the better
#   place. Therefore spike times jump, and a loss may rise before it falls. A loss on the whole
#   membrane, as in part 1, does not have this problem.
# - **Free spikes.** What follows the last target costs nothing. Give further targets, as above, or
#   add a penalty such as `SF.l1_rate_sparsity()`.
# - **Ties.** Times are whole numbers. If two neurons fire first at the same step,
#   `SF.accuracy_temporal` picks the lower index. More steps, or targets that are further apart,
#   help.
# - **Impossible targets.** No spike comes before the input has had time to charge the membranes of
#   all layers. Targets of the first steps then only make weights grow.
#
# ## Results
#
# Seed 0. snnTorch announces this part of the series, a spiking LSTM that learns spike times, in its
# second part; its page states no figures.
#
# | | short mode here | full mode here | snnTorch's page |
# |---|---|---|---|
# | spike times of a sine, leaky neurons: mean error in steps | 0.80 | – | – |
# | the same with a spiking LSTM | 0.37 | – | – |
# | MNIST, `mse_temporal_loss`, slope 25: first spike correct | 69.5% | 93.3% | – |
# | MNIST, `ce_temporal_loss`, slope 25 | 56.8% | 83.8% | – |
# | MNIST, `mse_temporal_loss`, slope 2 | 90.9% | 96.5% | – |
# | MNIST, `ce_temporal_loss`, slope 2 | 90.5% | 95.0% | – |
#
# The short mode trains on 5,000 digits for 4 epochs, the full mode on 60,000 for 2.
#
# References: S. M. Bohte, J. N. Kok and H. La Poutré, "Error-backpropagation in temporally encoded
# networks of spiking neurons", Neurocomputing 48 (2002). A. Henkes, J. K. Eshraghian and H.
# Wessels, "Spiking neural networks for nonlinear regression", Royal Society Open Science 11 (2024).

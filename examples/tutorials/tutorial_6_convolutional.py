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
# # Convolutional networks and surrogate gradients
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/snntorch/snntorch/blob/main/examples/tutorials/tutorial_6_convolutional.ipynb)
#
# At the end of this page you can choose a surrogate gradient, and you know what its steepness does
# to the gradients of a deep network. You build a convolutional spiking network as an
# `nn.Sequential`, train it on handwritten digits with a loss on spike counts, and watch it count.
# It builds on [training spiking neural networks](tutorial_5_training.ipynb); running it takes about
# half a minute on a CPU.

# %% tags=["remove-output"]
# %pip install --quiet snntorch

# %%
import copy
import timeit
import warnings
from itertools import islice

import matplotlib.pyplot as plt
import torch
from IPython.display import HTML
from torch import nn
from torch.utils.data import DataLoader, Subset

import snntorch as snn
from snntorch import datasets, surrogate, utils
from snntorch import functional as SF
from snntorch import spikeplot as splt

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"

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
# ## Surrogate gradient functions
#
# A spike is a step function of the membrane, whose derivative is zero except at the threshold,
# where it is infinite:
#
# $$S[t] = \Theta(U[t] - U_{\rm thr}), \qquad
# \frac{\partial S}{\partial U} = \delta(U - U_{\rm thr}).$$
#
# No gradient survives this factor; neurons are dead for gradient descent. In [the last
# tutorial](tutorial_5_training.ipynb) the derivative of an arctangent replaced it in the
# backward pass. Other functions work too. All are centered at the threshold and depend on the
# overdrive $u = U - U_{\rm thr}$. Three common ones are
#
# $$\text{arctangent: } \frac{\alpha / 2}{1 + (\pi \alpha u / 2)^2}
# \qquad \text{sigmoid: } \frac{k\, e^{-k u}}{(1 + e^{-k u})^2}
# \qquad \text{fast sigmoid: } \frac{1}{(1 + k |u|)^2} .$$
#
# The fast sigmoid is the derivative of $\tilde S = u / (1 + k|u|)$. It avoids the exponential and
# has heavier tails than the sigmoid (Zenke and Ganguli, 2018). The steepness, $\alpha$ or $k$, is a
# hyperparameter.

# %%
u = torch.linspace(-1, 1, 2001)
families = {
    "atan": (surrogate.atan, (1, 2, 8)),
    "sigmoid": (surrogate.sigmoid, (4, 8, 25)),
    "fast_sigmoid": (surrogate.fast_sigmoid, (4, 8, 25)),
}
fig, axes = plt.subplots(1, 3, figsize=(9, 3))
wide = torch.linspace(-1000, 1000, 4_000_001, dtype=torch.float64)
for ax, (name, (make, values)) in zip(axes, families.items(), strict=True):
    for value, color in zip(values, (GREY, BLUE, ORANGE), strict=True):
        spike_grad = make(value)
        ax.plot(u, spike_grad.slope(u), color=color, label=f"{value}")
        area = torch.trapezoid(spike_grad.slope(wide), wide).item()
        peak = spike_grad.slope(torch.zeros(1)).item()
        print(f"{name}({value}):".ljust(18), f"peak {peak:5.2f}, area {area:.2f}")
    ax.legend(frameon=False, title="steepness")
    ax.set(title=name, xlabel="overdrive $u$")
axes[0].set(ylabel="slope")
plt.show()

# %% [markdown]
# The plots have different vertical scales. The arctangent and the sigmoid have an area of one, so
# they become higher as they become narrower, and approach Dirac's $\delta$. The fast sigmoid always
# has the peak 1 and its area is $2/k$. As $k$ grows it does *not* approach $\delta$ but zero: fewer
# and fewer neurons, those very close to the threshold, get any gradient.
#
# In the backward pass of a neuron nothing else changes. In the forward pass it fires if $U > U_{\rm
# thr}$ and keeps $U$; in the backward pass it multiplies the gradient by the slope at this $U$.
# Pass the surrogate to a neuron as `spike_grad`:

# %%
lif = snn.Leaky(beta=0.5, spike_grad=surrogate.fast_sigmoid(slope=25))

# %% [markdown]
# To use your own surrogate, derive from `surrogate.SurrogateFunction` and write down the slope. A
# triangle around the threshold, as in Esser et al. (2016), needs one line; the forward pass is
# inherited:


# %%
class Triangle(surrogate.SurrogateFunction):
    @staticmethod
    def slope(u, width=1.0):
        return (1 - u.abs() / width).clamp(min=0)


class FastSigmoid(surrogate.SurrogateFunction):
    @staticmethod
    def slope(u, k=25.0):
        return 1 / (1 + k * u.abs()) ** 2


x = torch.rand(20, 1, 4, requires_grad=True)
for spike_grad in Triangle(0.5), FastSigmoid(25), surrogate.fast_sigmoid(25):
    spikes, _ = snn.unroll(snn.Leaky(beta=0.5, spike_grad=spike_grad), x)
    (gradient,) = torch.autograd.grad(spikes.sum(), x)
    print(
        f"{spike_grad!s}:".ljust(22), f"{int(spikes.sum())} spikes, gradient {gradient.sum():.4f}"
    )

# %% [markdown]
# The number of spikes is the same for all, as the surrogate acts backward only. Our fast sigmoid
# gives the gradient of the library's.
#
# ## The data
#
# 5,000 digits for training and 1,000 for testing come with the library;
# `datasets.mnist(root=folder)` or the environment variable `SNNTORCH_DATA` gives all of MNIST. With
# all of it, the cells below show each digit for more steps.

# %%
train_set, test_set = datasets.mnist(train=True), datasets.mnist(train=False)
FULL = len(train_set) > 10_000
num_steps, batch_size = (50, 128) if FULL else (25, 64)

train_loader = DataLoader(train_set, batch_size, shuffle=True)
test_loader = DataLoader(test_set, 128)
images, targets = next(iter(train_loader))
images, targets = images.to(device), targets.to(device)
print(f"{len(train_set)} digits to train on, in batches {tuple(images.shape)}")

# %% [markdown]
# ## The network
#
# Its architecture is written 12C5-MP2-64C5-MP2-1024FC10:
#
# - 12C5: a convolution with 12 kernels of 5 x 5 pixels,
# - MP2: max pooling over 2 x 2 pixels,
# - 1024FC10: a fully connected layer from 1,024 values to 10.
#
# Leaky neurons follow each pooling and the last layer. A class with an explicit membrane for each
# layer would work, as in the last tutorial, but an `nn.Sequential` is shorter:


# %%
def build_net(spike_grad, beta=0.5):
    neuron = {"beta": beta, "spike_grad": spike_grad, "init_hidden": True}
    net = nn.Sequential(
        nn.Conv2d(1, 12, 5),
        nn.MaxPool2d(2),
        snn.Leaky(**neuron),
        nn.Conv2d(12, 64, 5),
        nn.MaxPool2d(2),
        snn.Leaky(**neuron),
        nn.Flatten(),
        nn.Linear(64 * 4 * 4, 10),
        snn.Leaky(**neuron, output=True),
    )
    return net.to(device)


net = build_net(surrogate.fast_sigmoid(slope=25))

# %% [markdown]
# - `init_hidden=True`: the neuron keeps its membrane itself and returns spikes only, which is what
#   the next layer of a sequence expects.
# - `output=True`: the last neuron returns its membrane too.
#
# One call of the network is one time step. The loop over time resets the hidden states, calls the
# network once per step with the same image, and records what it returns:


# %%
def forward_pass(net, images, num_steps):
    utils.reset(net)
    spikes, membranes = [], []
    for _ in range(num_steps):
        spk, mem = net(images)
        spikes.append(spk)
        membranes.append(mem)
    return torch.stack(spikes), torch.stack(membranes)


with torch.no_grad():
    looped, _ = forward_pass(net, images, num_steps)
    unrolled, _ = snn.unroll(net, images, num_steps=num_steps)
print("spikes:", tuple(looped.shape), "= steps, batch, classes")
print("the same spikes:", torch.equal(looped, unrolled))

# %% [markdown]
# `snn.unroll` returns the same as the loop. It takes the sequence apart and runs each layer over
# all steps, instead of each step through all layers:

# %%
print(snn.explain(net, images, num_steps=num_steps))

# %% [markdown]
# The first convolution and its pooling see the same image at each step and run once (`hoist`). The
# second ones run once over all steps, as one large batch (`fold`). The neurons run through their
# whole sequence in a compiled kernel (`scan`). For training this saves time and memory;
# [the tutorial on the fast path](fast_path.ipynb) has more.


# %%
def train_loop():
    forward_pass(net, images, num_steps)[0].sum().backward()


def train_unrolled():
    snn.unroll(net, images, num_steps=num_steps)[0].sum().backward()


looped, unrolled = (min(timeit.repeat(f, number=1, repeat=3)) for f in (train_loop, train_unrolled))
net.zero_grad()
print(f"forward and backward, time of unroll / time of the loop: {unrolled / looped:.2f}")

# %% [markdown]
# ## Loss and accuracy
#
# The last tutorial applied cross entropy to the membranes. `snntorch.functional` has losses on
# spikes too, on their number or their time. `SF.ce_rate_loss` applies cross entropy to the spikes
# of each step and takes the mean over the steps, so the neuron of the correct class should fire at
# a high rate and the others at a low one. `SF.accuracy_rate` counts a sample as correct if this
# neuron has the most spikes.

# %%
loss_fn = SF.ce_rate_loss()
with torch.no_grad():
    spikes, _ = snn.unroll(net, images, num_steps=num_steps)
print(f"loss {loss_fn(spikes, targets).item():.3f}")
print(f"accuracy {SF.accuracy_rate(spikes, targets):.1%}")

# %% [markdown]
# Where no output neuron fires, or all fire alike, softmax gives each class a tenth and the loss is
# $\ln 10 \approx 2.303$. With ten classes, guessing is right in 10% of the cases.
#
# ## How steep should the surrogate be?
#
# A network of three spiking layers multiplies three slopes on the way back to its first weights. If
# most slopes are small, little is left of the gradient. Measure it: the same weights and the same
# digits, the fast sigmoid with different $k$, and the norm of the gradient in each layer.

# %%
steepness = [1, 2, 5, 10, 25, 50, 100, 200]
norms = []
for k in steepness:
    probe = build_net(surrogate.fast_sigmoid(slope=k))
    probe.load_state_dict(net.state_dict())
    spikes, _ = snn.unroll(probe, images, num_steps=num_steps)
    loss_fn(spikes, targets).backward()
    norms.append([probe[i].weight.grad.norm().item() for i in (0, 3, 7)])

fig, ax = plt.subplots(figsize=(6, 3.2))
names, colors = ("first convolution", "second convolution", "last layer"), (ORANGE, BLUE, GREY)
for name, color, values in zip(names, colors, zip(*norms, strict=True), strict=True):
    ax.loglog(steepness, values, color=color, marker="o", markersize=4, label=name)
ax.set(xlabel="steepness $k$ of the fast sigmoid", ylabel="norm of the gradient")
ax.legend(frameon=False)
plt.show()

# %% [markdown]
# Both axes are logarithmic. The steeper the surrogate, the smaller the gradient, and the further
# back the layer is, the steeper the decline: with each spiking layer in between, the gradient is
# multiplied by one more small slope. It *vanishes* in depth, as in any deep network. A very flat
# surrogate has the opposite flaw. Its gradient is large, but it gives much credit to neurons that
# are far from firing, and says little about what a change of the weights will do. Adam divides by
# the size of the gradient and so copes with a wide range; plain gradient descent does not.
#
# ## Training


# %%
@torch.no_grad()
def evaluate(net, loader):
    """Return the accuracy on all samples of a loader."""
    net.eval()
    correct = count = 0
    for images, targets in loader:
        spikes, _ = snn.unroll(net, images.to(device), num_steps=num_steps)
        correct += SF.accuracy_rate(spikes, targets.to(device)) * len(targets)
        count += len(targets)
    net.train()
    return correct / count


# %%
optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
some_digits = DataLoader(Subset(test_set, range(500)), 128)
every = 50 if FULL else 15

losses, accuracies = [], []
for images, targets in islice(train_loader, 201):  # a third of an epoch of all of MNIST
    if len(losses) % every == 0:
        accuracies.append(evaluate(net, some_digits))
        print(f"update {len(losses):3d}: accuracy on 500 test digits {accuracies[-1]:.1%}")
    spikes, _ = snn.unroll(net, images.to(device), num_steps=num_steps)
    loss = loss_fn(spikes, targets.to(device))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())

# %%
fig, (left, right) = plt.subplots(1, 2)
left.plot(losses, color=GREY, linewidth=1)
left.axhline(1.461, color=BLUE, linestyle="--", linewidth=1, label="smallest possible")
left.set(xlabel="update", ylabel="loss of the batch", ylim=(1.4, None))
left.legend(frameon=False)
updates = range(0, len(losses), every)
right.plot(updates, [100 * each for each in accuracies], color=ORANGE, marker="o", markersize=4)
right.set(xlabel="update", ylabel="accuracy on 500 test digits (%)", ylim=(0, 100))
plt.show()

# %% [markdown]
# The loss cannot reach zero. At best the correct neuron fires at every step and no other one does,
# so that softmax sees a one and nine zeros: $\ln(e + 9) - 1 \approx 1.461$.

# %%
test_accuracy = evaluate(net, test_loader)
print(f"{test_accuracy:.2%} of {len(test_set)} test digits after {len(losses)} updates")

# %% [markdown]
# ### The loop in one call
#
# `snntorch.backprop` has this loop as a function, from 1.0.0. `BPTT` trains for one epoch:
# `time_var=False` says that the images do not vary in time. It makes the same updates as a loop
# around `snn.unroll`. The module is deprecated, and importing it gives a warning, which is filtered
# here: new programs should write the loop, which is short and can be changed.

# %%
with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    from snntorch import backprop

batches = list(islice(train_loader, 3))
by_hand, by_call = copy.deepcopy(net), copy.deepcopy(net)

optimizer = torch.optim.Adam(by_hand.parameters(), lr=1e-3)
for images, targets in batches:
    spikes, _ = snn.unroll(by_hand, images.to(device), num_steps=num_steps)
    loss = loss_fn(spikes, targets.to(device))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

optimizer = torch.optim.Adam(by_call.parameters(), lr=1e-3)
loss = backprop.BPTT(
    by_call, batches, optimizer, loss_fn, num_steps=num_steps, time_var=False, device=device
)
difference = max(
    (a - b).abs().max().item()
    for a, b in zip(by_hand.parameters(), by_call.parameters(), strict=True)
)
print(f"mean loss {loss.item():.3f}, largest difference between weights {difference:.0e}")

# %% [markdown]
# ## What the network sees
#
# `net[:3]` is the first convolution with its neurons. Each image below counts the spikes of one of
# the 12 channels while the network looks at a digit; under it is the kernel that drives the
# channel.

# %%
image, target = test_set[6]
digit = image[None].to(device)
with torch.no_grad():
    maps = snn.unroll(net[:3], digit, num_steps=num_steps).sum(0)[0].cpu()
    kernels = net[0].weight[:, 0].detach().cpu()

fig, axes = plt.subplots(2, 12, figsize=(9, 1.9))
limit = kernels.abs().max()
for above, below, spikes, kernel in zip(*axes, maps, kernels, strict=True):
    counts = above.imshow(spikes, cmap="cividis", vmin=0, vmax=num_steps)
    weights = below.imshow(kernel, cmap="RdBu_r", vmin=-limit, vmax=limit)
    above.axis("off")
    below.axis("off")
fig.colorbar(counts, ax=axes[0], label="spikes")
fig.colorbar(weights, ax=axes[1], label="weight")
plt.show()

# %% [markdown]
# ## Counting spikes
#
# The answer of the network is the output neuron with the most spikes. With each of its spikes a bar
# grows by one; press play to watch.

# %%
with torch.no_grad():
    spikes, membranes = snn.unroll(net, digit, num_steps=num_steps)
print(f"target: {int(target)}, answer: {spikes.sum(0).argmax().item()}")

fig, ax = plt.subplots(figsize=(6, 3.2), dpi=60)
animation = splt.spike_count(
    spikes[:, 0].cpu(), fig, ax, labels=[str(i) for i in range(10)], animate=True, interval=120
)
video = animation.to_jshtml()
plt.close(fig)
HTML(video)

# %% [markdown]
# The membranes behind these counts: the neuron of the correct class stays above the threshold.

# %%
fig, ax = plt.subplots()
ax.plot(membranes[:, 0].cpu(), color=GREY, linewidth=1)
ax.plot(membranes[:, 0, target].cpu(), color=ORANGE, linewidth=2, label="correct class")
ax.axhline(1, color="black", linestyle=":", linewidth=1, label="threshold")
ax.set(xlabel="time step", ylabel="output membrane")
ax.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
plt.show()

# %% [markdown]
# ## Try it
#
# - Train with a steepness of 5 and of 100, or with `surrogate.atan()`.
# - Train on spike times: let `SF.ce_temporal_loss()` make the correct neuron fire first, and
#   measure with `SF.accuracy_temporal`.
# - Use several neurons for each class: 100 outputs, and `population_code=True, num_classes=10` in
#   the loss and in the accuracy.
#
# ## Results
#
# | | short mode here | full mode here | snnTorch's page |
# | --- | --- | --- | --- |
# | digits for training, for testing | 5,000, 1,000 | 60,000, 10,000 | 60,000, 10,000 |
# | steps, batch size | 25, 64 | 50, 128 | 50, 128 |
# | accuracy after 150 updates | - | 96.2% (of 500 digits) | 95.70% |
# | test accuracy at the end | 91.20% (79 updates) | 97.05% (201 updates) | not stated |
#
# ## References
#
# - E. O. Neftci, H. Mostafa, F. Zenke, "Surrogate Gradient Learning in Spiking Neural Networks",
#   IEEE Signal Processing Magazine 36 (2019) 51-63.
# - F. Zenke, S. Ganguli, "SuperSpike: Supervised Learning in Multilayer Spiking Neural Networks",
#   Neural Computation 30 (2018) 1514-1541.
# - S. K. Esser et al., "Convolutional Networks for Fast, Energy-Efficient Neuromorphic Computing",
#   PNAS 113 (2016) 11441-11446.

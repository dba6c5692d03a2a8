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
# # Population codes
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/snntorch/snntorch/blob/main/examples/tutorials/population_codes.ipynb)
#
# A spike count needs time: in one time step a neuron can only say yes or no. Counting the spikes of
# many neurons instead gives an answer at once. Here you train networks that classify clothes in a
# *single* time step, with one output neuron per class and with fifty, and see how the comparison
# changes with the number of steps. You should know how a spiking network is trained, as in [the
# tutorial on training](tutorial_5_training.ipynb). The notebook runs in under a minute.

# %% tags=["remove-output"]
# %pip install --quiet snntorch

# %%
import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.utils.data import DataLoader

import snntorch as snn
from snntorch import datasets, surrogate
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
# ## Why one neuron is slow
#
# Neurons in the cortex fire rarely, often less than once per second. Yet you recognize a face
# within a few hundred milliseconds. Reading the rate of a single neuron would take far longer than
# that: if it fires at random with rate $r$, the number of spikes in a window $T$ has mean $rT$ and
# standard deviation $\sqrt{rT}$, so the relative error of the estimated rate is
#
# $$\frac{\sigma_{\hat r}}{r} = \frac{1}{\sqrt{rT}} .$$
#
# Now count the spikes of $n$ neurons that code for the same thing. If they fire independently, the
# counts add up and the error becomes $1 / \sqrt{n r T}$. Neurons and time are exchangeable: a
# hundred neurons are as precise in 100 ms as one neuron in 10 s. This is a *population code*.
#
# We simulate a hundred neurons that fire at 5 Hz for one second, in steps of 1 ms.

# %%
torch.manual_seed(2)
rate, num_neurons, duration = 5, 100, 1000  # Hz, neurons, ms
spikes = (torch.rand(duration, num_neurons) < rate / 1000).float()

time = torch.arange(1, duration + 1)
one = 1000 * spikes[:, 0].cumsum(0) / time
all_neurons = 1000 * spikes.mean(1).cumsum(0) / time

# %%
fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3))
step, neuron = spikes.nonzero(as_tuple=True)
left.scatter(step, neuron, s=3, color=GREY)
left.scatter(step[neuron == 0], neuron[neuron == 0], s=14, color=ORANGE, clip_on=False)
left.set(xlabel="time (ms)", ylabel="neuron", title="Spikes")
right.axhline(rate, color=GREY, linestyle="--", label="true rate")
right.plot(time, one, color=ORANGE, label="neuron 0 alone")
right.plot(time, all_neurons, color=BLUE, label="all neurons")
right.set(xlabel="time spent counting (ms)", ylabel="estimate (Hz)", title="Rate", ylim=(0, 20))
right.legend(frameon=False)
plt.show()

# %% [markdown]
# The estimate from all neurons is close to 5 Hz after a fraction of a second. That of neuron 0
# jumps at each of its few spikes, and falls in the long silences in between.
#
# ## Ten or five hundred output neurons
#
# A classifier with spiking outputs has the same problem. With one output neuron per class and $T$
# time steps, each class scores a count between 0 and $T$. At $T = 1$ the score is 0 or 1: whenever
# two neurons fire, or none, the network has not decided. With $n$ neurons per class the score has
# $nT + 1$ levels.
#
# The data are the images of Fashion-MNIST; the part that comes with the library has 3,000 to train
# on and 600 to test on. To train on all 60,000, set the environment variable `SNNTORCH_DATA` to a
# folder that holds the four files of the full set in its subfolder `fashion-mnist`.

# %%
names = ["T-shirt", "Trouser", "Pullover", "Dress", "Coat"]
names += ["Sandal", "Shirt", "Sneaker", "Bag", "Boot"]
train_set, test_set = datasets.fashion_mnist(), datasets.fashion_mnist(train=False)
print(f"{len(train_set):,} images to train on, {len(test_set):,} to test on")

fig, axes = plt.subplots(1, 10, figsize=(9, 1.3))
images, labels = train_set.tensors
for label, (ax, name) in enumerate(zip(axes, names, strict=True)):
    ax.imshow(images[labels == label][0, 0], cmap="gray_r")
    ax.set_title(name, fontsize=9)
    ax.axis("off")
plt.show()

# %% [markdown]
# The network has one hidden layer. Only the number of output neurons and of time steps varies.


# %%
class Net(nn.Module):
    def __init__(self, num_outputs, num_steps, num_hidden=128):
        super().__init__()
        neuron = {"beta": 0.9, "spike_grad": surrogate.fast_sigmoid()}
        self.num_steps = num_steps
        self.fc1, self.lif1 = nn.Linear(28 * 28, num_hidden), snn.Leaky(**neuron)
        self.fc2, self.lif2 = nn.Linear(num_hidden, num_outputs), snn.Leaky(**neuron)

    def forward(self, images):
        x = images.flatten(1)
        mem1, mem2 = self.lif1.init_leaky(), self.lif2.init_leaky()
        spikes = []
        for _ in range(self.num_steps):
            spk1, mem1 = self.lif1(self.fc1(x), mem1)
            spk2, mem2 = self.lif2(self.fc2(spk1), mem2)
            spikes.append(spk2)
        return torch.stack(spikes)  # [time, batch, outputs]


# %% [markdown]
# The loss compares the spike count of each class with a target count: every neuron of the right
# class should fire at every step, and all others should stay silent. With `population_code=True`
# the counts of a class are summed first. **Neighboring neurons form a class**: with 500 outputs and
# 10 classes, neurons 0 to 49 belong to class 0, neurons 50 to 99 to class 1, and so on. With
# $N^{(k)}$ the count of class $k$, of $n$ neurons, and $y$ the right class, it is
#
# $$\ell = \frac{1}{T} \sum_k \left( N^{(k)} - nT \, [k = y] \right)^2 ,$$
#
# here averaged over classes instead of summed. The accuracy needs the same two arguments.
# `snn.compile` returns the same network, but runs the loop over time faster.

# %%
POPULATION = {"population_code": True, "num_classes": 10}


def train(net, num_epochs, **code):
    """Train a network; return its test accuracy after each epoch."""
    loss_fn = SF.mse_count_loss(correct_rate=1.0, incorrect_rate=0.0, **code)
    optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
    accuracies = []
    for _ in range(num_epochs):
        for images, labels in DataLoader(train_set, batch_size=128, shuffle=True):
            loss = loss_fn(net(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        accuracies.append(100 * accuracy(net, **code))
    return accuracies


@torch.no_grad()
def accuracy(net, **code):
    images, labels = test_set.tensors
    return SF.accuracy_rate(net(images), labels, **code)


# %% [markdown]
# ## One time step
#
# Both networks get one step. The full data set needs fewer epochs.

# %%
num_epochs = 2 if len(train_set) > 10_000 else 8

torch.manual_seed(0)
single = snn.compile(Net(num_outputs=10, num_steps=1))
single_accuracy = train(single, num_epochs)

torch.manual_seed(0)
population = snn.compile(Net(num_outputs=500, num_steps=1))
population_accuracy = train(population, num_epochs, **POPULATION)

for epoch, (one, many) in enumerate(zip(single_accuracy, population_accuracy, strict=True), 1):
    print(f"epoch {epoch}: {one:.1f}% with 10 output neurons, {many:.1f}% with 500")

# %%
epochs = range(1, num_epochs + 1)
plt.figure(figsize=(5, 3))
plt.plot(epochs, population_accuracy, "o-", color=BLUE, label="500 output neurons")
plt.plot(epochs, single_accuracy, "o-", color=ORANGE, label="10 output neurons")
plt.gca().set(xlabel="epoch", ylabel="test accuracy (%)", xticks=epochs, ylim=(0, 100))
plt.legend(frameon=False)
plt.show()

# %% [markdown]
# The population wins clearly, and has most of its accuracy after a few updates. Two things hold the
# small network back. The first is that it often cannot decide. We count for how many test images
# exactly one class has the highest count.


# %%
def class_counts(net, num_classes=10):
    """Return the spike count of each class, [batch, classes]."""
    with torch.no_grad():
        counts = net(test_set.tensors[0]).sum(0)
    return counts.unflatten(1, (num_classes, -1)).sum(2)


def decided(counts):
    """Return which images have a single class with the highest count."""
    return (counts == counts.amax(1, keepdim=True)).sum(1) == 1


for name, net in ("10 output neurons", single), ("500 output neurons", population):
    counts = class_counts(net)
    right = counts.argmax(1) == test_set.tensors[1]
    sure = decided(counts)
    print(
        f"{name}: decided on {100 * sure.float().mean():.1f}% of the images, "
        f"and right on {100 * right[sure].float().mean():.1f}% of those"
    )

# %% [markdown]
# On the images that it decides, the small network is about as accurate as the large one. It loses
# on the others, on which no neuron fired, or several did. (`accuracy_rate` then picks the first of
# the tied classes.) Look at the spikes for three test images on which only the population decides,
# correctly:

# %%
images, labels = test_set.tensors
few, many = class_counts(single), class_counts(population)
chosen = (~decided(few) & decided(many) & (many.argmax(1) == labels)).nonzero()[:3, 0]

fig, axes = plt.subplots(3, 3, figsize=(9, 4.5), width_ratios=(1, 2, 2))
for (picture, left, right), index in zip(axes, chosen, strict=True):
    picture.imshow(images[index, 0], cmap="gray_r")
    picture.set_title(names[labels[index]], fontsize=9)
    picture.axis("off")
    for ax, counts, most in (left, few, 1), (right, many, 50):
        colors = [BLUE if label == labels[index] else GREY for label in range(10)]
        ax.bar(range(10), counts[index], color=colors)
        ax.set(ylim=(0, most), xticks=range(10), ylabel="spikes")
axes[0, 1].set_title("10 output neurons")
axes[0, 2].set_title("500 output neurons")
for ax in axes[2, 1:]:
    ax.set_xlabel("class")
plt.show()

# %% [markdown]
# Blue marks the right class. With one neuron per class the vote is empty or tied. With fifty it is
# a graded score that also shows how close the runner-up was.
#
# The second reason is training. A neuron that is far below its threshold for all images of a class
# gets almost no surrogate gradient, and recovers slowly. In a population it is likely that some
# neurons are near their thresholds and learn.
#
# ## Is it only the number of weights?
#
# Five hundred outputs also bring more parameters. For a fair comparison, train a network with ten
# outputs and a wider hidden layer that has just as many.

# %%
torch.manual_seed(0)
wide = snn.compile(Net(num_outputs=10, num_steps=1, num_hidden=208))
wide_accuracy = train(wide, num_epochs)

for name, net, accuracies in (
    ("10 outputs, 128 hidden", single, single_accuracy),
    ("10 outputs, 208 hidden", wide, wide_accuracy),
    ("500 outputs, 128 hidden", population, population_accuracy),
):
    parameters = sum(p.numel() for p in net.parameters())
    print(f"{name:<23}  {parameters:>7,} parameters  {accuracies[-1]:.1f}%")

# %% [markdown]
# The wide network has as many parameters as the population, and does not come near its accuracy.
#
# ## More time steps
#
# Time also makes counts finer, so the advantage should shrink as the number of steps grows.

# %%
steps = [1, 3, 10]
results = {10: [single_accuracy[-1]], 500: [population_accuracy[-1]]}
for num_steps in steps[1:]:
    for num_outputs, code in (10, {}), (500, POPULATION):
        torch.manual_seed(0)
        net = snn.compile(Net(num_outputs, num_steps))
        results[num_outputs].append(train(net, num_epochs, **code)[-1])

for num_steps, one, many in zip(steps, results[10], results[500], strict=True):
    print(f"{num_steps:2} steps: {one:.1f}% with 10 output neurons, {many:.1f}% with 500")

# %%
plt.figure(figsize=(5, 3))
positions = torch.arange(len(steps))
for offset, num_outputs, color in (-0.2, 10, ORANGE), (0.2, 500, BLUE):
    bars = plt.bar(
        positions + offset,
        results[num_outputs],
        width=0.36,
        color=color,
        label=f"{num_outputs} output neurons",
    )
    plt.bar_label(bars, fmt="%.0f")
plt.xticks(positions, steps)
plt.gca().set(xlabel="time steps", ylabel="test accuracy (%)", ylim=(0, 115))
plt.legend(frameon=False, ncols=2, loc="upper center")
plt.show()

# %% [markdown]
# The gap closes as eleven levels per class become available at ten steps. Trained on the full data
# set, the population keeps a lead of a few points. Which one to choose depends on the hardware. On
# a CPU or GPU a wider layer is one larger matrix product, while time steps have to wait for each
# other. On neuromorphic hardware neurons and spikes cost area and energy, and latency may matter
# more or less than these.
#
# Ideas to try:
#
# - A population of 100 already gives most of the gain at one step. Where does it end?
# - Use `SF.ce_count_loss(population_code=True, num_classes=10)` instead of the squared error.
# - Train on the membrane instead: with a loss on `mem2`, even ten outputs decide in one step, since
#   membranes are graded. Then the output is no longer a spike.
#
# ## Results
#
# Test accuracy of Fashion-MNIST after the last epoch, seed 0. The short mode trains on 3,000 images
# for 8 epochs, the full mode and snnTorch's page on 60,000 images for 2.
#
# | | short mode here | full mode here | snnTorch's page |
# |---|---|---|---|
# | 10 outputs, 1 step | 65.3% | 70.6% | 61.9% |
# | 500 outputs, 1 step | 75.3% | 81.1% | 82.7% |
# | 10 outputs, 208 hidden, 1 step | 55.3% | 64.2% | – |
# | 10 outputs, 3 steps | 74.2% | 78.6% | – |
# | 500 outputs, 3 steps | 79.0% | 82.8% | – |
# | 10 outputs, 10 steps | 79.5% | 80.8% | – |
# | 500 outputs, 10 steps | 79.0% | 84.5% | – |
#
# With ten outputs and one step the result depends strongly on the seed: networks that started from
# other seeds reached between 60% and 71% on the full data.

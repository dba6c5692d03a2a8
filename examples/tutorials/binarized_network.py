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
# # Binarized weights
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/snntorch/snntorch/blob/main/examples/tutorials/binarized_network.ipynb)
#
# Spikes are single bits. Make the weights single bits too, and a network needs about a thirtieth of
# the memory and no multiplications. Here you train spiking networks whose weights are $-1$ or $+1$,
# with a straight-through estimator and PyTorch's parametrizations, compare them with full
# precision, move the scale of the weights into the thresholds, and see how thin the line is between
# too many spikes and none. You should know how a spiking network is trained, as in [the tutorial on
# training](tutorial_5_training.ipynb). The notebook runs in under a minute.

# %% tags=["remove-output"]
# %pip install --quiet snntorch

# %%
import copy

import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.nn.utils import parametrize
from torch.utils.data import DataLoader, Subset

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
# ## What a bit saves
#
# The current into a neuron is $I_i = \sum_j w_{ij} S_j$. What the sum costs depends on its factors:
#
# | Inputs | Weights | One term of the sum |
# |---|---|---|
# | real numbers | real numbers | a multiplication and an addition |
# | spikes | real numbers | an addition, if there is a spike |
# | real numbers | $\pm 1$ | an addition or a subtraction |
# | spikes | $\pm 1$ | counting bits |
#
# In the last row the sum over inputs is twice the number of spikes that meet a $+1$, minus the
# number of spikes: an AND and two bit counts handle 64 inputs at once. In floating point, as here,
# none of this is faster; the saving is for hardware that computes with bits.
#
# ## Binarize
#
# Training needs small steps, and a bit cannot make any. So each weight keeps a real-valued *latent*
# weight $w$, which the optimizer updates, and the network computes with
#
# $$b = \alpha \operatorname{sign}(w), \qquad \alpha_i = \frac{1}{n} \sum_{j=1}^{n} |w_{ij}| .$$
#
# One scale $\alpha_i$ per neuron is the choice for which $b$ is closest to $w$ in the least-squares
# sense (Rastegari et al., 2016). It also keeps the currents as large as they were, which matters
# with a fixed threshold.
#
# The derivative of the sign is zero almost everywhere, just as that of a spike. The
# *straight-through estimator* puts in the derivative of the identity, except where a weight is
# larger than 1, and so has no need to grow (Courbariaux et al., 2016):
#
# $$\frac{\partial \operatorname{sign}(w)}{\partial w} :=
# \begin{cases} 1 & |w| \le 1 \\ 0 & \text{otherwise.} \end{cases}$$


# %%
class Sign(torch.autograd.Function):
    """The sign, with the gradient of a clipped identity."""

    @staticmethod
    def forward(ctx, w):
        ctx.save_for_backward(w)
        return torch.where(w < 0, -1.0, 1.0)  # torch.sign(0) is 0, which is not a bit

    @staticmethod
    def backward(ctx, grad):
        (w,) = ctx.saved_tensors
        return grad * (w.abs() <= 1)


class Binarize(nn.Module):
    """Turn weights [outputs, inputs] into plus or minus a scale, by default one per output."""

    def __init__(self, scale=None):
        super().__init__()
        self.scale = scale

    def forward(self, w):
        scale = w.abs().mean(1, keepdim=True).detach() if self.scale is None else self.scale
        return scale * Sign.apply(w)


w = torch.linspace(-2, 2, 401, requires_grad=True)
b = Sign.apply(w)
b.sum().backward()

fig, (left, right) = plt.subplots(1, 2, figsize=(7, 2.5))
left.plot(w.detach(), b.detach(), color=BLUE)
left.set(xlabel="latent weight", ylabel="binary weight", title="forward")
right.plot(w.detach(), w.grad, color=ORANGE)
right.set(xlabel="latent weight", ylabel="slope", title="backward")
plt.show()

# %% [markdown]
# The same trick trains spikes: a surrogate gradient is a straight-through estimator for the step of
# a neuron. A binarized spiking network uses both.
#
# ## The network
#
# Three layers read digits of MNIST, shown for ten steps. `parametrize.register_parametrization`
# puts the function in front of a weight: `layer.weight` is then the binary weight, computed when it
# is read, and `layer.parametrizations.weight.original` the latent one. The network itself does not
# change.
#
# The part of MNIST that comes with the library has 5,000 digits to train on and 1,000 to test on.
# To train on all 60,000, set the environment variable `SNNTORCH_DATA` to a folder that holds the
# four files of the full set in its subfolder `mnist`.

# %%
train_set, test_set = datasets.mnist(), datasets.mnist(train=False)
test_images, test_labels = test_set.tensors
num_epochs = 2 if len(train_set) > 10_000 else 4


class Net(nn.Module):
    def __init__(self, num_hidden=128, num_steps=10):
        super().__init__()
        neuron = {"beta": 0.9, "spike_grad": surrogate.fast_sigmoid()}
        self.num_steps = num_steps
        self.fc1 = nn.Linear(28 * 28, num_hidden, bias=False)
        self.fc2 = nn.Linear(num_hidden, num_hidden, bias=False)
        self.fc3 = nn.Linear(num_hidden, 10, bias=False)
        self.lif1, self.lif2, self.lif3 = (snn.Leaky(**neuron) for _ in range(3))

    def forward(self, images):
        x = images.flatten(1)
        mem1, mem2, mem3 = (lif.init_leaky() for lif in (self.lif1, self.lif2, self.lif3))
        hidden, spikes = [], []
        with parametrize.cached():  # compute binary weights once, not at each step
            for _ in range(self.num_steps):
                spk1, mem1 = self.lif1(self.fc1(x), mem1)
                spk2, mem2 = self.lif2(self.fc2(spk1), mem2)
                spk3, mem3 = self.lif3(self.fc3(spk2), mem3)
                hidden.append(torch.cat([spk1, spk2], 1))
                spikes.append(spk3)
        return torch.stack(hidden), torch.stack(spikes)


def binarize(net, scale=None):
    for layer in net.fc1, net.fc2, net.fc3:
        parametrize.register_parametrization(layer, "weight", Binarize(scale))
    return net


# %% [markdown]
# Reading `layer.weight` computes the binary weights anew. Inside `parametrize.cached()` they are
# computed once and kept, as they stay the same during a forward pass. The loss is the cross-entropy
# of the spike counts, and `snn.compile` runs the loop over time faster.


# %%
def train(net, num_epochs, data=train_set):
    loss_fn = SF.ce_count_loss()
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    for _ in range(num_epochs):
        for images, labels in DataLoader(data, batch_size=128, shuffle=True):
            _, spikes = net(images)
            loss = loss_fn(spikes, labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return net


@torch.no_grad()
def test(net):
    """Return the accuracy in percent, the rate of hidden neurons, and how many are silent."""
    hidden, spikes = net(test_images)
    silent = (hidden.sum((0, 1)) == 0).float().mean()
    return 100 * SF.accuracy_rate(spikes, test_labels), hidden.mean().item(), silent.item()


torch.manual_seed(0)
full = train(snn.compile(Net()), num_epochs)
rounded = binarize(copy.deepcopy(full))

torch.manual_seed(0)
binary = train(snn.compile(binarize(Net())), num_epochs)

for name, net in (
    ("full precision", full),
    ("binarized after training", rounded),
    ("trained with binary weights", binary),
):
    accuracy, rate, _ = test(net)
    print(f"{name}: {accuracy:.1f}% correct, {rate:.3f} spikes per hidden neuron and step")

# %% [markdown]
# Rounding the weights of a trained network to bits costs accuracy. A network that was trained with
# binary weights loses little: its latent weights settle such that their signs work.

# %%
bits = sum(layer.weight.numel() for layer in (full.fc1, full.fc2, full.fc3))
scales = sum(len(layer.weight) for layer in (full.fc1, full.fc2, full.fc3))
print(f"full precision: {32 * bits / 8 / 1024:.0f} KiB of weights")
print(f"binary: {(bits + 32 * scales) / 8 / 1024:.0f} KiB, with one scale per neuron")

# %%
fig, axes = plt.subplots(1, 2, figsize=(8, 2.8))
axes[0].hist(full.fc2.weight.detach().flatten(), 80, color=GREY)
axes[0].set(xlabel="weight", ylabel="number of weights", title="full precision")
latent = binary.fc2.parametrizations.weight.original.detach()
axes[1].hist(latent.flatten(), 80, color=BLUE)
axes[1].set(xlabel="latent weight", title="trained with binary weights")
plt.show()

# %%
fig, axes = plt.subplots(2, 8, figsize=(9, 2.6))
strongest = full.fc1.weight.detach().norm(dim=1).topk(8).indices
for column, neuron in zip(axes.T, strongest, strict=True):
    for ax, net in zip(column, (full, binary), strict=True):
        image = net.fc1.weight.detach()[neuron].view(28, 28)
        limit = image.abs().max() * (1 if net is full else 1.5)
        ax.imshow(image, cmap="RdBu", vmin=-limit, vmax=limit)
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set_visible(False)
axes[0, 0].set_ylabel("full")
axes[1, 0].set_ylabel("binary")
plt.show()

# %% [markdown]
# Weights of eight neurons of the first layer as images (blue is positive, red negative). The binary
# ones cannot fade out at the border, where pixels are always 0 and the sign does not matter; in the
# middle they form patches.
#
# ## The scale belongs to the threshold
#
# Is a weight of $\pm \alpha_i$ still a bit? A leaky neuron multiplies, adds and compares, so a
# common factor of all its inputs can be moved to its threshold. Divide the membrane equation by
# $\alpha_i$,
#
# $$\frac{U_i[t+1]}{\alpha_i} = \beta \, \frac{U_i[t]}{\alpha_i}
# + \sum_j \operatorname{sign}(w_{ij}) \, S_j[t+1] - S_i[t] \, \frac{U_{\rm thr}}{\alpha_i} ,$$
#
# and you get a neuron with weights $\pm 1$ and the threshold $U_{\rm thr} / \alpha_i$ that fires at
# the same steps. At run time all that is left of the scales is one threshold per neuron.

# %%
deployed = Net()
for layer, trained, lif in (
    (deployed.fc1, binary.fc1, deployed.lif1),
    (deployed.fc2, binary.fc2, deployed.lif2),
    (deployed.fc3, binary.fc3, deployed.lif3),
):
    scale = trained.weight.detach().abs().amax(1)
    layer.weight.data = trained.weight.detach().sign()
    lif.threshold = 1 / scale

with torch.no_grad():
    _, expected = binary(test_images)
    _, spikes = deployed(test_images)
print(f"weights: {deployed.fc1.weight.unique().tolist()}")
print(f"thresholds of the second layer: {deployed.lif2.threshold.mean():.0f} on average")
print(f"spikes that differ: {(spikes != expected).float().mean():.4%}")

# %% [markdown]
# (A few spikes may differ, where rounding decides whether a membrane reaches its threshold.)
#
# ## Dead or busy
#
# The scale did more than keep currents in range: it found a threshold for every neuron. Without it,
# all neurons of a network with weights $\pm 1$ share a threshold $\theta$ that you have to choose.
# The current of a neuron that gets $m$ spikes is a sum of $m$ signs, of the order of $\sqrt m$ if
# they are random. Far below this, a neuron fires at random; far above it, never. We sweep $\theta$,
# by weights of $\pm 1/\theta$ with the threshold 1, which is the same.

# %%
thresholds = [5, 10, 20, 40, 80, 160]
small_set = Subset(train_set, range(5000))
sweep = []
for threshold in thresholds:
    torch.manual_seed(0)
    net = train(snn.compile(binarize(Net(), scale=1 / threshold)), 2, small_set)
    sweep.append(test(net))
    accuracy, rate, silent = sweep[-1]
    print(f"threshold {threshold:3}: {accuracy:.1f}% correct, rate {rate:.2f}, {silent:.0%} silent")

# %%
accuracies, rates, silent = zip(*sweep, strict=True)
fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3))
left.semilogx(thresholds, accuracies, "o-", color=BLUE)
left.set(xlabel=r"threshold $\theta$", ylabel="test accuracy (%)", ylim=(0, 100))
right.semilogx(thresholds, rates, "o-", color=ORANGE, label="spikes per neuron and step")
right.semilogx(thresholds, silent, "o-", color=GREY, label="silent neurons")
right.set(xlabel=r"threshold $\theta$", ylabel="fraction", ylim=(0, 1))
right.legend(frameon=False)
for ax in left, right:
    ax.set_xticks(thresholds, thresholds, minor=False)
    ax.minorticks_off()
plt.show()

# %% [markdown]
# A low threshold makes neurons fire often and at random, and the network learns little. A high one
# saves spikes, until so many neurons are silent that the layers behind them get nothing, and
# neither does the gradient. The range between them, in which the network learns, is narrow.
# Eshraghian and Lu (2022) describe this line. They start with low thresholds that rise during
# training, which keeps neurons alive while they learn to be sparse.
#
# Ideas to try: let the threshold rise over the epochs; keep the first and the last layer in full
# precision, as is common; ternary weights, with a zero for small $|w|$; learn the thresholds
# (`learn_threshold=True`).
#
# ## Results
#
# Test accuracy on MNIST, 784-128-128-10 neurons, ten steps, seed 0. The short mode trains on 5,000
# digits for 4 epochs, the full mode on 60,000 for 2.
#
# | | short mode here | full mode here | snnTorch's page |
# |---|---|---|---|
# | full precision | 90.0% | 95.4% | – |
# | binarized after training | 68.4% | 81.6% | – |
# | trained with binary weights | 88.6% | 93.7% | – |
#
# References: M. Courbariaux, I. Hubara, D. Soudry, R. El-Yaniv and Y. Bengio, "Binarized neural
# networks", arXiv:1602.02830 (2016). M. Rastegari, V. Ordonez, J. Redmon and A. Farhadi, "XNOR-Net:
# ImageNet classification using binary convolutional neural networks", ECCV (2016). J. K. Eshraghian
# and W. D. Lu, "The fine line between dead neurons and sparsity in binarized spiking neural
# networks", arXiv:2201.11915 (2022).

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
# # Migrating from snnTorch 1.0.0
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/snntorch/snntorch/blob/main/examples/tutorials/migration.ipynb)
#
# Code written for 1.0.0 runs unchanged. After this tutorial you can make it faster with one line,
# tell whether one of your results changes, and explain why. It needs a little experience with
# snnTorch. Reading and running it takes about a quarter of an hour.

# %% tags=["remove-output"]
# %pip install --quiet snntorch

# %%
import re
import statistics
import time
import warnings
from itertools import islice

import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.utils.data import DataLoader

import snntorch as snn
from snntorch import datasets, spikegen, surrogate, testing
from snntorch import functional as SF

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
# ## A program for 1.0.0
#
# This is a typical one: a class with the loop over time in `forward`, and states that are passed in
# and out. Only the data set is new, because `datasets.mnist` needs no download: it holds 5,000
# digits for training and 1,000 for testing. To use all of MNIST, set the environment variable
# `SNNTORCH_DATA` to a folder that holds its four files in `mnist/`.


# %%
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        spike_grad = surrogate.fast_sigmoid(slope=25)
        self.fc1 = nn.Linear(28 * 28, 100)
        self.lif1 = snn.Leaky(beta=0.95, spike_grad=spike_grad)
        self.fc2 = nn.Linear(100, 10)
        self.lif2 = snn.Leaky(beta=0.95, spike_grad=spike_grad)

    def forward(self, x):
        mem1 = self.lif1.init_leaky()
        mem2 = self.lif2.init_leaky()
        spk2_rec, mem2_rec = [], []
        for _step in range(25):
            cur1 = self.fc1(x)
            spk1, mem1 = self.lif1(cur1, mem1)
            cur2 = self.fc2(spk1)
            spk2, mem2 = self.lif2(cur2, mem2)
            spk2_rec.append(spk2)
            mem2_rec.append(mem2)
        return torch.stack(spk2_rec), torch.stack(mem2_rec)


train_set, test_set = datasets.mnist(), datasets.mnist(train=False)
loss_fn = SF.ce_rate_loss()


def train(net, num_updates=30):
    """Return the loss of each update."""
    torch.manual_seed(1)  # the order of the digits
    optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
    losses = []
    for images, labels in islice(DataLoader(train_set, 128, shuffle=True), num_updates):
        spk_rec, _ = net(images.flatten(1))
        loss = loss_fn(spk_rec, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def accuracy(net):
    images, labels = test_set.tensors
    with torch.no_grad():
        return SF.accuracy_rate(net(images.flatten(1))[0], labels)


torch.manual_seed(0)
net = Net()
losses = train(net)
print("losses:", *(f"{loss:.6f}" for loss in losses[:3]), "...", f"{losses[-1]:.2f}")
print(f"accuracy: {accuracy(net):.1%}")

# %% [markdown]
# ## The line that makes it faster
#
# `snn.compile` runs the same loop layer by layer instead of step by step.

# %%
fast = snn.compile(net)

# %% [markdown]
# `fast` shares its parameters with `net`. Before you rely on it, compare outputs and gradients:

# %%
images, labels = train_set[:128]
images = images.flatten(1)


def outputs_and_gradients(net):
    spk_rec, mem_rec = net(images)
    loss = loss_fn(spk_rec, labels)
    return spk_rec, mem_rec, torch.autograd.grad(loss, list(net.parameters()))


plain_parts, fast_parts = outputs_and_gradients(net), outputs_and_gradients(fast)
torch.testing.assert_close(fast_parts, plain_parts)
print("Spikes, membranes and gradients agree.")

# %% [markdown]
# `assert_close` allows for rounding, because one product over all steps may round differently from
# one for each step. Training amplifies rounding, since Adam divides by the size of the gradient and
# a tiny change may move a spike. Two runs from the same weights therefore agree at first and then
# separate, with similar accuracies:

# %%
torch.manual_seed(0)
fast_net = Net()
fast_losses = train(snn.compile(fast_net))
differences = [abs(a - b) for a, b in zip(losses, fast_losses, strict=True)]
together = next((n for n, each in enumerate(differences) if each > 1e-5), len(differences))
print(f"The first {together} of {len(losses)} losses agree to 5 decimals.")
print(f"accuracy: {accuracy(net):.1%} plain, {accuracy(fast_net):.1%} compiled")

# %% [markdown]
# How much faster is it? On a shared computer a single time means little. Run both networks in turns
# and look at the ratio of each pair:


# %%
def update_time(net):
    start = time.perf_counter()
    spk_rec, _ = net(images)
    loss_fn(spk_rec, labels).backward()
    return time.perf_counter() - start


for _ in range(3):  # the first calls compile kernels
    update_time(net), update_time(fast)
ratios = [update_time(net) / update_time(fast) for _ in range(15)]
low, median, high = statistics.quantiles(ratios, n=4)
print(f"plain / compiled: {median:.1f} times the time (half of the pairs: {low:.1f} to {high:.1f})")

# %% [markdown]
# The [fast path](fast_path.ipynb) explains what happens, and which code stays slow.

# %% [markdown]
# ## What changes, and why
#
# A result changes only where 1.0.0 contradicted its documentation. The experiments below show four
# of these cases. 1.0.0 is not installed here, so the notebook works out each old number from the
# rule that 1.0.0 followed. The section *Results* says how these rules were checked.
#
# ### `reset_delay=False`
#
# This argument asks for a reset in the step of the spike. With input $X$ and threshold 1, the
# membrane should follow
#
# $$
# U = \beta\, U_{\rm old} + X, \qquad S = \Theta(U - 1), \qquad U_{\rm new} = U - S.
# $$
#
# 1.0.0 first subtracted a delayed reset $R = \Theta(U_{\rm old} - 1)$, and later gave it back:
#
# $$
# U = \beta\, U_{\rm old} + X - R, \qquad S = \Theta(U - 1), \qquad U_{\rm new} = U - (S - R).
# $$
#
# If one reset brings the membrane below the threshold, $R$ is zero and the rules agree. A stronger
# input shows the difference. Without a leak, an input of 2.5 should give two spikes and leave 0.5.
# The old rule, by hand: in the first step $U=2.5$, a spike, $U_{\rm new}=1.5$. In the second,
# $R=1$, $U=0.5$, no spike, and $U_{\rm new} = 0.5 - (0 - 1) = 1.5$ again. It stays there.


# %%
def leaky_by_the_old_rule(x, beta):
    """Return the spikes and membranes of 1.0.0 with reset_delay=False."""
    spikes, membranes, mem = [], [], torch.tensor(0.0)
    for each in x:
        delayed = (mem > 1).float()
        mem = beta * mem + each - delayed
        spk = (mem > 1).float()
        mem = mem - (spk - delayed)
        spikes.append(spk)
        membranes.append(mem)
    return torch.stack(spikes), torch.stack(membranes)


def leaky(x, beta):
    lif = snn.Leaky(beta=beta, reset_delay=False)
    spk, mem = snn.unroll(lif, x.view(-1, 1, 1))
    return spk.flatten(), mem.flatten()


x = torch.tensor([2.5, 0, 0, 0])
for name, rule in (("old", leaky_by_the_old_rule), ("new", leaky)):
    spk, mem = rule(x, beta=1.0)
    print(f"{name} spikes {spk.tolist()}, membrane {mem.tolist()}")

# %% [markdown]
# With a leak the neuron falls silent in the same way. Here a constant input makes it fire regularly
# until one strong input arrives at step 40.

# %%
x = torch.full((100,), 0.15)
x[40] = 2.5

fig, axes = plt.subplots(2, 1, figsize=(8, 4), sharex=True, sharey=True)
for ax, name, rule, color in (
    (axes[0], "old rule", leaky_by_the_old_rule, ORANGE),
    (axes[1], "new rule", leaky, BLUE),
):
    spk, mem = rule(x, beta=0.9)
    print(f"{name}: {spk[:41].sum():.0f} spikes up to step 40, {spk[41:].sum():.0f} after it")
    ax.plot(mem, color=color)
    ax.axhline(1, color=GREY, linestyle="--", linewidth=1)
    ax.vlines(spk.nonzero(), 2.4, 2.6, color="black")
    ax.set(ylabel="membrane", title=name, ylim=(-0.1, 2.7))
axes[1].set(xlabel="time step")
plt.show()

# %% [markdown]
# The bars above are spikes, the dashed line is the threshold. By the old rule the strong input
# makes the neuron fire twice. Then its membrane stays above the threshold, and it never fires
# again. By the new rule three spikes use up the strong input, and the neuron goes on as before. A
# network with `reset_delay=False` and strong inputs may therefore fire more than it did. With the
# default, `reset_delay=True`, nothing changes.

# %% [markdown]
# ### `SLSTM` with a hidden size other than its input size
#
# In 1.0.0 such a layer started from zero at every step, so it was not recurrent. The old membrane
# is that of an `nn.LSTMCell` that gets no state. Two sequences that differ in their first step
# only show what the layer remembers:

# %%
torch.manual_seed(0)
lstm = snn.SLSTM(input_size=2, hidden_size=3)
quiet = torch.rand(8, 1, 2)
marked = quiet.clone()
marked[0] += 5

with torch.no_grad():
    _, _, mem_quiet = snn.unroll(lstm, quiet)
    _, _, mem_marked = snn.unroll(lstm, marked)
    new = (mem_marked - mem_quiet).abs().amax(dim=(1, 2))
    old = torch.stack(
        [
            (lstm.lstm_cell(a)[0] - lstm.lstm_cell(b)[0]).abs().max()
            for a, b in zip(marked, quiet, strict=True)
        ]
    )
print("largest difference of the membranes at each step")
print("old:", *(f"{each:.3f}" for each in old.tolist()))
print("new:", *(f"{each:.3f}" for each in new.tolist()))

# %% [markdown]
# By the old rule the first step is forgotten at once. A layer trained with 1.0.0 has learned to do
# without a memory, so train it again.

# %% [markdown]
# ### `AssociativeLeaky` on long sequences
#
# This layer is a leaky sum, $U[t] = \alpha[t]\,U[t-1] + v[t]\,k[t]$. 1.0.0 computed it without a
# loop, from products of the decays $P[t] = \alpha[1] \cdots \alpha[t]$:
#
# $$U[t] = P[t] \sum_{s \le t} \frac{v[s]\,k[s]}{P[s] + 10^{-8}}.$$
#
# Without the small number this is the same sum. But $P$ shrinks, and when it reaches $10^{-8}$ the
# small number takes over. With $\alpha = 0.5$ that happens near step $8 / \log_{10} 2 \approx 27$.
# Take $v k = 0.6$, for which the leaky sum is $U[t] = 1.2\,(1 - 0.5^t)$. It is 0.9 at step 2 and
# 1.05 at step 3, so the neuron fires at every step from the third on.

# %%
num_steps = 50
layer = snn.AssociativeLeaky(
    in_dim=1, d_value=1, d_key=1, num_spiking_neurons=1, use_q_projection=False
)
with torch.no_grad():
    for parameter in layer.parameters():
        parameter.zero_()  # the decay is sigmoid(0) = 0.5
    layer.to_v.bias.fill_(0.6)
    layer.to_k.bias.fill_(1.0)
    new_spk = layer(torch.zeros(num_steps, 1, 1)).flatten()

t = torch.arange(1, num_steps + 1)
decays = 0.5**t
old_mem = decays * torch.cumsum(0.6 / (decays + 1e-8), 0)
new_mem = 1.2 * (1 - 0.5**t)
print(f"old: {(old_mem > 1).sum()} spikes, the last at step {t[old_mem > 1][-1]}")
print(f"new: {new_spk.sum():.0f} spikes, the last at step {t[new_spk > 0][-1]}")

plt.plot(t, new_mem, color=BLUE, label="leaky sum")
plt.plot(t, old_mem, color=ORANGE, label="formula of 1.0.0")
plt.axhline(1, color=GREY, linestyle="--", linewidth=1)
plt.gca().set(xlabel="time step", ylabel="membrane $U$", ylim=(0, 1.5))
plt.legend(frameon=False, loc="lower left")
plt.show()

# %% [markdown]
# The two curves agree for about twenty steps. Then the old formula decays to zero and the neuron
# falls silent, although its input goes on. Slower decays move the point of failure to later steps.

# %% [markdown]
# ### `mse_count_loss`
#
# The target is a share of the time steps, and 0.29 of 100 steps is 29 spikes. In binary the product
# is a little less than 29, and 1.0.0 cut off its fraction:

# %%
print("0.29 * 100 =", 0.29 * 100, "and int(0.29 * 100) =", int(0.29 * 100))

spk = torch.zeros(100, 1, 2)  # steps, batch, classes
spk[:29, 0, 0] = 1  # the right class fires 29 times, the other one never
old = ((29 - int(0.29 * 100)) ** 2 / 100 + 0) / 2  # the mean of two classes
new = SF.mse_count_loss(correct_rate=0.29)(spk, torch.tensor([0])).item()
print("old loss:", old)
print("new loss:", new)

# %% [markdown]
# Few rates are affected. Of all whole percentages these are:

# %%
for num_steps in (25, 50, 100, 200):
    affected = [p for p in range(101) if int(p / 100 * num_steps) != p * num_steps // 100]
    print(f"{num_steps:3} steps:", *([f"{p / 100:.2f}" for p in affected] or ["none"]))

# %% [markdown]
# ## Is your code affected?
#
# These names are worth looking for. They cover the table *Numbers that change* on the compatibility
# page of the documentation, and two resets that used to reach further than their names say. The
# other tables of that page are mostly about calls that raised an error and now work.

# %%
changes = {
    r"reset_delay\s*=\s*False": "resets in the step of the spike; no neuron gets stuck",
    r"\bSLSTM\(": "keeps its state if hidden_size differs from input_size",
    r"\bmse_count_loss\(": "aims at rate x steps, without a binary rounding error",
    r"\bmse_temporal_loss\(": "by default the right neuron fires first, the others last",
    r"\bmse_membrane_loss\(.*off_target\s*=\s*-": "an off_target below 0 is used",
    r"_loss\(.*(weight|reduction)\s*=": "weights follow the class, and 'sum' sums",
    r"\bce_\w+_loss\(": "on feature maps, probabilities sum to 1 over the classes",
    r"\b(SpikeTime|ce_temporal_loss)\(": "every value other than 0 is a spike",
    r"surrogate\.sigmoid\(": "its slope is finite far from the threshold, not NaN",
    r"\bAssociativeLeaky\(": "equals the leaky sum at any length",
    r"\b(State|Linear)Leaky\(": "graded spikes are scaled once; beta is clamped to [0, 1]",
    r"\bGradedSpikes\(": "has a factor for each feature, not for each sample",
    r"\bDeltaLeaky\(": "respects graded_spikes_factor, inhibition and state_quant",
    r"\btarget_rate_code\(": "rates are exact",
    r"\butils\.reset\(": "resets the neurons of this network only, not those of others",
    r"\.(reset|detach)_hidden\(": "called on one neuron, acts on this neuron only",
}


def look_for_changes(source):
    for number, line in enumerate(source.splitlines(), 1):
        for pattern, change in changes.items():
            if re.search(pattern, line):
                print(f"line {number}: {line.strip()}\n        {change}")


look_for_changes("""
lif1 = snn.Leaky(beta=0.9, reset_delay=False)
lif2 = snn.Leaky(beta=0.9)
lstm = snn.SLSTM(100, 50)
loss_fn = SF.mse_count_loss(correct_rate=0.8, incorrect_rate=0.2)
""")

# %% [markdown]
# For a file, call `look_for_changes(Path("train.py").read_text())`. It looks at one line at a time,
# so a call that goes over several lines needs your eyes. A hit is a place to check, not always a
# change: the loss above aims at the same counts as before.
#
# The rest shows itself when you run the program. Mistakes that used to pass silently are now errors
# or warnings that say what to do. Two examples:

# %%
lif = snn.Leaky(beta=0.9)
try:
    lif(torch.rand(16, 100), torch.rand(64, 10))  # 1.0.0 replaced this state by zeros
except ValueError as error:
    print("Error:", error)

lif = snn.Leaky(beta=0.9, init_hidden=True)
lif(torch.rand(64, 100))
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    lif(torch.rand(16, 100))  # a smaller batch, without a reset before it
print("Warning:", caught[0].message)

# %% [markdown]
# Run your tests once with `python -W error`, which turns every warning into an error with a
# traceback.

# %% [markdown]
# ## What you need not change
#
# - Names, arguments, defaults and the order of return values are the same.
# - Every model, loss, encoder and plot of 1.0.0 is there.
# - Spikes are strict (`mem > threshold`), and the default reset still comes one step after the
#   spike.
# - The names in a `state_dict` are the same, so files saved with 1.0.0 load:

# %%
print(*net.state_dict(), sep="\n")

# %% [markdown]
# - A subclass that overrides a part of a neuron's step still has its way. It runs step by step, as
#   in 1.0.0, instead of in a compiled kernel.
# - `except Exception` still catches all errors, which are now of type `ValueError` or `TypeError`.

# %% [markdown]
# ## New names worth knowing
#
# `snn.unroll` replaces the loop over time, for networks that take one step per call. `snn.explain`
# says what runs where, and `snn.summary` measures each layer.

# %%
sequential = nn.Sequential(
    nn.Linear(28 * 28, 100),
    snn.Leaky(beta=0.95, init_hidden=True),
    nn.Linear(100, 10),
    snn.Leaky(beta=0.95, init_hidden=True),
)
events = spikegen.rate(images, num_steps=25, generator=torch.Generator().manual_seed(0))
spk = snn.unroll(sequential, events)  # [25, 128, 10]
print(snn.explain(sequential, events), "\n")
print(snn.summary(sequential, events))

# %% [markdown]
# Every neuron has two new arguments, and `spike_grad` takes names. Ten more models are built in,
# among them `ALIF`, `BRF` and `Izhikevich`:

# %%
resting = snn.Leaky(beta=0.95, refractory=3)  # no spike for 3 steps after a spike
recurrent = snn.Leaky(beta=0.95, recurrent=nn.Linear(10, 10))  # spikes come back a step later
named = snn.Leaky(beta=0.95, spike_grad="fast_sigmoid")
adaptive = snn.ALIF(alpha=0.9, rho=0.95)

constant = torch.full((25, 1, 1), 0.8)
print(f"{snn.unroll(snn.Leaky(beta=0.95), constant)[0].sum():.0f} spikes without")
print(f"{snn.unroll(resting, constant)[0].sum():.0f} spikes with a refractory period")

# %% [markdown]
# `snn.Neuron` makes a neuron from one step that you write. `testing.check_neuron` checks it, with
# its gradients and its fast paths:


# %%
class Leaking(snn.Neuron):
    states = ("mem",)

    def __init__(self, beta, **options):
        super().__init__(**options)
        self.parameter("beta", beta)

    @staticmethod
    def step(x, mem, beta, threshold, spike, fired):
        mem = beta * mem + x - threshold * fired(mem - threshold)
        return spike(mem - threshold), mem


print(testing.check_neuron(lambda **options: Leaking(0.9, **options)))

# %% [markdown]
# Data that come with the library, for examples without a download:

# %%
print([len(data) for data in (datasets.mnist(), datasets.fashion_mnist(), datasets.ecg())])

# %% [markdown]
# ## Where to go next
#
# - [The fast path](fast_path.ipynb): more speed, and less memory.
# - [Your own neuron](own_neuron.ipynb): equations, reset, learnable parameters, NIR.
# - [Training spiking networks](tutorial_5_training.ipynb), if you are new to it.
#
# ## Results
#
# 1.0.0 ran in a separate environment, with the same PyTorch, on the 5,000 digits of the short mode.
# snnTorch's tutorials have no counterpart.
#
# | | short mode here, 5,000 digits | full mode here, 60,000 digits | snnTorch 1.0.0 |
# | --- | --- | --- | --- |
# | loss of the third update | 2.281440 | 2.256454 | 2.281440 |
# | accuracy after 30 updates, plain | 78.2% | 69.6% | 78.3% |
# | accuracy after 30 updates, compiled | 79.1% | 69.5% | not available |
# | time of an update, plain / compiled | 2.4 to 2.7 | 2.3 | not available |
# | `Leaky`, `reset_delay=False`: spikes up to step 40, after it | 4, 7 | 4, 7 | 4, 1 |
# | `AssociativeLeaky`: spikes in 50 steps | 48 | 48 | 22 |
# | `mse_count_loss`, rate 0.29, 29 of 100 spikes | 0 | 0 | 0.005 |
#
# The ratio of times varies on a busy computer: in short mode it is the range of three runs, in full
# mode one run.
#
# The old numbers in this tutorial are those of 1.0.0. Its `Leaky` follows the old rule exactly on
# 200 random inputs, and its `SLSTM` equals the `nn.LSTMCell` without a state. Its
# `AssociativeLeaky` follows the formula to a relative error of $10^{-6}$ for three decays, and its
# `mse_count_loss` misses the rates listed and no others. The network that it trained loads here,
# and gives the same spikes and membranes for 200 test digits, to the last bit.

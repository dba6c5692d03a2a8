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
# # The fast path
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/snntorch/snntorch/blob/main/examples/tutorials/fast_path.ipynb)
#
# At the end of this page you can make a spiking network run several times faster without changing
# its code or its results, see with `snn.explain` what is done with each operation, and find the
# line that keeps a network from being fast. It builds on [training spiking neural
# networks](tutorial_5_training.ipynb); running it takes about half a minute on a CPU.

# %% tags=["remove-output"]
# %pip install --quiet snntorch

# %%
import logging
import statistics
import subprocess
import sys
import time

import matplotlib.pyplot as plt
import torch
from torch import nn

import snntorch as snn
from snntorch import utils

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
# ## One line
#
# A network whose loop over time is in `forward` needs one more line, `snn.compile`:


# %%
class Net(nn.Module):
    def __init__(self, num_steps=25):
        super().__init__()
        self.num_steps = num_steps
        self.fc1, self.lif1 = nn.Linear(784, 500), snn.Leaky(beta=0.9)
        self.fc2, self.lif2 = nn.Linear(500, 10), snn.Leaky(beta=0.9)

    def forward(self, x):
        mem1, mem2 = self.lif1.init_leaky(), self.lif2.init_leaky()
        spikes, membranes = [], []
        for _ in range(self.num_steps):
            spk1, mem1 = self.lif1(self.fc1(x), mem1)
            spk2, mem2 = self.lif2(self.fc2(spk1), mem2)
            spikes.append(spk2)
            membranes.append(mem2)
        return torch.stack(spikes), torch.stack(membranes)


plain = Net()
fast = snn.compile(plain)

# %% [markdown]
# `fast` and `plain` are two views of one network, with the same parameters, buffers and mode. What
# did it bring? Times on a computer with other work to do vary, so run both in turns and compare
# each pair. The numbers on this page are ratios, measured when the page was built; yours will
# differ.


# %%
def seconds(function):
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def train_step(net, *inputs):
    def run():
        net.zero_grad()
        out = net(*inputs)
        sum(each.sum() for each in out).backward()

    return run


def compare(name, function, baseline, repeats=11):
    """Return the quartiles of the time of a function relative to that of another one."""
    for _ in range(3):  # kernels are compiled at their first use
        function(), baseline()
    ratios = [seconds(function) / seconds(baseline) for _ in range(repeats)]
    low, median, high = statistics.quantiles(ratios, n=4)
    print(f"{name}: {median:.2f} ({low:.2f} to {high:.2f})")
    return low, median, high


x = torch.rand(64, 784)
print("time of the compiled network / time of the plain one: median (quartiles)")
training = compare("forward and backward", train_step(fast, x), train_step(plain, x))
with torch.no_grad():
    inference = compare("forward alone       ", lambda: fast(x), lambda: plain(x))

# %% [markdown]
# ## Why it is faster
#
# The loop runs all layers at the first step, then all layers at the second. A compiled `forward`
# runs as you wrote it, but on *lazy* tensors, which only note what is done with them. At the end,
# or when a value is needed, the notes are sorted by place: the same operation at all steps. Then
# each operation runs over all steps at once.

# %%
fig, axes = plt.subplots(1, 2, figsize=(8, 2.4), sharey=True)
layers, steps = ["fc1", "lif1", "fc2", "lif2"], 6
loop = torch.arange(4 * steps).view(steps, 4).T + 1
by_layer = torch.tensor([[1], [2], [3], [4]]).expand(4, steps)
for ax, order, title in zip(
    axes, (loop, by_layer), ("plain: step by step", "compiled: layer by layer"), strict=True
):
    ax.imshow(order, cmap="Blues", vmin=-4, vmax=2 * order.max(), aspect="auto")
    for row in range(4):
        for column in range(steps):
            number = str(order[row, column].item())
            ax.text(column, row, number, ha="center", va="center", size=9)
    for edge in range(1, 4 if ax is axes[1] else 0):
        ax.axhline(edge - 0.5, color="white", linewidth=3)
    ax.set(title=title, xlabel="time step", yticks=range(4), yticklabels=layers)
plt.show()

# %% [markdown]
# The numbers give the order of the calls: 24 small ones on the left, 4 large ones on the right.
# Fewer calls have less overhead, and large products keep the processor busy.
# `snn.explain` shows what happens to each line:

# %%
print(snn.explain(fast, x))

# %% [markdown]
# The columns are the layer, the operation, the line that calls it, and how it runs. (The name of a
# notebook cell is a number; after the colon is the line in the cell.)
#
# | how | what happens |
# | --- | --- |
# | *hoist* | the input is the same at every step: it runs once |
# | *fold* | it has no state: it runs once, over all steps as one large batch |
# | *scan* | a neuron: it runs through its whole sequence, on the CPU in a compiled kernel |
# | *step* | it depends on the single step, such as batch normalization in training |
# | *cycle* | its output goes back into it by a way that is not the neuron's own: step by step |
# | *once* | it appears once, such as `stack` |
#
# The pixels do not change, so the first layer, the most expensive one, runs once instead of 25
# times: *hoist*. With another input at each step the gain is smaller, since the matrix
# products take most of the time and cannot be left out:


# %%
class Varying(Net):
    def forward(self, x):  # [T, B, 784]
        mem1, mem2 = self.lif1.init_leaky(), self.lif2.init_leaky()
        spikes, membranes = [], []
        for frame in x:
            spk1, mem1 = self.lif1(self.fc1(frame), mem1)
            spk2, mem2 = self.lif2(self.fc2(spk1), mem2)
            spikes.append(spk2)
            membranes.append(mem2)
        return torch.stack(spikes), torch.stack(membranes)


varying = Varying()
frames = torch.rand(25, 64, 784)
fast_varying = snn.compile(varying)
moving = compare("input that varies", train_step(fast_varying, frames), train_step(varying, frames))

# %% [markdown]
# ## What stays equal
#
# Outputs, gradients and the random numbers that are drawn. Sums over many steps may round
# differently in the last bit. Dropout is the test for random numbers: each step draws its own mask.
# Both networks below start from the same seed; then the next random number shows whether as many
# were drawn.


# %%
class Noisy(Net):
    def forward(self, x):
        mem1, mem2, spikes, membranes = self.lif1.init_leaky(), self.lif2.init_leaky(), [], []
        for _ in range(self.num_steps):
            spk1, mem1 = self.lif1(nn.functional.dropout(self.fc1(x), 0.2, self.training), mem1)
            spk2, mem2 = self.lif2(self.fc2(spk1), mem2)
            spikes.append(spk2)
            membranes.append(mem2)
        return torch.stack(spikes), torch.stack(membranes)


noisy = Noisy()
results = []
for net in noisy, snn.compile(noisy):
    torch.manual_seed(1)
    net.zero_grad()
    spikes, membranes = net(x)
    membranes.square().mean().backward()
    gradient = net.fc1.weight.grad.clone()
    results.append((spikes, membranes, gradient, torch.rand(1)))

names = "spikes", "membranes", "gradient of fc1", "next random number"
for name, a, b in zip(names, *results, strict=True):
    print(f"{name}:".ljust(20), f"largest difference {(a - b).abs().max().item():.0e}")

# %% [markdown]
# To be exact, dropout draws its masks while `forward` runs, in the order of the loop. If you do not
# need the very same numbers, let it draw the masks of all steps at once, which is faster:

# %%
at_once = snn.compile(noisy, exact_random=False)
exact = snn.compile(noisy)
dropout = compare("exact_random=False / exact", train_step(at_once, x), train_step(exact, x))

# %% [markdown]
# ## What costs speed
#
# ### Values read in the loop
#
# A lazy tensor has no value until it is worked out. `if`, `print`, `.item()`, `float()` and
# `numpy()` need one, so everything recorded up to there has to run. Once at the end does no harm.
# At each step, nothing is left to gain:


# %%
class Reading(Net):
    def forward(self, x):
        mem1, mem2, spikes, total = self.lif1.init_leaky(), self.lif2.init_leaky(), [], 0.0
        for _ in range(self.num_steps):
            spk1, mem1 = self.lif1(self.fc1(x), mem1)
            spk2, mem2 = self.lif2(self.fc2(spk1), mem2)
            spikes.append(spk2)
            total += spk1.sum().item() + spk2.sum().item()  # reads a value
        self.total = total
        return (torch.stack(spikes),)


class ReadingOnce(Net):
    def forward(self, x):
        mem1, mem2, spikes, total = self.lif1.init_leaky(), self.lif2.init_leaky(), [], 0.0
        for _ in range(self.num_steps):
            spk1, mem1 = self.lif1(self.fc1(x), mem1)
            spk2, mem2 = self.lif2(self.fc2(spk1), mem2)
            spikes.append(spk2)
            total = total + spk1.sum() + spk2.sum()  # stays a tensor
        self.total = total.item()
        return (torch.stack(spikes),)


reading, reading_once = Reading(), ReadingOnce()
fast_reading, fast_reading_once = snn.compile(reading), snn.compile(reading_once)
each_step = compare("value at each step", train_step(fast_reading, x), train_step(reading, x))
at_end = compare(
    "value at the end  ", train_step(fast_reading_once, x), train_step(reading_once, x)
)

# %% [markdown]
# `snn.explain` names the line. Below its table it says how often values were asked for, and by
# what; the plan has this as attributes too:

# %%
plan = snn.explain(fast_reading, x)
print(len(plan), "rows in the table")
print(*plan.flushes, sep="\n")

# %% [markdown]
# To avoid it, sum up tensors and call `.item()` after the loop, replace `if` by `torch.where`,
# and take statistics of what `forward` returns.
#
# ### States that your code changes
#
# A kernel runs a neuron through all its steps at once. If your code changes the membrane between
# two steps, the neuron is no longer alone in its loop, and its steps are run one by one. It makes
# no difference whether the change is made in place (`mem1.clamp_(min=-1)`) or not. In-place changes
# of other things, such as a tensor of results written by index, do not cost speed:


# %%
class Clamping(Net):
    def forward(self, x):
        mem1, mem2, spikes = self.lif1.init_leaky(), self.lif2.init_leaky(), []
        for _ in range(self.num_steps):
            spk1, mem1 = self.lif1(self.fc1(x), mem1)
            mem1.clamp_(min=-1)
            spk2, mem2 = self.lif2(self.fc2(spk1), mem2)
            spikes.append(spk2)
        return (torch.stack(spikes),)


class Writing(Net):
    def forward(self, x):
        mem1, mem2 = self.lif1.init_leaky(), self.lif2.init_leaky()
        spikes, counts = torch.empty(self.num_steps, len(x), 10), torch.zeros(len(x), 10)
        for step in range(self.num_steps):
            spk1, mem1 = self.lif1(self.fc1(x), mem1)
            spk2, mem2 = self.lif2(self.fc2(spk1), mem2)
            spikes[step] = spk2
            counts += spk2
        return spikes, counts


clamping, writing = Clamping(), Writing()
fast_clamping, fast_writing = snn.compile(clamping), snn.compile(writing)
changed = compare("membrane changed ", train_step(fast_clamping, x), train_step(clamping, x))
written = compare("results in place ", train_step(fast_writing, x), train_step(writing, x))
print()
print(snn.explain(fast_clamping, x))

# %% [markdown]
# The clamp and the first neurons are a *cycle* now, with the reason beside it; the rest still runs
# over all steps. To get a kernel for such a neuron, describe it as a `snn.Neuron`, with the clamp
# in the update of its state. Firing and reset are those of `snn.Leaky`:


# %%
class ClampedLeaky(snn.Neuron):
    states = ("mem",)

    def __init__(self, beta, **options):
        super().__init__(**options)
        self.parameter("beta", beta)

    @staticmethod
    def update(x, mem, beta):
        return beta * mem.clamp(min=-1) + x


class Described(Net):
    def __init__(self):
        super().__init__()
        self.lif1 = ClampedLeaky(beta=0.9)

    def forward(self, x):
        mem1, mem2, spikes = self.lif1.init_states(), self.lif2.init_leaky(), []
        for _ in range(self.num_steps):
            spk1, mem1 = self.lif1(self.fc1(x), mem1)
            spk2, mem2 = self.lif2(self.fc2(spk1), mem2)
            spikes.append(spk2)
        return (torch.stack(spikes),)


described = Described()
described.load_state_dict(clamping.state_dict())
fast_described = snn.compile(described)
print("the same spikes:", torch.equal(fast_described(x)[0], clamping(x)[0]))
own_neuron = compare("snn.Neuron", train_step(fast_described, x), train_step(described, x))
print(*str(snn.explain(fast_described, x)).splitlines()[:5], sep="\n")

# %% [markdown]
# All comparisons with a plain network so far, as a picture:

# %%
measured = {
    "as it is": training,
    "input varies": moving,
    "results in place": written,
    "value at the end": at_end,
    "membrane changed": changed,
    "the same as snn.Neuron": own_neuron,
    "value at each step": each_step,
}
fig, ax = plt.subplots(figsize=(7, 2.8))
for row, (low, median, high) in enumerate(reversed(measured.values())):
    ax.barh(row, median, color=BLUE if median < 0.9 else ORANGE)
    ax.plot([low, high], [row, row], color="black", linewidth=1)
ax.axvline(1, color=GREY, linestyle="--", linewidth=1)
ax.set_yticks(range(len(measured)), reversed(measured))
ax.set(xlabel="time compiled / plain, forward and backward", xlim=(0, None))
plt.show()

# %% [markdown]
# Bars are medians, lines reach from the lower to the upper quartile. At the dashed line, compiling
# brings nothing.
#
# ## When a compiled network runs plainly
#
# Recording has a price. A call that does not profit is not recorded again: after two such calls,
# calls of this kind (same shapes and mode) run as if the network had not been compiled. This
# happens when values are read at each step, with few steps, or if `forward` is a single step. The
# logger `snntorch` says so once, at level `INFO`:

# %%
logging.getLogger("snntorch").setLevel(logging.INFO)
logging.getLogger("snntorch").addHandler(logging.StreamHandler(sys.stdout))

short = snn.compile(Net(num_steps=1))
for _ in range(3):
    short(x)

# %% [markdown]
# Some tools want to see every operation when it happens: `torch.compile`, `torch.export`,
# `torch.func`, anomaly detection, hooks on saved tensors or on all modules. Inside them a compiled
# network runs plainly, without a message. Forward hooks of a single layer are respected: this layer
# runs step by step and calls its hooks in the right order.
#
# A second derivative needs a graph of the backward pass, which a kernel does not have. The error
# says what to do:

# %%
weight = plain.fc1.weight
spikes, membranes = fast(x)
try:
    (gradient,) = torch.autograd.grad(membranes.sum(), weight, create_graph=True)
    gradient.square().sum().backward()
except RuntimeError as error:
    print(error)

with snn.use_backend("reference"):
    spikes, membranes = fast(x)
    (gradient,) = torch.autograd.grad(membranes.square().sum(), weight, create_graph=True)
    gradient.square().sum().backward()
print("second derivative:", weight.grad.isfinite().all().item())

# %% [markdown]
# `"reference"` runs neurons by PyTorch's own operations, on every device. Everything else on this
# page still applies to it.
#
# ## Networks without a loop: `snn.unroll`
#
# An `nn.Sequential` takes one step at each call. `snn.unroll` is its loop: it resets the network,
# runs all steps, and stacks the outputs. It knows the layers before it runs, so it need not record
# anything.

# %%
net = nn.Sequential(
    nn.Conv2d(1, 8, 5),
    nn.MaxPool2d(2),
    snn.Leaky(beta=0.9, init_hidden=True),
    nn.Flatten(),
    nn.Linear(8 * 12 * 12, 10),
    snn.Leaky(beta=0.9, init_hidden=True),
)
images = torch.rand(16, 1, 28, 28)


def loop(net, images, num_steps):
    utils.reset(net)
    return torch.stack([net(images) for _ in range(num_steps)])


same = torch.equal(loop(net, images, 50), snn.unroll(net, images, num_steps=50))
print("same spikes as the loop:", same)
unrolled = compare(
    "unroll / loop",
    lambda: snn.unroll(net, images, num_steps=50).sum().backward(),
    lambda: loop(net, images, 50).sum().backward(),
)
print(snn.explain(net, images, num_steps=50))

# %% [markdown]
# Input that varies comes with time first, `snn.unroll(net, frames)`. Long sequences can be cut into
# pieces: with `reset=False` the neurons continue where they stopped, and `utils.detach` ends the
# gradient there (truncated backpropagation through time).

# %%
frames = torch.rand(100, 16, 1, 28, 28)
whole = snn.unroll(net, frames)
first = snn.unroll(net, frames[:50])
utils.detach(net)
second = snn.unroll(net, frames[50:], reset=False)
print("two halves give the same spikes:", torch.equal(whole, torch.cat([first, second])))

# %% [markdown]
# ## Loops elsewhere
#
# If the loop is in a function around the network, compile the function. If it is in the middle of
# other code, put it under `snn.lazy()`; after the block its tensors have their values.


# %%
@snn.compile
def forward_pass(net, images, num_steps):
    utils.reset(net)
    return torch.stack([net(images) for _ in range(num_steps)])


record = []
utils.reset(net)
with snn.lazy():
    for _ in range(50):
        record.append(net(images))

expected = loop(net, images, 50)
print("function:", torch.equal(forward_pass(net, images, 50), expected))
print("block:   ", torch.equal(torch.stack(record), expected))

# %% [markdown]
# ## Memory
#
# For the backward pass autograd keeps the intermediate tensors of every step: decayed membranes,
# resets, overdrives, spikes. A kernel keeps little more than the membranes of all steps and
# computes the rest again. To see the difference, a forward pass over 200 time steps runs in a
# separate process, once plainly and once compiled, which prints how much more memory it holds
# before the backward pass.

# %%
measure = """
import psutil, torch
from torch import nn
import snntorch as snn

def forward(frames):
    mem1, mem2, spikes = lif1.init_leaky(), lif2.init_leaky(), []
    for x in frames:
        spk1, mem1 = lif1(fc1(x), mem1)
        spk2, mem2 = lif2(fc2(spk1), mem2)
        spikes.append(spk2)
    return torch.stack(spikes)

torch.set_num_threads(1)
fc1, lif1, fc2, lif2 = nn.Linear(100, 500), snn.Leaky(0.9), nn.Linear(500, 10), snn.Leaky(0.9)
forward = COMPILE(forward)
frames = torch.rand(200, 128, 100)
forward(frames[:, :2]).sum().backward()  # libraries and kernels are loaded once

process = psutil.Process()
before = process.memory_info().rss
spikes = forward(frames)
print((process.memory_info().rss - before) / 2**20)
"""


def held_memory(name):
    command = [sys.executable, "-c", measure.replace("COMPILE", name)]
    return float(subprocess.run(command, capture_output=True, check=True).stdout)


plainly, compiled = held_memory(""), held_memory("snn.compile")
print(f"memory held for the backward pass, compiled / plain: {compiled / plainly:.2f}")

# %% [markdown]
# The memory still grows with the number of steps. For very long sequences cut them, as above.
#
# ## In short
#
# - A loop in `forward`: `net = snn.compile(net)`. An `nn.Sequential`: `snn.unroll(net, x)`.
# - Do not read values in the loop; leave states to the neurons.
# - Ask `snn.explain` when it is slower than expected: *hoist*, *fold* and *scan* are fast; *step*
#   and *cycle* come with a reason; values asked for come with a line.
# - Results are those of the loop up to rounding, so you can try it and take it back at any time.
#
# ## Results
#
# All ratios are printed above, as measured when this page was built: on a CPU with one thread.
# There is no full mode, and no page of snnTorch to compare with.

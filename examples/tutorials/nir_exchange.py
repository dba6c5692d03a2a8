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
# # NIR there and back
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/snntorch/snntorch/blob/main/examples/tutorials/nir_exchange.ipynb)
#
# The neuromorphic intermediate representation (NIR) is a file format for spiking networks that
# simulators and chips share (Pedersen et al. 2024). This tutorial trains a small network, writes it
# to a file, reads it back and finds the same spikes; it also runs the file without this library, to
# see what it means. Then come recurrent networks, your own layers, and layers that NIR cannot
# express. It assumes that you have trained a spiking network before, and takes about half an hour.

# %% tags=["remove-output"]
# %pip install --quiet snntorch

# %%
import os
import tempfile
import warnings

import matplotlib.pyplot as plt
import nir
import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

import snntorch as snn
from snntorch import datasets, spikegen, utils

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
# ## A network
#
# Two layers of leaky neurons read digits that are encoded as spikes: in each of 25 steps, a pixel
# fires with a probability that is its brightness.
#
# NIR's neurons are reset to a fixed potential in the step of their spike. Choose the same here,
# `reset_mechanism="zero"`, if the network will run elsewhere. For `Leaky` the delay of the reset
# makes no difference then.

# %%
torch.manual_seed(0)
num_steps = 25
net = nn.Sequential(
    nn.Flatten(),
    nn.Linear(784, 100),
    snn.Leaky(beta=0.9, reset_mechanism="zero", init_hidden=True),
    nn.Linear(100, 10),
    snn.Leaky(beta=0.9, reset_mechanism="zero", init_hidden=True),
)


def loop(net, x):
    """Run a network over time: x is [time, batch, ...]."""
    utils.reset(net)
    return torch.stack([net(x_t) for x_t in x])


# %% [markdown]
# `snn.unroll(net, x)` returns the same as this loop, and faster; the training below uses it. The
# digits that come with the library suffice. Set the environment variable `SNNTORCH_DATA` to a
# folder with the full set in `mnist/` to train on that.

# %%
train_set, test_set = datasets.mnist(), datasets.mnist(train=False)
num_epochs = 1 if len(train_set) > 10_000 else 2
optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
for _ in range(num_epochs):
    for images, labels in DataLoader(train_set, batch_size=100, shuffle=True):
        spikes = snn.unroll(net, spikegen.rate(images, num_steps))
        loss = F.cross_entropy(spikes.sum(0), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

images, labels = test_set.tensors
x = spikegen.rate(images, num_steps)  # [25, N, 1, 28, 28]
with torch.no_grad():
    spikes = snn.unroll(net, x)
    print("unroll equals the loop:", torch.equal(spikes, loop(net, x)))


def accuracy(spikes):
    return (spikes.sum(0).argmax(1) == labels).float().mean().item()


print(f"{accuracy(spikes):.1%} of the test digits")

# %% [markdown]
# ## Export
#
# `export_to_nir` takes the network and a sample of one time step, from which it learns the shapes.
# The result is a graph: nodes with parameters, and edges.

# %%
graph = snn.export_to_nir(net, x[0, :1])
for name, node in graph.nodes.items():
    shapes = {k: v.shape for k, v in vars(node).items() if isinstance(v, np.ndarray) and v.ndim}
    print(f"{name:6} {type(node).__name__:8}", shapes)
print("edges:", graph.edges)

# %%
snn.export.draw(graph)
plt.show()

# %% [markdown]
# The two `Leaky` layers became nodes of the type LIF. NIR describes them in continuous time, as a
# differential equation with a time constant and a resistance:
#
# $$\tau \frac{dv}{dt} = (v_{\rm leak} - v) + r\, I.$$
#
# A step of length $dt$ by forward Euler gives $v \leftarrow (1 - dt/\tau)\, v + (r\, dt/\tau)\, I$.
# So a decay $\beta$ is a time constant of $\tau = dt/(1-\beta)$, and $r = \tau/dt$ makes the input
# count in full. The default for $dt$ is 0.1 ms.

# %%
lif = graph.nodes["2"]
print(f"tau = {lif.tau[0] * 1000:.2f} ms, r = {lif.r[0]:.1f}, threshold = {lif.v_threshold[0]}")
print("decay of a step of 0.1 ms:", 1 - 1e-4 / lif.tau[0])

# %% [markdown]
# ## To a file and back
#
# The file holds the weights in double precision where needed, so that nothing is lost. What NIR has
# no words for, such as how a neuron resets or which parameters are learned, is in its metadata,
# which other programs ignore.

# %%
path = os.path.join(tempfile.mkdtemp(), "net.nir")
nir.write(path, graph)
print(f"{os.path.getsize(path) / 1024:.0f} kB")

same = snn.import_from_nir(path, init_hidden=True)
print(same)

# %%
with torch.no_grad():
    imported = snn.unroll(same, x)
print("same spikes:", torch.equal(imported, spikes))
print("same parameters:", all(map(torch.equal, net.parameters(), same.parameters())))
print(f"accuracy: {accuracy(imported):.1%}")

# %% [markdown]
# The imported network is an ordinary module of this library. It trains, and its gradients are the
# same too:

# %%
gradients = []
for each in (net, same):
    each.zero_grad()
    F.cross_entropy(snn.unroll(each, x[:, :100]).sum(0), labels[:100]).backward()
    gradients.append([p.grad for p in each.parameters()])
print("same gradients:", all(map(torch.equal, *gradients)))

# %% [markdown]
# Without `init_hidden=True` a network takes and returns its state, as in snnTorch 1.0.0. The state
# of each layer is found under its name:

# %%
explicit = snn.import_from_nir(path)
out, state = explicit(x[0])
for x_t in x[1:]:
    out, state = explicit(x_t, state)
print({name: tuple(mem.shape) for name, (mem,) in state.items()})
print("same spikes in the last step:", torch.equal(out, spikes[-1]))

# %% [markdown]
# ## What another program does with the file
#
# To see that the file is complete, here is a simulator that knows nothing about this library: 20
# lines of NumPy that follow the definitions of NIR. It visits the nodes along the chain and
# integrates each LIF by forward Euler.


# %%
def simulate(path, x, dt=1e-4):
    """Run a chain of nodes; x is [time, batch, ...]."""
    graph = nir.read(path)
    following = dict(graph.edges)
    chain, name = [], following["input"]
    while name != "output":
        chain.append(graph.nodes[name])
        name = following[name]
    voltage, out = {}, []
    for x_t in x:
        for i, node in enumerate(chain):
            if isinstance(node, nir.Flatten):
                x_t = x_t.reshape(len(x_t), -1)
            elif isinstance(node, nir.Affine):
                x_t = x_t @ node.weight.T + node.bias
            elif isinstance(node, nir.LIF):
                v = voltage.get(i, 0.0)
                v = v + dt / node.tau * (node.v_leak - v + node.r * x_t)
                x_t = (v > node.v_threshold).astype(v.dtype)
                voltage[i] = np.where(x_t > 0, node.v_reset, v)
            else:
                raise NotImplementedError(type(node).__name__)
        out.append(x_t)
    return np.stack(out)


elsewhere = simulate(path, x[:, :200].double().numpy())
differ = (elsewhere != spikes[:, :200].numpy()).sum()
print(f"{differ} of {elsewhere.size} values differ, {int(elsewhere.sum())} spikes")

# %% [markdown]
# The spikes of the other program, which computes in double precision, are those of the network
# here, up to rounding at the threshold.
#
# That is so because of the reset to zero. If a network subtracts the threshold instead, the file is
# still written, and comes back here unchanged. But a program that follows NIR will reset to zero,
# so export warns, and `snn.export.report` lists what is different elsewhere:

# %%
subtracting = nn.Sequential(nn.Linear(4, 3), snn.Leaky(beta=0.9, init_hidden=True))
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    foreign = snn.export_to_nir(subtracting, torch.zeros(1, 4))
print(caught[0].message)
print()
print(snn.export.report(foreign))

# %% [markdown]
# ## Recurrent networks
#
# A recurrent layer becomes two nodes, a neuron and a weight, with edges both ways. NIR has no time
# steps, so a cycle needs a convention: in this library the value comes back one step later. Other
# connections, such as skips, are simply more edges. Here is a network with both:


# %%
class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        neuron = {"reset_mechanism": "zero", "init_hidden": True}
        self.fc1 = nn.Linear(20, 16)
        self.lif1 = snn.Leaky(0.9, **neuron)
        self.mix = nn.Linear(16, 16)
        self.lif2 = snn.RSynaptic(0.8, 0.9, linear_features=16, reset_delay=False, **neuron)

    def forward(self, x):
        spk = self.lif1(self.fc1(x))
        return self.lif2(self.mix(spk) + spk)


torch.manual_seed(1)
recurrent = Recurrent()
noise = (torch.rand(100, 8, 20) < 0.4).float()
graph = snn.export_to_nir(recurrent, noise[0])
snn.export.draw(graph)
plt.show()

# %% [markdown]
# The dashed edge carries the value of the step before. `CubaLIF` is NIR's name of a leaky neuron
# behind a leaky synaptic current. The import finds the pattern and makes one `RSynaptic` of the two
# nodes again:

# %%
back = snn.import_from_nir(graph, init_hidden=True)
with torch.no_grad():
    before, after = loop(recurrent, noise), loop(back, noise)
print(snn.export.report(graph))
print("\nsame spikes:", torch.equal(before, after), f"({int(after.sum())} of them)")

# %% [markdown]
# ## What has no counterpart
#
# NIR has a small set of nodes. A layer or an operation that none of them expresses raises an error
# that names it. Nothing is dropped silently:

# %%
candidates = {
    "max pooling": nn.Sequential(nn.Conv2d(1, 2, 3), nn.MaxPool2d(2)),
    "alpha neuron": nn.Sequential(nn.Linear(4, 3), snn.Alpha(0.9, 0.8, init_hidden=True)),
    "adaptive neuron": nn.Sequential(nn.Linear(4, 3), snn.ALIF(0.9, 0.99, init_hidden=True)),
    "activation": nn.Sequential(nn.Linear(4, 3), nn.Sigmoid()),
    "dropout in training mode": nn.Sequential(nn.Linear(4, 3), nn.Dropout(0.5)),
}
for what, each in candidates.items():
    sample = torch.zeros(1, 1, 8, 8) if what == "max pooling" else torch.zeros(1, 4)
    try:
        snn.export_to_nir(each, sample)
    except (NotImplementedError, ValueError) as error:
        print(f"{what}: {type(error).__name__}: {error}\n")

# %% [markdown]
# What to do about it:
#
# - Max pooling of spikes: use `nn.AvgPool2d` before training.
# - Batch normalization after a linear layer or a convolution, and dropout: call `net.eval()`.
#   Normalization is then folded into the weights, and dropout vanishes.
# - Your own neuron or layer: say which node it is, as follows.
#
# ## Your own layers
#
# `module_map` gives export a function from your class to a node, and `node_map` gives import the
# way back. Here a gain for each neuron travels as a `Scale`:


# %%
class Gain(nn.Module):
    def __init__(self, gain):
        super().__init__()
        self.gain = nn.Parameter(gain)

    def forward(self, x):
        return self.gain * x


torch.manual_seed(2)
with_gain = nn.Sequential(
    nn.Linear(20, 16),
    Gain(0.5 + torch.rand(16)),
    snn.Leaky(0.9, reset_mechanism="zero", init_hidden=True),
)
graph = snn.export_to_nir(
    with_gain, noise[0], module_map={Gain: lambda layer: nir.Scale(layer.gain.detach().numpy())}
)
back = snn.import_from_nir(
    graph, node_map={nir.Scale: lambda node: Gain(torch.tensor(node.scale))}, init_hidden=True
)
print(back)
with torch.no_grad():
    print("same spikes:", torch.equal(snn.unroll(with_gain, noise), snn.unroll(back, noise)))

# %% [markdown]
# ## A file from elsewhere, and the time step
#
# A graph from another program holds time constants in seconds, and the reader chooses the step
# `dt`. Here is a graph made by hand: one neuron with a time constant of 5 ms, a resting potential
# of 0.2, and a reset below it. With a resting potential, import makes a `NIRLeaky`; its state `mem`
# counts from the reset potential.

# %%
one = np.ones(1)
by_hand = nir.NIRGraph(
    nodes={
        "input": nir.Input(np.array([1])),
        "lif": nir.LIF(
            tau=0.005 * one, r=2 * one, v_leak=0.2 * one, v_threshold=one, v_reset=-0.5 * one
        ),
        "output": nir.Output(np.array([1])),
    },
    edges=[("input", "lif"), ("lif", "output")],
)
print(snn.export.report(by_hand))

for dt, color in ((1e-4, BLUE), (1e-3, ORANGE)):
    each = snn.import_from_nir(by_hand, dt=dt)
    state, voltage = None, []
    for _ in range(round(0.03 / dt)):
        _, state = each(torch.full((1, 1), 0.6), state)
        (mem,) = state["lif"]
        voltage.append(mem.item() - 0.5)
    time = 1000 * dt * np.arange(1, len(voltage) + 1)
    plt.plot(time, voltage, ".-", color=color, markersize=4, label=f"dt = {1000 * dt:.1f} ms")
plt.axhline(1, color=GREY, linestyle="--", linewidth=1)
plt.xlabel("time [ms]")
plt.ylabel("voltage")
plt.legend(frameon=False, ncols=2, loc="lower right", bbox_to_anchor=(1, 1))
plt.show()

# %% [markdown]
# The curves and the intervals between spikes agree to about the size of the coarse step. A file
# that this library wrote holds its time step, and is not read with another one by mistake:

# %%
try:
    snn.import_from_nir(path, dt=1e-3)
except ValueError as error:
    print(error)

# %% [markdown]
# ## Results
#
# After two epochs on the 5,000 digits of short mode, or one on the 60,000 of full mode; seed 0.
# snnTorch's tutorials have no counterpart.
#
# | | short mode here | full mode here |
# | --- | --- | --- |
# | test accuracy before export | 90.6% | 95.0% |
# | test accuracy after import | 90.6% | 95.0% |
# | spikes that differ after import | 0 | 0 |
# | values that differ in the NumPy simulator | 0 of 50,000 | 0 of 50,000 |
#
# ## References
#
# - J. E. Pedersen et al., "Neuromorphic intermediate representation: a unified instruction set for
#   interoperable brain-inspired computing", Nature Communications 15 (2024) 8122.

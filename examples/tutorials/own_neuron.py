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
# # Your own neuron
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/snntorch/snntorch/blob/main/examples/tutorials/own_neuron.ipynb)
#
# You can add a neuron model to the library by writing its equations once, as a function of one time
# step. This tutorial takes a model from a recent paper from its equations to a trained network: the
# step, the reset, learnable parameters, a check of the result, and training at the speed of the
# built-in neurons. It needs some knowledge of leaky integrate-and-fire neurons and of training with
# surrogate gradients. Reading and running it takes about half an hour.

# %% tags=["remove-output"]
# %pip install --quiet snntorch

# %%
import math
import time

import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

import snntorch as snn
from snntorch import datasets, utils
from snntorch.testing import check_neuron

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
# ## The equations
#
# A leaky neuron forgets: with a decay rate $\beta=0.9$, less than 1% of an input is left after 44
# steps. The two-compartment neuron of Zhang et al. (2024) remembers longer. Its dendrite collects
# the input and charges the soma, and the soma pulls the dendrite back:
#
# $$
# \begin{aligned}
# D[t] &= D[t-1] + \beta_1 U[t-1] + X[t] - \gamma\, S[t-1], \qquad & \beta_1 &= -\sigma(c_1), \\
# U[t] &= U[t-1] + \beta_2 D[t] - U_{\rm thr}\, S[t-1], & \beta_2 &= \sigma(c_2), \\
# S[t] &= \Theta(U[t] - U_{\rm thr}).
# \end{aligned}
# $$
#
# $D$ is the dendrite and $U$ the soma, which fires where it is above the threshold $U_{\rm thr}$. A
# spike lowers both compartments in the next step. The sigmoid $\sigma$ of the learnable numbers
# $c_1$ and $c_2$ keeps the two couplings in the right range: $\beta_1$ between -1 and 0, $\beta_2$
# between 0 and 1.
#
# Neither compartment has a leak. Between spikes, a step multiplies the vector $(D, U)$ by the
# matrix
#
# $$
# \begin{pmatrix} 1 & \beta_1 \\ \beta_2 & 1 + \beta_1 \beta_2 \end{pmatrix}.
# $$
#
# Its determinant is 1 and its trace $2 + \beta_1 \beta_2$ lies between 1 and 2, so both eigenvalues
# lie on the unit circle. The neuron oscillates without growing or decaying, with a period of
# $2\pi / \arccos(1 + \beta_1\beta_2/2)$ steps.

# %%
beta1, beta2 = -0.5, 0.5  # both sigmoids at zero
step_matrix = torch.tensor([[1, beta1], [beta2, 1 + beta1 * beta2]])
print("Absolute eigenvalues:", torch.linalg.eigvals(step_matrix).abs().tolist())
print(f"Period: {2 * math.pi / math.acos(1 + beta1 * beta2 / 2):.1f} steps")

# %% [markdown]
# ## The step
#
# Your own neuron derives from `snn.Neuron` and has four parts:
#
# - `states` names the states, in the order in which a call takes and returns them. All start at
#   zero.
# - The constructor calls `self.parameter(name, value)` for each number in the equations. A
#   parameter moves with the neuron to another device and is saved with it; `learn=True` makes it
#   trainable. Everything that all neurons share, such as `threshold`, `spike_grad` and
#   `init_hidden`, passes through `**options`.
# - Properties compute values from the parameters. Gradients flow through them.
# - `step` is a static method. Its arguments are the input, the states, any parameters and
#   properties by name, and then what it needs of `threshold`, `spike` and `fired`. It returns the
#   spikes and the new states.


# %%
class TwoCompartment(snn.Neuron):
    """A soma that fires and a dendrite without leak (Zhang et al., AAAI 2024)."""

    states = ("dendrite", "soma")

    def __init__(self, c1=0.0, c2=0.0, gamma=0.5, learn=False, **options):
        super().__init__(**options)
        self.parameter("c1", c1, learn=learn)
        self.parameter("c2", c2, learn=learn)
        self.parameter("gamma", gamma)

    @property
    def beta1(self):
        return -torch.sigmoid(self.c1)

    @property
    def beta2(self):
        return torch.sigmoid(self.c2)

    @staticmethod
    def step(x, dendrite, soma, beta1, beta2, gamma, threshold, spike, fired):
        reset = fired(soma - threshold)
        dendrite = dendrite + beta1 * soma + x - gamma * reset
        soma = soma + beta2 * dendrite - threshold * reset
        return spike(soma - threshold), dendrite, soma


# %% [markdown]
# That is all of it. The neuron is called like any other, one time step per call:

# %%
neuron = TwoCompartment()
dendrite, soma = neuron.init_states()
for _ in range(3):
    spk, dendrite, soma = neuron(torch.full((1, 2), 0.4), dendrite, soma)
print(spk, dendrite, soma, sep="\n")

# %% [markdown]
# `snn.unroll` runs a neuron over a whole sequence `[time, batch, neurons]`. Here the new neuron and
# a leaky one get one brief input, too weak to make them fire, and then a constant one.

# %%
num_steps = 100
pulse = torch.zeros(num_steps, 1, 1)
pulse[5] = 0.4
constant = torch.full((num_steps, 1, 1), 0.35)

_, _, after_pulse = snn.unroll(TwoCompartment(), pulse)
_, leaky_after_pulse = snn.unroll(snn.Leaky(beta=0.9), pulse)
spk, dendrite, soma = snn.unroll(TwoCompartment(), constant)

fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3))
left.plot(after_pulse.flatten(), color=BLUE, label="two compartments")
left.plot(leaky_after_pulse.flatten(), color=GREY, label="leaky, $\\beta$ = 0.9")
left.set(xlabel="time step", ylabel="membrane", ylim=(-0.6, 1), title="One input at step 5")
left.legend(frameon=False, loc="upper right")
right.plot(dendrite.flatten(), color=ORANGE, label="dendrite")
right.plot(soma.flatten(), color=BLUE, label="soma")
right.axhline(1, color=GREY, linestyle="--", linewidth=1)
right.vlines(spk.flatten().nonzero(), 1.5, 1.65, color="black")
right.set(xlabel="time step", title="Constant input of 0.35", xlim=(0, 40), ylim=(-0.5, 2.2))
right.legend(frameon=False, ncols=2, loc="upper left")
plt.show()

# %% [markdown]
# On the left, the soma repeats the same oscillation for the whole sequence, while the leaky neuron
# forgets. On the right, the dendrite rises first and the soma follows. When the soma is above the
# threshold (dashed) the neuron fires, a bar above, and in the next step the spike pulls both
# compartments down.

# %% [markdown]
# ## The reset, and its gradient
#
# The step function gets two functions that compare with zero:
#
# - `spike(u)` returns 1 where `u` is positive, and 0 elsewhere. Its derivative is the surrogate
#   gradient of the neuron's `spike_grad`. The step calls it once.
# - `fired(u)` returns the same numbers without a gradient.
#
# The reset above uses `fired`, so training does not differentiate the reset. The delayed reset of
# the built-in neurons does the same; Zenke and Vogels (2021) found training to be more robust this
# way. A step that wants this gradient names the last spikes as its first state,
# `states = ("spk", "dendrite", "soma")`, and uses `spk` where `fired(...)` is used above. Compare
# the two:


# %%
class ResetWithGradient(TwoCompartment):
    states = ("spk", "dendrite", "soma")

    @staticmethod
    def step(x, spk, dendrite, soma, beta1, beta2, gamma, threshold, spike):
        dendrite = dendrite + beta1 * soma + x - gamma * spk
        soma = soma + beta2 * dendrite - threshold * spk
        return spike(soma - threshold), dendrite, soma


for kind in (TwoCompartment, ResetWithGradient):
    x = constant.clone().requires_grad_()
    spk, *_ = snn.unroll(kind(), x)
    (grad,) = torch.autograd.grad(spk.sum(), x)
    print(f"{kind.__name__:18} {spk.sum():.0f} spikes, d spikes / d x[0] = {grad[0].item():.2f}")

# %% [markdown]
# Both fire the same spikes. Only the gradient differs. If a model fires and resets exactly like
# `Leaky` and differs only in the dynamics of its states, write `update` instead of `step`: it
# returns the new states only, and `reset_mechanism` and `reset_delay` work as for `Leaky`.

# %% [markdown]
# ## Parameters
#
# Each parameter is a number for the whole layer or a tensor with a value for each neuron. With
# `learn=True` it is an `nn.Parameter`; otherwise it is a buffer. Both are in the `state_dict`.

# %%
layer = TwoCompartment(c1=torch.zeros(3), c2=torch.zeros(3), learn=True)
print("learned:", [name for name, _ in layer.named_parameters()])
print("saved:  ", list(layer.state_dict()))

spk, *_ = snn.unroll(layer, torch.rand(50, 4, 3))
spk.sum().backward()
print("gradient of c1:", layer.c1.grad)

# %% [markdown]
# ## The check
#
# Does the neuron do what every neuron promises? `check_neuron` answers this. It compares gradients
# with finite differences, every fast path with the plain loop over time, hidden states with
# explicit ones, single samples with batches, copies with originals, and more. One line in your
# tests is enough:

# %%
print(check_neuron(TwoCompartment))

# %% [markdown]
# A failed check says what is wrong and how to fix it. A common mistake is to change a state in
# place, which also changes the tensor that the caller holds:


# %%
class Careless(TwoCompartment):
    @staticmethod
    def step(x, dendrite, soma, beta1, beta2, gamma, threshold, spike, fired):
        reset = fired(soma - threshold)
        dendrite += beta1 * soma + x - gamma * reset
        soma = soma + beta2 * dendrite - threshold * reset
        return spike(soma - threshold), dendrite, soma


try:
    check_neuron(Careless)
except AssertionError as error:
    print(error)

# %% [markdown]
# ## In a network
#
# With `init_hidden=True` a neuron keeps its states and returns only spikes, which makes networks
# short. The task is to read handwritten digits row by row: at each of 28 time steps the network
# sees one row of 28 pixels, and it has to remember what it saw. Its output is the mean of the last
# layer over time.


# %%
class RowReader(nn.Module):
    """Reads an image from top to bottom, one row per time step."""

    def __init__(self, make_neuron, num_hidden=64):
        super().__init__()
        self.fc1, self.neuron1 = nn.Linear(28, num_hidden), make_neuron(num_hidden)
        self.fc2, self.neuron2 = nn.Linear(num_hidden, num_hidden), make_neuron(num_hidden)
        self.fc3 = nn.Linear(num_hidden, 10)

    def forward(self, images):  # [batch, 1, 28, 28]
        utils.reset(self)
        rows = images.squeeze(1).unbind(dim=1)
        out = []
        for row in rows:
            spk = self.neuron1(self.fc1(row))
            spk = self.neuron2(self.fc2(spk))
            out.append(self.fc3(spk))
        return torch.stack(out).mean(0)


def two_compartments(size):
    return TwoCompartment(torch.zeros(size), torch.zeros(size), learn=True, init_hidden=True)


def leaky(size):
    return snn.Leaky(torch.full((size,), 0.9), learn_beta=True, init_hidden=True)


# %% [markdown]
# `snn.compile` runs the loop in `forward` layer by layer instead of step by step. It derives a
# compiled kernel, and the kernel of its gradient, from your step function, as it does for the
# built-in neurons. `snn.explain` shows what runs where: the lines `neuron1` and `neuron2` say
# *scan* and *numba*, the same as for a network of `Leaky`.

# %%
torch.manual_seed(0)
images = torch.rand(128, 1, 28, 28)
net = snn.compile(RowReader(two_compartments))
print(snn.explain(net, images))

# %% [markdown]
# The results are those of the loop, but they arrive sooner:


# %%
def training_time(net, repeats=5):
    """Return the milliseconds of the fastest of some updates."""
    times = []
    for _ in range(repeats + 1):  # the first one compiles the kernels
        start = time.perf_counter()
        F.cross_entropy(net(images), torch.zeros(128).long()).backward()
        times.append(time.perf_counter() - start)
    return 1000 * min(times[1:])


plain = RowReader(two_compartments)
plain.load_state_dict(net.state_dict())
with torch.no_grad():
    print("Largest difference:", (net(images) - plain(images)).abs().max().item())
print(f"plain loop: {training_time(plain):6.1f} ms")
print(f"compiled:   {training_time(net):6.1f} ms")

# %% [markdown]
# ## Training
#
# The data set comes with the library: 5,000 digits for training and 1,000 for testing. Set the
# environment variable `SNNTORCH_DATA` to a folder that holds the four files of MNIST in `mnist/` to
# train on all 60,000.

# %%
train_set, test_set = datasets.mnist(), datasets.mnist(train=False)
num_epochs = 4
print(len(train_set), "digits for training,", len(test_set), "for testing")


def accuracy(net, data):
    with torch.no_grad():
        hits = sum((net(x).argmax(1) == y).sum().item() for x, y in DataLoader(data, 500))
    return hits / len(data)


def train(make_neuron):
    torch.manual_seed(0)
    net = snn.compile(RowReader(make_neuron))
    optimizer = torch.optim.Adam(net.parameters(), lr=2e-2)
    curve = [accuracy(net, test_set)]
    for _ in range(num_epochs):
        for batch in torch.randperm(len(train_set)).split(100):
            images, labels = train_set[batch]
            loss = F.cross_entropy(net(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        curve.append(accuracy(net, test_set))
    return net, curve


nets, curves = {}, {}
for make_neuron in (two_compartments, leaky):
    name = make_neuron.__name__
    nets[name], curves[name] = train(make_neuron)
    print(f"{name:16} {curves[name][-1]:.1%} of the test digits")

# %%
fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3), width_ratios=(1, 1.2))
for (name, curve), color in zip(curves.items(), (BLUE, GREY), strict=True):
    left.plot([100 * each for each in curve], "o-", color=color, label=name.replace("_", " "))
left.set(xlabel="epoch", ylabel="test accuracy [%]", ylim=(0, 100), xticks=range(num_epochs + 1))
left.legend(frameon=False, loc="lower right")
for name, color in (("neuron1", BLUE), ("neuron2", ORANGE)):
    layer = getattr(nets["two_compartments"], name)
    right.scatter(layer.beta1.detach(), layer.beta2.detach(), s=12, color=color, label=name)
right.plot(-0.5, 0.5, "+", color="black", markersize=12, label="before training")
right.set(xlabel=r"$\beta_1$, soma to dendrite", ylabel=r"$\beta_2$, dendrite to soma")
right.legend(frameon=False, fontsize="small")
plt.show()

# %% [markdown]
# On the left, the network with two compartments learns faster: an oscillator of 12 steps still
# knows what it saw in the first rows. On the right, each dot is a neuron after training. The
# couplings have spread out from their common start, so that different neurons now have different
# periods.
#
# The comparison is a demonstration, not a benchmark: both networks have the same size, initial
# weights and learning rate, which is the better of the two that we tried (0.005 and 0.02) for both.

# %% [markdown]
# ## What every neuron can do
#
# Recurrent connections, a refractory period, lateral inhibition and graded spikes are options of
# every neuron, so the new one has them too. They run in the same kernels:

# %%
recurrent = TwoCompartment(recurrent=nn.Linear(64, 64, bias=False), refractory=2)
print(snn.explain(recurrent, torch.rand(50, 8, 64)))

# %% [markdown]
# ## A neuron from two functions
#
# For a quick experiment, `snn.neuron_from_equations` makes a class from two functions: the update
# of the states and the reset. It needs no constructor, and its parameters are constants of the
# functions.
#
# An example with a known answer is the theta neuron of Ermentrout and Kopell (1986), a phase
# $\theta$ on a circle that fires when it passes $\pi$:
#
# $$\frac{d\theta}{dt} = (1 - \cos\theta) + (1 + \cos\theta)\, I.$$
#
# Below $I=0$ it rests. Above, it fires at the rate $\sqrt{I} / \pi$: the substitution
# $v = \tan(\theta/2)$ turns the equation into $dv/dt = v^2 + I$, which takes the time $\pi/\sqrt I$
# from $-\infty$ to $\infty$.

# %%
dt = 0.01


def update(states, current):
    theta = states["theta"]
    change = (1 - torch.cos(theta)) + (1 + torch.cos(theta)) * current
    return {"theta": theta + dt * change}


def reset(states, spk, threshold):
    return {"theta": states["theta"] - 2 * threshold * spk}


Theta = snn.neuron_from_equations("Theta", ("theta",), update, reset_fn=reset)

currents = torch.linspace(-0.5, 2, 60)
duration = 200  # units of time
x = currents.expand(1, -1)
spk, theta = snn.unroll(Theta(threshold=math.pi), x, num_steps=round(duration / dt))
rate = spk.sum(0).squeeze() / duration

fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3))
some = 45  # one of the currents
time_axis = dt * torch.arange(1500)
left.plot(time_axis, theta[:1500, 0, some], color=BLUE)
left.set(xlabel="time", ylabel=r"phase $\theta$", title=f"$I$ = {currents[some]:.2f}")
left.set_yticks([-math.pi, 0, math.pi], [r"$-\pi$", "0", r"$\pi$"])
right.plot(currents, currents.clamp(min=0).sqrt() / math.pi, color=GREY, label=r"$\sqrt{I}/\pi$")
right.plot(currents, rate, ".", color=BLUE, label="simulated")
right.set(xlabel="current $I$", ylabel="spikes per unit of time")
right.legend(frameon=False)
plt.show()

# %%
error = (rate - currents.clamp(min=0).sqrt() / math.pi).abs().max().item()
print(f"Largest difference from theory: {error:.4f} spikes per unit of time")
print(snn.explain(Theta(threshold=math.pi), x, num_steps=100))

# %% [markdown]
# The simulated rates follow the theory, and `explain` says that this neuron runs in a compiled
# kernel as well, 20,000 steps in a moment. The difference is of the size of the resolution, one
# spike in the whole duration, and of the error of the Euler steps.
#
# ## Where to go next
#
# - The reference page *Write your own neuron* lists which operations a kernel has, and shows how
# your   neuron travels through NIR.
# - [Adaptive and resonating neurons](adaptive_and_resonating.ipynb) shows built-in neurons that
#   were written in the same way.
# - [Reading a network](reading_a_network.ipynb) finds out what the neurons of a trained network do.
#
# ## Results
#
# Test accuracy after four epochs, seed 0. snnTorch's tutorials have no counterpart.
#
# | | short mode here, 5,000 digits | full mode here, 60,000 digits |
# | --- | --- | --- |
# | two compartments | 90.0% | 94.3% |
# | leaky | 77.0% | 92.3% |
#
# ## References
#
# - S. Zhang, Q. Yang, C. Ma, J. Wu, H. Li and K. C. Tan, "TC-LIF: a two-compartment spiking neuron
#   model for long-term sequential modelling", AAAI 38 (2024).
# - G. B. Ermentrout and N. Kopell, "Parabolic bursting in an excitable system coupled with a slow
#   oscillation", SIAM Journal on Applied Mathematics 46 (1986).
# - F. Zenke and T. P. Vogels, "The remarkable robustness of surrogate gradient learning for
#   instilling complex function in spiking neural networks", Neural Computation 33 (2021).

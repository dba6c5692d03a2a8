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
# # Tutorial 1: From data to spikes
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/snntorch/snntorch/blob/main/examples/tutorials/tutorial_1_spike_encoding.ipynb)
#
# A spiking neural network computes with spikes over time, but most data sets hold plain numbers.
# Here you turn images and signals into spike trains in three ways, plot them, and measure what each
# way costs and loses. You need PyTorch tensors and nothing else; reading and running takes about 30
# minutes. [Tutorial 2](tutorial_2_lif_neuron.ipynb) continues with the neuron that receives the
# spikes.

# %% tags=["remove-output"]
# %pip install --quiet snntorch

# %%
import matplotlib.pyplot as plt
import torch
from IPython.display import HTML
from torch.utils.data import DataLoader

import snntorch.spikeplot as splt
from snntorch import datasets, spikegen

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
# ## Why spikes?
#
# Nerve cells signal with *action potentials*, or spikes: short voltage pulses of about 100 mV that
# look nearly the same every time. The shape carries little information, so models keep only the
# time. At each time step, a neuron sends 1 (a spike) or 0 (no spike). Three properties make this
# attractive for hardware and algorithms:
#
# 1. **Spikes are single bits.** A weight times a spike is the weight or nothing. The sum of
#    weighted inputs needs additions, but no multiplications.
# 2. **Spikes are sparse.** Most neurons are silent most of the time. Hardware only has to fetch the
#    weights of those that fire.
# 3. **Events replace samples.** A sensor that reports changes sends nothing while nothing changes.
#    This is called *event-driven processing*, or *static suppression*.
#
# The first two are visible in a single matrix product. Here 10 of 100 inputs fire, and the product
# is the sum of their 10 columns:

# %%
weights = torch.randn(5, 100)
spikes = torch.zeros(100)
spikes[::10] = 1

product = weights @ spikes
columns = weights[:, spikes == 1].sum(1)
print("Same result:", torch.allclose(product, columns, atol=1e-5))
print(f"Weights read: {weights[:, spikes == 1].numel()} of {weights.numel()}")

# %% [markdown]
# ## The data
#
# The examples use handwritten digits. `datasets.mnist()` loads a part of MNIST that comes with
# snnTorch: 5,000 images to train on, 1,000 to test on. To use all 70,000, pass the folder with the
# four files of MNIST, `datasets.mnist(root=...)`, or set the environment variable `SNNTORCH_DATA`.
# A `DataLoader` then makes batches, as for any PyTorch data set. If you need fewer images, cut the
# set with `torch.utils.data.Subset`.

# %%
train_set = datasets.mnist(train=True)
loader = DataLoader(train_set, batch_size=128, shuffle=True)
images, labels = next(iter(loader))

print("Training images:", len(train_set))
print("One batch:", tuple(images.shape))
print(f"Gray values from {images.min():.0f} to {images.max():.0f}")

# %% [markdown]
# An image does not change over time, and a spiking network runs for many time steps. There are two
# ways to bring them together:
#
# - **Repeat the image.** The network gets the same gray values at every step, and its first layer
#   turns them into spikes. No encoder is needed; many networks for images work like this.
# - **Encode the image.** Each pixel becomes a spike train, a sequence of zeros and ones that
#   depends on its value. The rest of this tutorial is about this.
#
# The module `spikegen` contains three encoders. They differ in where they put the information:
#
# | Encoder | Code | The value of a pixel determines |
# |---|---|---|
# | `spikegen.rate` | rate | *how often* it fires |
# | `spikegen.latency` | latency | *when* it fires |
# | `spikegen.delta` | delta modulation | nothing; its *change* fires |
#
# All of them put time first: `[time, batch, channel, height, width]`.

# %% [markdown]
# ## Rate coding
#
# Take a value $x$ between 0 and 1 as the probability of a spike, and draw each time step $t$
# independently:
#
# $$P(S_t = 1) = x, \qquad P(S_t = 0) = 1 - x .$$
#
# This is a sequence of Bernoulli trials, the discrete version of a Poisson process. The mean of $n$
# steps estimates $x$, and the standard deviation of this estimate is $\sqrt{x (1 - x) / n}$: it
# takes four times as many steps to halve the error.

# %%
x = torch.tensor(0.5)
train = spikegen.rate(x, num_steps=10_000)

for n in (10, 100, 1_000, 10_000):
    share, deviation = train[:n].mean(), 0.5 / n**0.5
    print(f"{n:6} steps: fires in {share:.2%} of them, expected 50% ± {deviation:.2%}")

# %%
steps = torch.arange(1, len(train) + 1)
error = (x * (1 - x) / steps).sqrt()

fig, ax = plt.subplots()
band = {"color": GREY, "alpha": 0.3, "label": "two standard deviations"}
ax.fill_between(steps, x - 2 * error, x + 2 * error, **band)
ax.plot(steps, train.cumsum(0) / steps, color=BLUE, label="mean of the spikes so far")
ax.set(xscale="log", xlim=(1, len(train)), ylim=(0, 1))
ax.set(xlabel="time steps", ylabel="estimate of $x$")
ax.legend(frameon=False)
plt.show()

# %% [markdown]
# The blue line settles at 0.5, but slowly: after 100 steps it can still be off by 0.1.
#
# `spikegen.rate` does the same for a whole batch. Each pixel fires with its gray value as the
# probability: a white pixel at every step, a black one never. The argument `gain` scales the values
# first, so that white pixels fire less often. Values below 0 or above 1 are clamped, since a
# probability cannot lie there.

# %%
num_steps = 100
rate = spikegen.rate(images, num_steps=num_steps)
rate_quarter = spikegen.rate(images, num_steps=num_steps, gain=0.25)

print("Spikes:", tuple(rate.shape))
print(f"Share of ones: {rate.mean():.1%}; with a gain of 0.25: {rate_quarter.mean():.1%}")

# %% [markdown]
# A single time step says little about the digit. Averaging over time recovers it, with noise. With
# a gain of 0.25 everything is four times as dark, and noisier.

# %%
sample = 0
pictures = {
    "the image": images[sample, 0],
    "one step": rate[0, sample, 0],
    "mean of 10": rate[:10, sample, 0].mean(0),
    "mean of 100": rate[:, sample, 0].mean(0),
    "gain 0.25, one step": rate_quarter[0, sample, 0],
    "gain 0.25, mean of 100": rate_quarter[:, sample, 0].mean(0),
}
fig, axes = plt.subplots(1, 6, figsize=(8, 1.6))
for ax, (title, picture) in zip(axes, pictures.items(), strict=True):
    ax.imshow(picture, cmap="gray", vmin=0, vmax=1)
    ax.set_title(title, size="x-small")
    ax.axis("off")
plt.show()
print("The label of this image:", labels[sample].item())

# %% [markdown]
# ### Raster plots
#
# Neuroscientists draw spike trains as a *raster*: time runs to the right, each neuron has a row,
# and each spike is a dot. `spikeplot.raster` flattens the 28 x 28 pixels into 784 rows, with the
# first pixel at the bottom. Wherever a line of the image crosses the digit, a band appears.

# %%
fig, axes = plt.subplots(1, 2, figsize=(8, 3.5), sharey=True)
for ax, spikes, title in zip(axes, (rate, rate_quarter), ("gain 1", "gain 0.25"), strict=True):
    splt.raster(spikes[:, sample], ax, s=1.5, color="black", linewidths=0)
    ax.set(title=title, xlabel="time step", xlim=(0, num_steps))
axes[0].set_ylabel("pixel")
plt.show()

# %% [markdown]
# The same for three single pixels, with a stroke for each spike. The brightest one fires at every
# step, the others irregularly:

# %%
pixels = images[sample].flatten()
chosen = [(pixels - value).abs().argmin().item() for value in (1.0, 0.5, 0.2)]

fig, ax = plt.subplots(figsize=(8, 1.5))
splt.raster(rate[:, sample].flatten(1)[:, chosen], ax, s=100, color="black", marker="|")
ax.set(xlabel="time step", ylabel="gray value", ylim=(-0.5, 2.5), xlim=(-1, num_steps))
ax.set_yticks(range(3), [f"{pixels[i]:.2f}" for i in chosen])
plt.show()

# %% [markdown]
# ### Is this what the brain does?
#
# In part. Sensory and motor neurons do signal intensity by their firing rate, as Adrian and
# Zotterman found in 1926. As a general code it has two weaknesses:
#
# - **It is slow.** Show people new pictures, with and without an animal: after 150 ms, their brain
#   signals differ between the two (Thorpe, Fize and Marlot, 1996). Many stages of neurons work in
#   this time. Each has perhaps 10 ms, in which a neuron sends one spike or none: too few to
#   average.
# - **It is expensive.** Each spike costs energy. A code that needs 100 spikes for a number costs a
#   hundred times as much as one that needs a single spike.
#
# Rates leave much unexplained: Olshausen and Field (2006) estimate that standard models account for
# about 15% of what the primary visual cortex does.
#
# Its strength is robustness. If a few spikes are lost or late, the mean hardly changes. Frequent
# spikes also give a learning rule much to work with. That is why a rate code is a common first
# choice.

# %% [markdown]
# ## Latency coding
#
# A latency code uses one spike per pixel. The bright pixels fire early, the dark ones late; the
# time of the spike is the value.
#
# ### Where the times come from
#
# Imagine that each pixel drives a current into a capacitor with a leak, an RC circuit with time
# constant $\tau$. (Tutorial 2 shows that this is a model of a nerve cell.) For the gray value $x$
# as the current, in suitable units, the voltage obeys
#
# $$\tau \frac{dV}{dt} = -V + x, \qquad V(0) = 0
# \quad\Longrightarrow\quad V(t) = x \left(1 - e^{-t / \tau}\right) .$$
#
# The pixel fires when $V$ reaches a threshold $\theta$. Solve $V(t) = \theta$ for the time:
#
# $$t = \tau \ln \frac{x}{x - \theta} .$$
#
# A stronger current reaches the threshold sooner. The voltage never exceeds $x$, so a value
# $x \le \theta$ never reaches it, and the time grows without limit as $x$ approaches $\theta$.

# %%
tau, theta = 5.0, 0.2
t = torch.linspace(0, 20, 400)
values = torch.linspace(theta + 0.001, 1, 400)

fig, (left, right) = plt.subplots(1, 2)
for x, color in ((0.8, BLUE), (0.4, ORANGE), (0.25, GREEN)):
    fires = tau * torch.log(torch.tensor(x / (x - theta)))
    left.plot(t, x * (1 - torch.exp(-t / tau)), color=color)
    left.plot(fires, theta, "o", color=color)
    left.text(20.3, x * 0.97, f"$x$ = {x}", color=color, va="center")
    right.plot(x, fires, "o", color=color)
left.axhline(theta, color="black", linestyle="--", linewidth=1)
left.set(xlabel="time (steps)", ylabel="voltage", xlim=(0, 24))
left.text(24, theta - 0.07, r"threshold $\theta$", ha="right")
right.plot(values, tau * torch.log(values / (values - theta)), color="black", zorder=0)
right.axvline(theta, color=GREY, linestyle=":")
right.set(xlabel="value $x$", ylabel="spike time (steps)", xlim=(0, 1), ylim=(0, 20))
plt.show()

# %% [markdown]
# Left: three currents charge three capacitors; the dots mark where they cross the threshold. Right:
# the spike time as a function of the value. It rises steeply near the threshold (dotted).
#
# ### With the library
#
# `spikegen.latency` computes these times, rounds them to time steps, and returns the spikes. Its
# default threshold is 0.01.

# %%
latency = spikegen.latency(images, num_steps=num_steps, tau=5, threshold=0.01)

first = latency[:, sample].flatten(1)
times = first.argmax(0)
print("Spikes per pixel:", first.sum(0).unique().tolist())
print("Steps at which spikes occur:", times.unique().tolist())

# %% [markdown]
# Almost all spikes fall into the first few steps or into a single late one. The reason is the
# logarithm: with a threshold of 0.01, a gray value of 0.1 already fires at step 1. Pixels below the
# threshold would never fire; the encoder treats them as if they were above it by a tiny $\epsilon$
# (`1e-7` by default), and so they all fire together at
# $\tau \ln \frac{\theta + \epsilon}{\epsilon}$, which is step 58 here.
#
# Three arguments spread the spikes better:
#
# - `linear=True` replaces the logarithm by a straight line, $t = \tau \, (1 - x)$. It does not
#   follow from a circuit, but treats all gray values alike.
# - `normalize=True` chooses $\tau$ so that the spikes fill all `num_steps`.
# - `clip=True` silences pixels below the threshold: the dark background, which says nothing.

# %%
settings = {
    "logarithmic": {},
    "linear": {"linear": True},
    "linear, normalized": {"linear": True, "normalize": True},
    "linear, normalized, clipped": {"linear": True, "normalize": True, "clip": True},
}
codes = {
    name: spikegen.latency(images, num_steps=num_steps, tau=5, threshold=0.01, **options)
    for name, options in settings.items()
}
fig, axes = plt.subplots(2, 2, figsize=(8, 5), sharex=True, sharey=True)
for ax, (name, spikes) in zip(axes.flat, codes.items(), strict=True):
    splt.raster(spikes[:, sample], ax, s=4, color="black", linewidths=0)
    count = int(spikes[:, sample].sum())
    ax.set_title(f"{name}: {count} spikes", size="medium")
    ax.set(xlim=(-2, num_steps + 1), ylim=(-10, 794))
for ax in axes[:, 0]:
    ax.set_ylabel("pixel")
for ax in axes[1]:
    ax.set_xlabel("time step")
plt.show()

# %% [markdown]
# Compare the panels. Linear times without normalization use only the first $\tau = 5$ steps. With
# normalization, the brightest pixels fire in the first steps, and the background forms a line at
# the end. Clipping removes it; what remains are the pixels of the digit, with one spike each.
#
# A larger `tau` also spreads the spikes, as long as they fit into `num_steps`. If they do not, the
# encoder raises an error that says what to change.

# %% [markdown]
# ## Rate and latency side by side
#
# The animation shows the same digit as a rate code (left), as a rate code with a gain of 0.25
# (middle), and as a clipped latency code (right). On the left the digit flickers throughout. On the
# right its bright core appears in the first two steps, and only gray pixels of the edge follow, one
# by one.

# %%
clipped = codes["linear, normalized, clipped"]
film = torch.cat([code[:50, sample, 0] for code in (rate, rate_quarter, clipped)], dim=-1)

fig, ax = plt.subplots(figsize=(6, 2), dpi=60)
animation = splt.animator(film, fig, ax, interval=80, cmap="gray")
plt.close(fig)
HTML(animation.to_jshtml())

# %% [markdown]
# Which of them keeps more of the image, and which copes better with noise? Decode both: the rate
# code by its mean, the linear latency code by $x = 1 - t / (T - 1)$, where $t$ is the time of the
# spike and $T$ the number of steps. A pixel that never fires counts as black. Then disturb the
# spikes in two ways: delete every fifth one at random, or shift each by up to 10 steps.


# %%
def decode_rate(spikes):
    return spikes.mean(0)


def decode_latency(spikes):
    value = 1 - spikes.argmax(0) / (len(spikes) - 1)
    return torch.where(spikes.any(0), value, 0)


def delete(spikes, share):
    return spikes * (torch.rand_like(spikes) >= share)


def shift(spikes, steps):
    """Move each spike by up to `steps` steps; spikes that meet add up."""
    time, *pixel = spikes.nonzero(as_tuple=True)
    time = (time + torch.randint(-steps, steps + 1, time.shape)).clamp(0, len(spikes) - 1)
    ones = torch.ones(len(time))
    return torch.zeros_like(spikes).index_put((time, *pixel), ones, accumulate=True)


def rms(decoded):
    return (decoded - images).square().mean().sqrt().item()


rows = {
    "rate": (rate, decode_rate),
    "latency": (clipped, decode_latency),
}
print(f"{'':8} {'spikes per image':>17} {'error':>7} {'20% deleted':>12} {'shifted':>8}")
for name, (spikes, decode) in rows.items():
    count = spikes.sum().item() / len(images)
    errors = [rms(decode(s)) for s in (spikes, delete(spikes, 0.2), shift(spikes, 10))]
    print(f"{name:8} {count:17.0f} {errors[0]:7.3f} {errors[1]:12.3f} {errors[2]:8.3f}")

# %% [markdown]
# The latency code keeps the image almost exactly, with one spike for about 70 of the rate code. But
# a pixel has only that one spike: if it is lost, so is the pixel, and if it comes late, the pixel
# is darker. The rate code loses less, as each pixel has many spikes. A shift does not change it at
# all, since a mean over time does not depend on the order.
#
# This is the basic trade-off: **few exact spikes, or many robust ones**.

# %% [markdown]
# ## Delta modulation
#
# Retinas adapt: their cells respond to change, and much less to a constant picture. Event cameras,
# such as the dynamic vision sensor of Lichtsteiner, Posch and Delbruck (2008), copy this. Each of
# their pixels works by itself, and sends an event when its brightness has changed enough.
#
# `spikegen.delta` does this for any signal that varies over time. A step fires if the value has
# risen by at least the threshold $\theta$ since the step before. With `off_spike=True`, a fall by
# at least $\theta$ fires a spike of -1:
#
# $$S_t = \begin{cases}
# 1 & x_t - x_{t-1} \ge \theta \\
# -1 & x_t - x_{t-1} \le -\theta \quad \text{(off-spike)} \\
# 0 & \text{otherwise}
# \end{cases}$$

# %%
signal = torch.tensor([0.0, 1, 1, 5, 9, 9, 3, -4, -4, 2, 2, 2])
on = spikegen.delta(signal, threshold=4)
both = spikegen.delta(signal, threshold=4, off_spike=True)
print("Changes:        ", signal.diff(prepend=torch.zeros(1)).int().tolist())
print("On-spikes:      ", on.int().tolist())
print("With off-spikes:", both.int().tolist())

# %%
fig, (top, bottom) = plt.subplots(2, 1, figsize=(8, 3), sharex=True, height_ratios=(3, 1))
top.step(range(len(signal)), signal, where="post", color=GREY)
top.plot(signal, "o", color="black", markersize=4)
top.set_ylabel("signal")
for sign, color, name in ((1, BLUE, "on"), (-1, ORANGE, "off")):
    steps = (both == sign).nonzero().flatten()
    bottom.vlines(steps, 0, sign, color=color, linewidth=3, label=name)
bottom.axhline(0, color="black", linewidth=0.8)
bottom.set(xlabel="time step", yticks=(-1, 0, 1), ylabel="spike", ylim=(-1.3, 1.3))
bottom.legend(frameon=False, loc="upper left", ncols=2)
plt.show()

# %% [markdown]
# The rises of 4 and 6 fire, since a change equal to the threshold is enough. The rise of 1 does
# not, and the constant stretches are silent. A raster alone would hide the sign of a spike:
# `raster` draws a dot for every value other than 0.
#
# Two details matter in practice:
#
# - The first step has no predecessor and is compared with 0, so a signal that starts high fires at
#   once. `padding=True` compares it with itself instead, and then it never fires.
# - Each step is compared with the step before, not with the last one that fired. A signal that
#   drifts slowly stays below the threshold forever, however far it goes.

# %%
high = signal + 10
print("Starts at 10:           ", spikegen.delta(high, threshold=4).int().tolist())
print("Starts at 10, padding:  ", spikegen.delta(high, threshold=4, padding=True).int().tolist())

drift = torch.linspace(0, 100, 1_000)
for every in (1, 50):
    count = int(spikegen.delta(drift[::every], threshold=4).sum())
    print(f"Drift from 0 to 100, {1_000 // every:4} steps: {count} spikes")

# %% [markdown]
# ### A moving digit
#
# To see static suppression at work, let the digit move to the right by one pixel per step, rest for
# ten steps, and move back.

# %%
position = torch.cat([torch.arange(-5, 6), torch.full((9,), 5), torch.arange(5, -6, -1)])
video = torch.stack([images[sample, 0].roll(int(p), dims=1) for p in position])
events = spikegen.delta(video, threshold=0.3, padding=True, off_spike=True)

shown = (3, 9, 15, 25)
fig, axes = plt.subplots(2, len(shown), figsize=(8, 3.6))
for (top, bottom), step in zip(axes.T, shown, strict=True):
    top.imshow(video[step], cmap="gray")
    top.set_title(f"step {step}", size="medium")
    bottom.imshow(torch.ones(28, 28), cmap="gray", vmin=0, vmax=1)
    for sign, color in ((1, BLUE), (-1, ORANGE)):
        rows, columns = (events[step] == sign).nonzero(as_tuple=True)
        bottom.scatter(columns, rows, s=6, color=color, marker="s")
    for ax in (top, bottom):
        ax.set(xticks=[], yticks=[])
axes[0, 0].set_ylabel("video")
axes[1, 0].set_ylabel("events")
plt.show()

# %% [markdown]
# Blue pixels have become brighter, orange ones darker: the front edge and the rear edge of the
# stroke. They trade places when the digit moves back (step 25). At step 15 the digit rests, and
# nothing is sent:

# %%
fig, ax = plt.subplots(figsize=(8, 2))
splt.activity(events, ax=ax)
ax.set(ylabel="share of pixels\nthat fire", xlim=(0, len(events) - 1))
plt.show()
count = (events != 0).flatten(1).sum(1)[1:]  # at each step but the first
moves = position.diff() != 0
print(f"Pixels that fire per step while it moves: {count[moves].float().mean():.0f}")
print(f"Pixels that fire per step while it rests: {count[~moves].float().mean():.0f}")
print(f"Nonzero pixels per step of the video: {(video != 0).sum() / len(video):.0f}")

# %% [markdown]
# ## Random spike trains
#
# To test a neuron or a network you need no data, only spikes. `spikegen.rate_conv` draws one spike
# or none for each probability in a tensor that already has a time axis. Below, 100 neurons fire
# with probabilities from 0 to 0.5. A `generator` makes the draw repeatable without touching the
# global seed.

# %%
probability = torch.linspace(0, 0.5, 100).expand(num_steps, 100)
random_spikes = spikegen.rate_conv(probability, generator=torch.Generator().manual_seed(0))

fig, ax = plt.subplots()
splt.raster(random_spikes, ax, s=6, color="black", linewidths=0)
ax.set(xlabel="time step", ylabel="neuron", xlim=(-1, num_steps), ylim=(-1, 100))
plt.show()
print(f"Share of ones: {random_spikes.mean():.3f}, expected 0.25")

# %% [markdown]
# How irregular are such trains? The intervals between spikes tell. With a constant probability $p$
# they follow a geometric distribution with mean $1 / p$ and a coefficient of variation (standard
# deviation over mean) of $\sqrt{1 - p}$. For $p = 0.1$ these are 10 steps and 0.95:

# %%
constant = spikegen.rate_conv(torch.full((1_000, 100), 0.1))

fig, ax = plt.subplots()
splt.isi_histogram(constant, ax=ax)
plt.show()

# %% [markdown]
# Short intervals are the most frequent. A regular train, such as that of a neuron with a constant
# current, would have a single interval and a coefficient of 0.
#
# ## Targets
#
# Networks also need targets: which output neuron should fire, how often, or when? The losses of
# snnTorch take class labels directly, so you rarely have to encode them. If you write your own
# loss, `spikegen.targets_rate` and `spikegen.targets_latency` turn labels into target spike trains.
# Here, with three classes, the neuron of the right class fires at every second step and the others
# never:

# %%
target = spikegen.targets_rate(
    torch.tensor([2]), num_classes=3, num_steps=8, correct_rate=0.5, incorrect_rate=0
)
print(target[:, 0].T.int())

# %% [markdown]
# ## Which code to choose
#
# | | Rate | Latency | Delta |
# |---|---|---|---|
# | Spikes per value | many | one | none without change |
# | Time steps | many: the error falls as $n^{-1/2}$ | one per gray level | those of the signal |
# | Lost or late spikes | hardly matter | change the value | lose a change |
# | Good for | images, robust training | few spikes, exact times | sound, video, sensors |
#
# Repeating the image, so that the first layer learns the code, is a common choice for static
# images. The encoders also take data that already vary over time: `spikegen.rate(data,
# time_var_input=True)`.
#
# ## Results
#
# | | Here | snnTorch's page |
# |---|---|---|
# | Share of spikes for $x = 0.5$, 10 steps (random) | 70% | 60% |
# | Share of spikes for $x = 0.5$, 100 steps (random) | 56% | 48% |
# | Shape of an encoded batch | `[100, 128, 1, 28, 28]` | `[100, 128, 1, 28, 28]` |
# | Images used | 5,000, bundled | 6,000, a tenth of MNIST |
#
# [Tutorial 2](tutorial_2_lif_neuron.ipynb) builds the neuron that receives these spikes.
#
# ## References
#
# - E. D. Adrian, Y. Zotterman, "The impulses produced by sensory nerve-endings: Part II", *Journal
#   of Physiology* 61 (1926) 151–171.
# - S. Thorpe, D. Fize, C. Marlot, "Speed of processing in the human visual system", *Nature* 381
#   (1996) 520–522.
# - B. A. Olshausen, D. J. Field, "What is the other 85 percent of V1 doing?", in *23 Problems in
#   Systems Neuroscience*, Oxford University Press (2006) 182–211.
# - P. Lichtsteiner, C. Posch, T. Delbruck, "A 128 × 128 120 dB 15 μs latency asynchronous temporal
#   contrast vision sensor", *IEEE Journal of Solid-State Circuits* 43 (2008) 566–576.
# - J. K. Eshraghian et al., "Training spiking neural networks using lessons from deep learning",
#   *Proceedings of the IEEE* 111 (2023) 1016–1054.

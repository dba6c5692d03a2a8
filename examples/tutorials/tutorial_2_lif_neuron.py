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
# # Tutorial 2: The leaky integrate-and-fire neuron
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/snntorch/snntorch/blob/main/examples/tutorials/tutorial_2_lif_neuron.ipynb)
#
# This tutorial starts from a cell membrane and ends with `snn.Lapicque`, a neuron that leaks,
# integrates and fires. You derive its equation, write its time step by hand, and check that the
# library computes the same. It uses the spike trains of [Tutorial
# 1](tutorial_1_spike_encoding.ipynb); reading and running takes about 45 minutes.

# %% tags=["remove-output"]
# %pip install --quiet snntorch

# %%
import math

import matplotlib.pyplot as plt
import torch

import snntorch as snn
import snntorch.spikeplot as splt
from snntorch import spikegen

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
# ## How much detail does a neuron need?
#
# Models of a neuron lie between two extremes:
#
# - **Biophysical models** describe the ion channels of the membrane. The model of Hodgkin and
#   Huxley (1952) has four coupled nonlinear differential equations and reproduces the shape of a
#   spike. It is expensive to simulate, and hard to train.
# - **Artificial neurons** take a weighted sum and apply a function such as a ReLU. They are cheap
#   and easy to train, and know nothing about time.
# - The **leaky integrate-and-fire** (LIF) neuron lies between them. It also takes a weighted sum,
#   but adds it up over time, with a leak, and sends a spike when the sum exceeds a threshold. The
#   shape of the spike is left out; only its time counts.
#
# The figure shows all three. The first two receive a step of current after 5 ms. You can skip its
# code; nothing below builds on it.

# %% tags=["hide-input"]
dt = 0.01  # ms
V, n, m, h = -65.0, 0.318, 0.053, 0.596  # at rest
hodgkin_huxley = []
for step in range(5000):
    current = 10 if step * dt > 5 else 0  # uA / cm^2
    a_n, b_n = 0.01 * (V + 55) / (1 - math.exp(-(V + 55) / 10)), 0.125 * math.exp(-(V + 65) / 80)
    a_m, b_m = 0.1 * (V + 40) / (1 - math.exp(-(V + 40) / 10)), 4 * math.exp(-(V + 65) / 18)
    a_h, b_h = 0.07 * math.exp(-(V + 65) / 20), 1 / (1 + math.exp(-(V + 35) / 10))
    ions = 120 * m**3 * h * (V - 50) + 36 * n**4 * (V + 77) + 0.3 * (V + 54.387)
    V += dt * (current - ions)
    n, m, h = (
        n + dt * (a_n * (1 - n) - b_n * n),
        m + dt * (a_m * (1 - m) - b_m * m),
        h + dt * (a_h * (1 - h) - b_h * h),
    )
    hodgkin_huxley.append(V)

membrane, lif_trace, lif_spikes = 0.0, [], []
for step in range(5000):
    membrane += dt / 10 * (-membrane + (1.3 if step * dt > 5 else 0))
    if membrane > 1:
        lif_spikes.append(step * dt)
        membrane = 0.0
    lif_trace.append(membrane)

time = torch.arange(5000) * dt
fig, (left, middle, right) = plt.subplots(1, 3, figsize=(8, 2.4))
left.plot(time, hodgkin_huxley, color=BLUE)
left.set(title="Hodgkin-Huxley", xlabel="time (ms)", ylabel="voltage (mV)")
middle.plot(time, lif_trace, color=BLUE)
middle.axhline(1, color=GREY, linestyle="--", linewidth=1)
middle.vlines(lif_spikes, 1.1, 1.5, color=ORANGE)
middle.set(title="leaky integrate-and-fire", xlabel="time (ms)", ylabel="membrane")
right.plot([-1, 0, 1], [0, 0, 1], color=BLUE)
right.set(title="artificial (ReLU)", xlabel="weighted sum", ylabel="output")
plt.show()

# %% [markdown]
# In the middle, the dashed line is the threshold, and the orange strokes are the spikes.
#
# snnTorch has neurons all along this line: `Lapicque` (here), `Leaky` ([Tutorial
# 3](tutorial_3_feedforward.ipynb)), `Synaptic` and `Alpha` ([Tutorial
# 4](tutorial_4_second_order_neurons.ipynb)), recurrent and adaptive ones, and models of biology
# such as `Izhikevich`.
#
# ## The passive membrane
#
# A neuron in the cortex has thousands of inputs. Each input spike moves its membrane potential a
# little, and for a short time. One spike is rarely enough; several that arrive close together are.
# Spikes that are far apart do not add up, because the membrane forgets in between. Two properties
# of the membrane explain this:
#
# - It is a thin layer of fat between two salty solutions: an insulator between two conductors, or a
#   **capacitor** with capacitance $C$.
# - Channels in it let some ions through: a **resistor** with resistance $R$. Charge leaks out
#   through them.
#
# An input current $I$ has two ways to go:

# %% tags=["hide-input"]
fig, ax = plt.subplots(figsize=(5, 2.6))
style = {"color": "black", "linewidth": 1.5}
for y in (0, 2):
    ax.plot([0, 5], [y, y], **style)
for x in (0, 2.5, 5):
    ax.plot([x, x], [0, 0.7], **style)
    ax.plot([x, x], [1.3, 2], **style)
ax.add_patch(plt.Circle((0, 1), 0.3, fill=False, **style))
ax.annotate("", (0, 1.2), (0, 0.8), arrowprops={"arrowstyle": "->"})
ax.add_patch(plt.Rectangle((2.3, 0.7), 0.4, 0.6, fill=False, **style))
ax.plot([5, 5], [0.7, 0.9], **style)
ax.plot([5, 5], [1.1, 1.3], **style)
for y in (0.9, 1.1):
    ax.plot([4.65, 5.35], [y, y], **style)
for x, name in ((2.5, "$I_R$"), (5, "$I_C$")):
    ax.annotate("", (x, 1.45), (x, 1.75), arrowprops={"arrowstyle": "-|>", "color": ORANGE})
    ax.text(x + 0.15, 1.55, name, color=ORANGE)
ax.text(-0.45, 1, "$I$", ha="right", va="center")
ax.text(2.85, 1, "$R$", va="center")
ax.text(5.5, 1, "$C$", va="center")
ax.text(2.5, 2.1, "inside of the cell, potential $U$", ha="center", va="bottom")
ax.text(2.5, -0.1, "outside, potential 0", ha="center", va="top")
ax.set(aspect="equal", xlim=(-1, 6.2), ylim=(-0.5, 2.6))
ax.axis("off")
plt.show()

# %% [markdown]
# ### Its equation
#
# No charge is lost, so the current splits into two parts, $I = I_R + I_C$.
#
# - Through the resistor, by Ohm's law: $I_R = U / R$.
# - Onto the capacitor: its charge is $Q = C U$, and the current is its change, $I_C = C \, dU/dt$.
#
# Put together and multiplied by $R$:
#
# $$\tau \frac{dU}{dt} = -U + R I, \qquad \tau = R C .$$
#
# $U$ is the potential relative to rest, so $U = 0$ means at rest. The product $\tau = R C$ has the
# unit of a time, ohm times farad is second, and is called the *membrane time constant*. It says how
# fast the membrane forgets. Two solutions show how it behaves:
#
# - **No input, start at $U_0$:** $U(t) = U_0 \, e^{-t / \tau}$. After $\tau$, 37% is left.
# - **Constant input, start at 0:** $U(t) = R I \, (1 - e^{-t / \tau})$. After $\tau$, it has gone
#   63% of the way to $R I$.
#
# ### In time steps
#
# Networks run in discrete steps $\Delta t$. The *forward Euler method* replaces the derivative by
# the change over one step, $dU/dt \approx (U[t] - U[t-1]) / \Delta t$, and solves for the new
# value:
#
# $$U[t] = U[t-1] + \frac{\Delta t}{\tau} \left( -U[t-1] + R \, I[t] \right) .$$
#
# Square brackets count steps. In step $t$ the membrane receives the current $I[t]$ and becomes
# $U[t]$. As a function, with realistic values for a cell: 50 MΩ and 100 pF make $\tau = 5$ ms.


# %%
def euler_step(current, mem, R=50e6, C=100e-12, time_step=1e-3):
    tau = R * C
    return mem + time_step / tau * (-mem + R * current)


def decay(time_step, duration=30e-3, mem=0.9):
    trace = [mem]
    for _ in range(round(duration / time_step)):
        mem = euler_step(0, mem, time_step=time_step)
        trace.append(mem)
    return torch.arange(len(trace)) * time_step * 1e3, trace


time = torch.linspace(0, 30, 300)
exact = 0.9 * torch.exp(-time / 5)

fig, (left, right) = plt.subplots(1, 2)
left.plot(time, exact, color=GREY, linewidth=4, alpha=0.5, label="exact")
left.plot(*decay(0.1e-3), color=BLUE, label=r"$\Delta t$ = 0.1 ms")
left.plot(*decay(1e-3), "o-", color=ORANGE, markersize=3, label=r"$\Delta t$ = 1 ms")
right.plot(time, exact, color=GREY, linewidth=4, alpha=0.5)
right.plot(*decay(9e-3, 45e-3), "o-", color=GREEN, markersize=3, label=r"$\Delta t$ = 9 ms")
right.plot(*decay(11e-3, 44e-3), "o-", color="black", markersize=3, label=r"$\Delta t$ = 11 ms")
left.set(xlabel="time (ms)", ylabel="membrane (V)")
right.set(xlabel="time (ms)", ylim=(-2.5, 2.5))
right.axhline(0, color=GREY, linewidth=0.5)
left.legend(frameon=False)
right.legend(frameon=False, loc="lower left")
plt.show()

for step in (0.1e-3, 1e-3):
    print(f"After 5 ms, time step {step * 1e3:g} ms: {decay(step, 5e-3)[1][-1]:.3f} V")
print(f"After 5 ms, exact: {0.9 * math.exp(-1):.3f} V")

# %% [markdown]
# The membrane starts at 0.9 V and decays. Each Euler step multiplies it by $1 - \Delta t / \tau$,
# which approximates the exact factor $e^{-\Delta t / \tau}$. With a step of 1 ms the error is
# visible, with 0.1 ms it is not. On the right, the step is longer than $\tau$: the factor is
# negative, and the membrane swings around zero. Above $2 \tau$ it even grows. **Keep $\Delta t$
# well below $\tau$.**

# %% [markdown]
# ## Lapicque's neuron
#
# In 1907, Louis Lapicque stimulated the nerves of frogs with brief pulses of current, and described
# them as such a circuit: a capacitor with a leak. The spikes and the reset, which we add below,
# came later (see Brunel and van Rossum, 2007), but the simplest LIF neuron of snnTorch bears his
# name.
#
# `snn.Lapicque` takes a resistance, a capacitance and a time step. From here on they are 5 Ω and 1
# mF: the same $\tau = 5$ ms, with handier numbers for currents.

# %%
lif = snn.Lapicque(R=5, C=1e-3, time_step=1e-3)

# %% [markdown]
# A neuron is a PyTorch module, and one call is one time step: `spk, mem = lif(current, mem)`.
#
# - It takes the input current $I[t]$ and the membrane potential $U[t-1]$ of the step before.
# - It returns the spike $S[t]$, 1 or 0, and the new membrane potential $U[t]$.
#
# All are tensors of the same shape; each element is one neuron. `lif.init_lapicque()` gives the
# state at rest. The loop over time is yours:


# %%
def simulate(neuron, current, mem=None):
    """Run a neuron over a current [time, ...]; return its spikes and its membrane potentials."""
    mem = neuron.init_lapicque() if mem is None else mem
    spikes, membranes = [], []
    for step in current:
        spk, mem = neuron(step, mem)
        spikes.append(spk)
        membranes.append(mem)
    return torch.stack(spikes), torch.stack(membranes)


# %% [markdown]
# ### Without input
#
# Start at 0.9 V and apply no current. The neuron computes what `euler_step` computes:

# %%
num_steps = 200
_, mem = simulate(lif, torch.zeros(num_steps), mem=torch.tensor(0.9))

expected, U = [], torch.tensor(0.9)
for _ in range(num_steps):
    U = euler_step(0, U, R=5, C=1e-3)
    expected.append(U)
print("Same as Euler:", torch.allclose(mem, torch.stack(expected)))
print("First membranes:", [round(value, 4) for value in mem[:4].tolist()])

# %% [markdown]
# ### A step of current
#
# Now a current of 0.1 A, switched on in step 10. Expect $U = R I (1 - e^{-t / \tau})$: the membrane
# relaxes to $R I = 0.5$ V.

# %%
current = torch.zeros(num_steps)
current[10:] = 0.1
_, mem = simulate(lif, current)

fig, (top, bottom) = plt.subplots(2, 1, figsize=(8, 3.5), sharex=True, height_ratios=(1, 2))
top.step(range(num_steps), current, color=ORANGE, where="mid")
top.set_ylabel("current (A)")
bottom.plot(mem, color=BLUE)
bottom.axhline(0.5, color=GREY, linestyle=":", label="$R I$")
bottom.set(xlabel="time step (1 ms)", ylabel="membrane (V)", xlim=(0, 100))
bottom.legend(frameon=False, loc="lower right")
plt.show()
print(f"Expected in the end: {0.1 * lif.R.item()} V, simulated: {mem[-1].item()} V")

# %% [markdown]
# ### Pulses
#
# Switch the current off again after $n$ steps. From rest, $n$ steps of Euler bring the membrane to
#
# $$U = R I \, (1 - \lambda^n), \qquad \lambda = 1 - \Delta t / \tau ,$$
#
# and then it decays. Which current reaches 0.5 V within 20, 10, 5 or 1 steps?

# %%
leak = 1 - 1e-3 / 5e-3
fig, (top, bottom) = plt.subplots(2, 1, figsize=(8, 4), sharex=True, height_ratios=(1, 1.3))
for n, color in ((20, BLUE), (10, ORANGE), (5, GREEN), (1, "black")):
    amplitude = 0.5 / (5 * (1 - leak**n))
    pulse = torch.zeros(60)
    pulse[10 : 10 + n] = amplitude
    _, mem = simulate(lif, pulse)
    top.step(range(60), pulse, color=color, where="mid", label=f"{n} ms")
    bottom.plot(mem, color=color)
    charge = amplitude * n  # A ms = mC
    print(f"{n:2} ms: {amplitude:.3f} A, charge {charge:.2f} mC, peak {mem.max():.3f} V")
top.set_ylabel("current (A)")
top.legend(frameon=False)
bottom.set(xlabel="time step (1 ms)", ylabel="membrane (V)")
plt.show()

# %% [markdown]
# All four peaks are equal. The shorter the pulse, the stronger it has to be. But it needs *less*
# charge, because less leaks away while it lasts.
#
# In the last case, the charge $Q = I \Delta t = 0.5$ mC arrives at once, and the membrane jumps by
# $Q / C = 0.5$ V. In continuous time, this is a current $I(t) = Q \, \delta(t - t_0)$ with Dirac's
# delta function: infinitely high, infinitely short, with the area 1. This is how models describe an
# *input spike*: it makes the membrane jump by a fixed amount, from which it then decays.
#
# ### Lapicque's experiment
#
# Lapicque asked this about a nerve: how strong must a pulse be to just excite it, depending on how
# long it lasts? For our membrane, a pulse of duration $d$ reaches a threshold $\theta$ if
#
# $$I \ge \frac{\theta / R}{1 - e^{-d / \tau}} .$$
#
# Very long pulses need the current $\theta / R$, the *rheobase*. The duration at which twice the
# rheobase suffices is the *chronaxie*, $\tau \ln 2$: it tells the time constant without looking
# inside the cell. Repeat the experiment on the neuron, with 500 currents side by side: a tensor of
# currents is a batch of neurons. A finer time step, 0.1 ms, brings Euler close to the exact curve.

# %%
fine = snn.Lapicque(R=5, C=1e-3, time_step=1e-4)
currents = torch.linspace(0.2, 2.2, 500)
durations = torch.tensor([0.5, 1, 2, 3, 5, 8, 12, 20])  # ms
measured = []
for duration in durations:
    pulse = currents.expand(round(duration.item() * 10), -1)  # [steps, currents]
    spikes, _ = simulate(fine, pulse)
    fired = spikes.any(0)
    measured.append(currents[fired].min())

d = torch.linspace(0.4, 20, 300)
fig, ax = plt.subplots()
ax.plot(d, 0.2 / (1 - torch.exp(-d / 5)), color=GREY, label="theory")
ax.plot(durations, measured, "o", color=BLUE, label="weakest current that fires")
ax.axhline(0.2, color=ORANGE, linestyle="--", linewidth=1, label="rheobase")
ax.axvline(5 * math.log(2), color=GREEN, linestyle="--", linewidth=1, label="chronaxie")
ax.set(xlabel="duration of the pulse (ms)", ylabel="current (A)", ylim=(0, 2.3), xlim=(0, 20.5))
ax.legend(frameon=False)
plt.show()

# %% [markdown]
# The curve crosses twice the rheobase, 0.4 A, at the chronaxie of 3.5 ms.
#
# ## Firing
#
# So far the membrane leaks and integrates. To fire, it needs a threshold $\theta$ (`threshold=1`
# unless you change it):
#
# $$S[t] = \begin{cases} 1 & U[t] > \theta \\ 0 & \text{otherwise} \end{cases}$$
#
# Add this to the Euler step, and apply a current that is strong enough. $R = 5.1$ Ω and $C = 5$ mF
# make a slower membrane, with a time constant of 25.5 ms.

# %%
R, C, time_step, threshold = 5.1, 5e-3, 1e-3, 1.0


def without_reset(current, mem):
    mem = mem + time_step / (R * C) * (-mem + R * current)
    spk = (mem > threshold).float()
    return spk, mem


def run(step_function, current):
    mem, spikes, membranes = torch.tensor(0.0), [], []
    for value in current:
        spk, mem = step_function(value, mem)
        spikes.append(spk)
        membranes.append(mem)
    return torch.stack(spikes), torch.stack(membranes)


def plot(current, mem, spk, threshold=1.0, title=None, spikes_in=False):
    _, axes = plt.subplots(3, 1, figsize=(8, 3.6), sharex=True, height_ratios=(1, 2, 0.6))
    splt.cur_mem_spk(current, mem, spk, threshold, title=title, spikes_in=spikes_in, axes=axes)
    axes[0].set_ylabel("input" if spikes_in else "current (A)")
    axes[1].set_ylabel("membrane (V)")
    axes[2].set(ylabel="spikes", xlabel="time step (1 ms)")
    plt.show()


current = torch.zeros(num_steps)
current[10:] = 0.2
spk, mem = run(without_reset, current)
plot(current, mem, spk, title="Without a reset")

# %% [markdown]
# Once above the threshold (dashed), the membrane stays there, and the neuron fires at every step.
# In a nerve cell, a spike is followed by a fall of the potential, often below rest: the cell is
# *hyperpolarized*. The model imitates this by a **reset**.
#
# ### One time step, exactly
#
# `snn.Lapicque` subtracts the threshold in the step *after* the spike. A complete time step is:
#
# $$
# \begin{aligned}
# U[t] &= \left(1 - \frac{\Delta t}{\tau}\right) U[t-1] + \frac{\Delta t}{\tau} R \, I[t]
#         - S[t-1] \, \theta \\
# S[t] &= 1 \text{ if } U[t] > \theta \text{, else } 0
# \end{aligned}
# $$
#
# In words: the old membrane tells whether the neuron fired last time; leak and integrate; subtract
# the threshold if it fired; fire again if the result is above the threshold. In code, with nothing
# left out:


# %%
def lapicque_step(current, mem):
    fired = (mem > threshold).float()  # the spike of the step before
    mem = mem + time_step / (R * C) * (-mem + R * current)  # leak and integrate
    mem = mem - fired * threshold  # reset
    spk = (mem > threshold).float()  # fire
    return spk, mem


current[10:] = 0.3
spk, mem = run(lapicque_step, current)
plot(current, mem, spk, title="By hand")

lif = snn.Lapicque(R=R, C=C, time_step=time_step)
library_spk, library_mem = simulate(lif, current)
print("Same spikes:", torch.equal(spk, library_spk))
print("Same membrane:", torch.allclose(mem, library_mem, atol=1e-6))

# %% [markdown]
# The two agree. Look closely at the steps around the first spike:

# %%
first = int(library_spk.nonzero()[0])
print("step  current  membrane  spike")
for t in range(first - 2, first + 3):
    print(f"{t:4}  {current[t]:7.1f}  {library_mem[t]:8.4f}  {library_spk[t]:5.0f}")

# %% [markdown]
# - The input of a step acts in the same step, on the membrane and on the spike.
# - The membrane that comes back with a spike is still above the threshold. Its fall shows one step
#   later. `mem > threshold` and `spk == 1` therefore mean the same, unless a neuron is refractory
#   (below).
# - After the reset the membrane is not exactly 0. It keeps what it had above the threshold, plus
#   the change of that step.
# - A neuron fires *above* its threshold, not at it, and at most once per step. Choose a step that
#   is short enough for this.
#
# ### Current, threshold and rate
#
# A current of 0.2 A fires the neuron too, but late: $R I$ is 1.02 V, barely above the threshold.
# With less than $\theta / R$, which is 0.196 A, it never fires. More current or a lower threshold
# make it fire more often:

# %%
cases = {
    "0.19 A": (0.19, 1.0),
    "0.2 A": (0.2, 1.0),
    "0.3 A": (0.3, 1.0),
    "0.3 A, threshold 0.5": (0.3, 0.5),
}
fig, axes = plt.subplots(4, 1, figsize=(8, 5), sharex=True, sharey=True)
for ax, (name, (amplitude, level)) in zip(axes, cases.items(), strict=True):
    neuron = snn.Lapicque(R=R, C=C, time_step=time_step, threshold=level)
    current = torch.zeros(num_steps)
    current[10:] = amplitude
    spk, mem = simulate(neuron, current)
    times = spk.nonzero().flatten().tolist()
    print(f"{name:21} {len(times):2} spikes, the first at {times[:3]}")
    ax.plot(mem, color=BLUE)
    ax.axhline(level, color=GREY, linestyle="--", linewidth=1)
    ax.plot(times, [1.25] * len(times), "|", color=ORANGE, markersize=8)
    ax.set(ylabel="membrane", ylim=(-0.05, 1.4))
    ax.set_title(name, size="medium", loc="left", y=0.95)
axes[-1].set_xlabel("time step (1 ms)")
plt.show()

# %% [markdown]
# How does the firing rate depend on the current? From 0, a constant current reaches the threshold
# after $\tau \ln \frac{R I}{R I - \theta}$: the formula of the latency code in Tutorial 1. A neuron
# that is reset to zero repeats this forever, so its rate is
#
# $$f = \left( t_\text{ref} + \tau \ln \frac{R I}{R I - \theta} \right)^{-1}
# \quad \text{for } I > \theta / R ,$$
#
# where $t_\text{ref}$ is the time during which it cannot charge after a spike. This is the *f-I
# curve*, the activation function of a LIF neuron. The argument `refractory` sets $t_\text{ref}$ in
# steps; more about it below. Measure the curve with 100 currents at once, for one second, in steps
# of 0.1 ms:

# %%
currents = torch.linspace(0.1, 1, 100)
RI = R * currents[currents > threshold / R]
charging = R * C * torch.log(RI / (RI - threshold))  # seconds

fig, ax = plt.subplots()
for refractory, color in ((1, BLUE), (50, ORANGE)):
    neuron = snn.Lapicque(R=R, C=C, time_step=1e-4, reset_mechanism="zero", refractory=refractory)
    state = neuron.init_lapicque()
    count = torch.zeros(100)
    for _ in range(10_000):
        spk, *state = neuron(currents, *state)
        count += spk
    ax.plot(RI / R, 1 / (refractory * 1e-4 + charging), color=GREY)
    ax.plot(currents[::5], count[::5], "o", color=color, label=f"refractory {refractory / 10:g} ms")
ax.axvline(threshold / R, color="black", linestyle=":", label=r"$\theta / R$")
ax.set(xlabel="current (A)", ylabel="rate (spikes per second)")
ax.legend(frameon=False)
plt.show()

# %% [markdown]
# The dots, counted spikes, lie on the gray curves of the formula. Below $\theta / R$ the neuron is
# silent. (The reset to zero costs one step anyway, so `refractory=1` changes nothing here.) Above,
# the rate rises steeply at first. A refractory period bends the curve towards $1 / t_\text{ref}$,
# here 200 spikes per second, which no current can exceed.

# %% [markdown]
# ## Spikes as input
#
# In a network a neuron receives spikes. Draw a random train, as in Tutorial 1, with a spike in 40%
# of the steps. A spike counts as 1 A for 1 ms, and makes the membrane jump by $\Delta t / C = 0.2$
# V.

# %%
spk_in = spikegen.rate_conv(torch.full((num_steps,), 0.4))
lif = snn.Lapicque(R=R, C=C, time_step=time_step, threshold=0.5)
spk, mem = simulate(lif, spk_in)
plot(spk_in, mem, spk, threshold=0.5, title="Random input spikes", spikes_in=True)
print(f"{spk_in.sum():.0f} spikes in, {spk.sum():.0f} spikes out")

# %% [markdown]
# Each input spike is a step up; between them the membrane leaks. Output spikes need several input
# spikes within a short time.
#
# ## Reset mechanisms
#
# `reset_mechanism` chooses what happens in the step after a spike. Let $V[t]$ be the membrane after
# leak and input, and before the reset. For `snn.Lapicque`:
#
# | | Membrane after a spike | |
# |---|---|---|
# | `"subtract"` (default) | $U[t] = V[t] - \theta$ | keeps the excess over the threshold |
# | `"zero"` | $U[t] = 0$ | forgets the excess, and the input of this step |
# | `"none"` | $U[t] = V[t]$ | goes on firing while above the threshold |
#
# The same input for the first two:

# %%
traces = {}
for mechanism in ("subtract", "zero"):
    neuron = snn.Lapicque(R=R, C=C, time_step=time_step, threshold=0.5, reset_mechanism=mechanism)
    traces[mechanism] = simulate(neuron, spk_in)

fig, ax = plt.subplots(figsize=(8, 3))
for height, (mechanism, (spk, mem)), color in zip(
    (1.0, 0.9), traces.items(), (BLUE, ORANGE), strict=True
):
    times = spk.nonzero().flatten()
    ax.plot(mem, color=color, label=mechanism)
    ax.plot(times, torch.full(times.shape, height), "|", color=color, markersize=8)
    print(f"{mechanism}: {len(times)} spikes")
ax.axhline(0.5, color=GREY, linestyle="--", linewidth=1)
ax.set(xlabel="time step (1 ms)", ylabel="membrane (V)", ylim=(-0.05, 1.3), xlim=(0, 100))
ax.legend(frameon=False, loc="upper right", ncols=2)
plt.show()

# %% [markdown]
# The strokes at the top are the spikes. After each of its spikes the orange membrane touches zero,
# while the blue one starts again from its excess. So the blue neuron fires more often.
#
# Which one should you use? `"subtract"` loses less information: a strong input is counted in full,
# and the rate stays closer to proportional to the current. `"zero"` gives fewer spikes. Networks
# are usually trained with `"subtract"`; both are worth a try.
#
# ## The refractory period
#
# After a spike, a nerve cell cannot fire again for a millisecond or two, however strong the input.
# A reset alone does not model this: with enough current the neuron fires at every step. With
# `refractory=k`, a neuron takes no input and does not fire for `k` steps after a spike; leak and
# reset go on. The steps that are left are one more state:

# %%
current = torch.zeros(num_steps)
current[10:] = 2.0

fig, axes = plt.subplots(2, 1, figsize=(8, 3.5), sharex=True)
for ax, k in zip(axes, (0, 8), strict=True):
    neuron = snn.Lapicque(R=R, C=C, time_step=time_step, refractory=k)
    state = [neuron.init_lapicque()] if k == 0 else neuron.init_lapicque()  # mem, countdown
    spikes, membranes = [], []
    for step in current[:60]:
        spk, *state = neuron(step, *state)
        spikes.append(spk)
        membranes.append(state[0])
    times = torch.stack(spikes).nonzero().flatten()
    ax.plot(torch.stack(membranes), ".-", color=BLUE, markersize=4)
    ax.plot(times, torch.full(times.shape, 1.7), "|", color=ORANGE, markersize=8)
    ax.axhline(1, color=GREY, linestyle="--", linewidth=1)
    ax.set(ylabel="membrane (V)", ylim=(-0.1, 1.9), title=f"refractory={k}")
    print(f"refractory={k}: spikes in steps {times[:6].tolist()}")
axes[-1].set_xlabel("time step (1 ms)")
plt.show()

# %% [markdown]
# With a refractory period of 8 steps, a neuron that fires in step 12 ignores the input of steps 13
# to 20. Its membrane decays meanwhile, and charges again from step 21 on.
#
# ## What you know now
#
# One time step of `snn.Lapicque`, in this order: find the neurons that fired in the step before;
# leak and add the input; reset those neurons; fire where the new membrane is above the threshold.
#
# The model has five numbers to choose: $R$, $C$, $\Delta t$, $\theta$ and the reset. That is fine
# for physics, but a lot for a network that is trained. [Tutorial 3](tutorial_3_feedforward.ipynb)
# reduces them to one, and connects neurons to a network.
#
# The LIF neuron also leaves things out: real neurons adapt, burst and resonate. `snn.ALIF`,
# `snn.AdEx` and `snn.Izhikevich` model these.
#
# ## Results
#
# | | Here | snnTorch's page |
# |---|---|---|
# | Final membrane after the step of 0.1 A | 0.49999994 V | 0.49999994 V |
# | First spike at 0.2 A | step 108 | 109, counting the initial state as step 0 |
# | Charge of the pulse of one step | 0.5 mC | 0.5 C, a slip: 0.5 A flow for 1 ms only |
# | Random input spikes in 200 steps | 87 | 85 |
#
# ## References
#
# - L. Lapicque, "Recherches quantitatives sur l'excitation électrique des nerfs traitée comme une
#   polarisation", *Journal de Physiologie et de Pathologie Générale* 9 (1907) 620–635.
# - N. Brunel, M. C. W. van Rossum, "Lapicque's 1907 paper: from frogs to integrate-and-fire",
#   *Biological Cybernetics* 97 (2007) 337–339.
# - A. L. Hodgkin, A. F. Huxley, "A quantitative description of membrane current and its application
#   to conduction and excitation in nerve", *Journal of Physiology* 117 (1952) 500–544.
# - W. Gerstner, W. M. Kistler, R. Naud, L. Paninski, *Neuronal Dynamics*, Cambridge University
#   Press (2014), chapter 1.
# - P. Dayan, L. F. Abbott, *Theoretical Neuroscience*, MIT Press (2001), chapter 5.

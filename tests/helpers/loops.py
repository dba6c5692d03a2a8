"""Loops over time as users may write them, one for each thing that a recorder has to get right.

Each takes a network of two layers and an input ``[T, B, N]``.
"""

import dataclasses
from collections import namedtuple
from functools import partial

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations
from torch.utils.checkpoint import checkpoint

import snntorch as snn
from snntorch import spikegen, utils

T, B, N = 5, 3, 4


def firing(*shape, seed=3):
    generator = torch.Generator().manual_seed(seed)
    return 0.4 + torch.randn(shape, generator=generator, dtype=torch.float64)


def lif(**kwargs):
    return snn.Leaky(**{"beta": 0.8, "threshold": 0.3, **kwargs})


hidden = partial(lif, init_hidden=True)


class Net(nn.Module):
    """Two layers, what else a loop needs, and the loop."""

    def __init__(self, loop, neuron=lif, **parts):
        super().__init__()
        self.fc1, self.lif1 = nn.Linear(N, N), neuron()
        self.fc2, self.lif2 = nn.Linear(N, N), neuron()
        for name, make in parts.items():
            setattr(self, name, make())
        self.loop = loop

    def forward(self, *args, **kwargs):
        return self.loop(self, *args, **kwargs)


def steps(net, x, *states):
    """Yield the spikes and membranes of both layers: the plainest loop.

    :param states: the membranes before the first step; those of ``init_leaky()`` by default
    """
    mem1, mem2 = states or (net.lif1.init_leaky(), net.lif2.init_leaky())
    for x_t in x:
        spk1, mem1 = net.lif1(net.fc1(x_t), mem1)
        spk2, mem2 = net.lif2(net.fc2(spk1), mem2)
        yield spk1, mem1, spk2, mem2


def plain(net, x):
    return torch.stack([spk2 + mem2 for _, _, spk2, mem2 in steps(net, x)])


CASES, ONCE = {}, {}


def case(linears=None, **parts):
    """Add a loop to the cases; ``linears``: how often all its steps together call a linear layer,
    where they are taken apart."""

    def add(loop):
        CASES[loop.__name__] = partial(Net, loop, **parts)
        if linears is not None:
            ONCE[loop.__name__] = linears
        return loop

    return add


# How results are kept ---------------------------------------------------------------------------


@case(2)
def lists(net, x):
    spk1, mem1, spk2, mem2 = map(torch.stack, zip(*steps(net, x), strict=True))
    return {"first": (spk1, mem1), "last": [spk2, mem2]}


@case(2)
def dictionaries(net, x):
    records = {"spk": [], "mem": []}
    for *_, spk, mem in steps(net, x):
        records["spk"].append(spk)
        records["mem"].append(mem)
    return {name: torch.stack(record, 1) for name, record in records.items()}


@case(2)
def steps_apart(net, x):
    return [mem for *_, mem in steps(net, x)]


@case(2)
def preallocated(net, x):
    spikes = torch.zeros(T, B, N, dtype=x.dtype)
    membranes = torch.empty_like(x)
    for t, (*_, spk, mem) in enumerate(steps(net, x)):
        spikes[t] = spk
        membranes[t, :, :] = mem
    return spikes, membranes


@case()
def preallocated_and_written_in_parts(net, x):
    membranes = torch.empty_like(x)
    for t, (*_, mem) in enumerate(steps(net, x)):
        membranes[t, :, :2], membranes[t, :, 2:] = mem[:, 2:], mem[:, :2]
    return membranes


@case(2)
def preallocated_batch_first(net, x):
    out = x.new_full((B, T + 2, N), 0.5)
    for t, (*_, mem) in enumerate(steps(net, x)):
        out[:, t + 1] = mem
    return out


@case(2)
def running_sums(net, x):
    total, count, peak = 0, torch.zeros(B, N, dtype=x.dtype), None
    for *_, spk, mem in steps(net, x):
        total = total + mem
        count += spk
        peak = mem if peak is None else torch.maximum(peak, mem)
    return total, count / T, peak


@case()
def running_sum_of_another_type(net, x):
    count = torch.zeros(B, N)
    for *_, spk, _ in steps(net, x):
        count += spk
    return count


@case(2)
def running_average(net, x):
    average = torch.zeros(B, N)
    for *_, mem in steps(net, x):
        average = 0.7 * average + 0.3 * mem
    return average


@case(2)
def growing(net, x):
    out = x.new_empty(0, B, N)
    for *_, mem in steps(net, x):
        out = torch.cat((out, mem.unsqueeze(0)))
    return out


@case(2)
def last_only(net, x):
    for _, _, spk2, mem2 in steps(net, x):  # noqa: B007
        pass
    return spk2, mem2


@case(2)
def windows(net, x):
    out = [mem for *_, mem in steps(net, x)]
    return torch.stack(out[1:4]), torch.stack(out[::2]), torch.stack(out[::-1]), out[-1]


@case(2)
def reductions(net, x):
    out = torch.stack([mem for *_, mem in steps(net, x)])
    return out.mean(0), out.amax(0), out.std(0), out.cumsum(0), out.softmax(-1), out.argmax(0)


@case(2)
def extended(net, x):
    rows = []
    for *_, spk, mem in steps(net, x):
        rows.extend((spk.clone(), mem))
        rows[-1] += 1
    return torch.stack(rows)


Pair = namedtuple("Pair", "spk rest")


@case(2)
def named(net, x):
    return [Pair(spk, {"mem": mem, "none": None, "t": 3}) for *_, spk, mem in steps(net, x)]


@case(2)
def arguments_returned(net, x):
    return x, x[1], plain(net, x)


# How the input is cut ---------------------------------------------------------------------------


@case(2)
def batch_first(net, x):
    y = x.transpose(0, 1)
    return plain(net, (y[:, t] for t in range(y.shape[1])))


@case()
def cut_in_many_ways(net, x):
    ways = [x.unbind(), x.split(1), x.chunk(T), list(x), x.movedim(0, 1).unbind(1)]
    ways += [[x.select(0, t) for t in range(T)], [x[t, ...] for t in range(-T, 0)]]
    return [plain(net, [x_t.reshape(B, N) for x_t in way]) for way in ways]


@case(1)
def hoisted_by_the_user(net, x):
    currents, mem, out = net.fc1(x), net.lif1.init_leaky(), []
    for t in range(T):
        spk, mem = net.lif1(currents[t], mem)
        out.append(spk * mem)
    return torch.stack(out)


@case(2)
def backwards_in_time(net, x):
    return plain(net, (x[t] for t in reversed(range(T))))


@case()
def scaled_by_the_step(net, x):
    return plain(net, (x_t * (t + 1) / T + 0.1 * t for t, x_t in enumerate(x)))


@case(2)
def static_input(net, x):
    return plain(net, (x[0] for _ in range(T)))


@case(3)
def static_then_silence(net, x):
    return plain(net, (x[0] if t < 2 else torch.zeros_like(x[0]) for t in range(T)))


# Where states come from, and what becomes of them between two steps -----------------------------


@case(2)
def states_of_zeros(net, x):
    mem1, mem2 = torch.zeros(B, N, dtype=x.dtype), torch.zeros(N)
    return torch.stack([mem for *_, mem in steps(net, x, mem1, mem2)])


@case(2)
def states_of_reset_mem(net, x):
    mem1, mem2 = net.lif1.reset_mem(), net.lif2.reset_mem()
    return torch.stack([mem for *_, mem in steps(net, x, mem1, mem2)])


@case(2)
def states_of_none(net, x):
    mem1 = mem2 = None
    return torch.stack([mem for *_, mem in steps(net, x, mem1, mem2)])


@case(2)
def states_left_to_the_neurons(net, x):
    return torch.stack([sum(net.lif2(net.fc2(net.lif1(net.fc1(x_t))[0]))) for x_t in x])


@case(2, neuron=hidden)
def hidden_states(net, x):
    return torch.stack([net.lif2(net.fc2(net.lif1(net.fc1(x_t)))) for x_t in x])


@case(2, neuron=hidden)
def hidden_states_reset(net, x):
    utils.reset(net)
    return torch.stack([net.lif2(net.fc2(net.lif1(net.fc1(x_t)))) for x_t in x])


@case(2, neuron=hidden)
def hidden_states_read(net, x):
    out = []
    for x_t in x:
        spk = net.lif2(net.fc2(net.lif1(net.fc1(x_t))))
        out.append(spk + net.lif1.mem - net.lif2.mem)
    return torch.stack(out)


@case(neuron=hidden)
def hidden_states_reset_halfway(net, x):
    out = []
    for t, x_t in enumerate(x):
        if t == 2:
            net.lif1.reset_hidden()
        out.append(net.lif2(net.fc2(net.lif1(net.fc1(x_t)))))
    return torch.stack(out)


@case(neuron=hidden)
def hidden_states_detached_halfway(net, x):
    out = []
    for t, x_t in enumerate(x):
        if t % 2 == 0:
            utils.detach(net)
        out.append(net.lif2(net.fc2(net.lif1(net.fc1(x_t)))))
    return torch.stack(out)


@case(neuron=hidden)
def hidden_states_set(net, x):
    out = []
    for x_t in x:
        out.append(net.lif2(net.fc2(net.lif1(net.fc1(x_t)))))
        net.lif1.mem = 0.5 * net.lif1.mem
    return torch.stack(out)


@case(2)
def states_on_self(net, x):
    if not hasattr(net, "mem1"):
        net.mem1 = net.mem2 = torch.zeros(B, N, dtype=x.dtype)
    net.trace = []
    for x_t in x:
        spk1, net.mem1 = net.lif1(net.fc1(x_t), net.mem1)
        spk2, net.mem2 = net.lif2(net.fc2(spk1), net.mem2)
        net.trace.append(net.mem2)
    net.newest = {"spk": spk2}
    return torch.stack(net.trace)


@case(2)
def states_in_a_class(net, x):
    state = State(net.lif1.init_leaky(), [net.lif2.init_leaky()])
    out = []
    for x_t in x:
        spk, state.first = net.lif1(net.fc1(x_t), state.first)
        spk, state.rest[0] = net.lif2(net.fc2(spk), state.rest[0])
        out.append(spk * state.first)
    return torch.stack(out)


@dataclasses.dataclass
class State:
    first: torch.Tensor
    rest: list


@case()
def states_decayed_by_hand(net, x):
    mem, out = net.lif1.init_leaky(), []
    for x_t in x:
        spk, mem = net.lif1(net.fc1(x_t), mem)
        mem = mem.clamp(max=0.25) * 0.9
        out.append(net.fc2(spk) + mem)
    return torch.stack(out)


@case()
def states_written_in_place(net, x):
    mem, out = net.lif1.init_leaky(), []
    for x_t in x:
        spk, mem = net.lif1(net.fc1(x_t), mem)
        mem[:, 0] = 0.1
        mem *= 0.9
        out.append(spk * mem.sum())
    return torch.stack(out)


@case()
def states_detached(net, x):
    mem1, mem2, out = net.lif1.init_leaky(), net.lif2.init_leaky(), []
    for x_t in x:
        spk1, mem1 = net.lif1(net.fc1(x_t), mem1.detach())
        _, mem2 = net.lif2(net.fc2(spk1), mem2)
        out.append(mem2)
    return torch.stack(out)


@case()
def states_exchanged(net, x):
    mem1, mem2, out = torch.zeros(B, N), torch.ones(B, N), []
    for x_t in x:
        spk1, new1 = net.lif1(net.fc1(x_t), mem1)
        spk2, new2 = net.lif2(net.fc2(x_t), mem2)
        mem1, mem2 = new2, new1
        out.append(spk1 * mem1 + spk2 * mem2)
    return torch.stack(out)


@case()
def one_neuron_twice_in_a_step(net, x):
    mem1, mem2, out = net.lif1.init_leaky(), net.lif1.init_leaky(), []
    for x_t in x:
        spk, mem1 = net.lif1(net.fc1(x_t), mem1)
        spk, mem2 = net.lif1(net.fc1(spk), mem2)
        out.append(spk + mem2)
    return torch.stack(out)


@case(neuron=hidden)
def one_hidden_neuron_twice_in_a_step(net, x):
    return torch.stack([net.lif1(net.fc1(net.lif1(net.fc1(x_t)))) for x_t in x])


# How layers are put together --------------------------------------------------------------------


@case(2, table=lambda: nn.ModuleDict({"a": nn.Linear(N, N), "b": lif()}))
def module_dict(net, x):
    mem, mem2, out = net.table["b"].init_leaky(), net.lif2.init_leaky(), []
    for x_t in x:
        spk, mem = net.table["b"](net.table["a"](x_t), mem)
        spk, mem2 = net.lif2(net.fc2(spk), mem2)
        out.append(mem2)
    return torch.stack(out)


@case(2, body=lambda: nn.Sequential(nn.Sequential(nn.Linear(N, N), nn.ReLU()), hidden()))
def nested_sequential(net, x):
    utils.reset(net.body)
    return torch.stack([net.fc2(net.body(x_t)) for x_t in x])


@case(2)
def skip_connections(net, x):
    mem1, mem2, out = net.lif1.init_leaky(), net.lif2.init_leaky(), []
    for x_t in x:
        spk1, mem1 = net.lif1(net.fc1(x_t) + x_t, mem1)
        spk2, mem2 = net.lif2(net.fc2(spk1 + x_t) - mem1, mem2)
        out.append(torch.cat((spk2, spk1, x_t), -1))
    return torch.stack(out)


@case(2)
def two_streams(net, x):
    mem1, mem2, out = net.lif1.init_leaky(), net.lif2.init_leaky(), []
    for x_t in x:
        spk1, mem1 = net.lif1(net.fc1(x_t), mem1)
        spk2, mem2 = net.lif2(net.fc2(x_t.flip(-1)), mem2)
        out.append(spk1 * mem2 + spk2 * mem1)
    return torch.stack(out)


@case(3)
def delay_of_a_step(net, x):
    mem1, mem2, before, out = net.lif1.init_leaky(), net.lif2.init_leaky(), x.new_zeros(B, N), []
    for x_t in x:
        _, mem2 = net.lif2(net.fc2(before), mem2)
        before, mem1 = net.lif1(net.fc1(x_t), mem1)
        out.append(mem2)
    return torch.stack(out)


@case()
def recurrence_by_hand(net, x):
    mem1, mem2, before, out = net.lif1.init_leaky(), net.lif2.init_leaky(), x.new_zeros(B, N), []
    for x_t in x:
        before, mem1 = net.lif1(net.fc1(x_t) + before @ net.fc2.weight, mem1)
        _, mem2 = net.lif2(before, mem2)
        out.append(mem2)
    return torch.stack(out)


@case()
def recurrence_through_all(net, x):
    mem1, mem2, spk2, out = net.lif1.init_leaky(), net.lif2.init_leaky(), 0.0, []
    for x_t in x:
        spk1, mem1 = net.lif1(net.fc1(x_t + spk2), mem1)
        spk2, mem2 = net.lif2(net.fc2(spk1), mem2)
        out.append(mem2)
    return torch.stack(out)


@case(3)
def one_layer_twice_in_a_step(net, x):
    return torch.stack([net.fc2(net.fc1(net.fc1(x_t).relu())) for x_t in x])


@case()
def every_other_step(net, x):
    mem1, mem2, out = net.lif1.init_leaky(), net.lif2.init_leaky(), []
    for t, x_t in enumerate(x):
        spk1, mem1 = net.lif1(net.fc1(x_t), mem1)
        if t % 2:
            _, mem2 = net.lif2(net.fc2(spk1), mem2)
            out.append(mem2)
    return torch.stack(out)


@case()
def two_loops(net, x):
    first = [spk for spk, *_ in steps(net, x)]
    return plain(net, [x_t - spk for x_t, spk in zip(x, reversed(first), strict=True)])


@case()
def settling_between_steps(net, x):
    mem1, mem2, out = net.lif1.init_leaky(), net.lif2.init_leaky(), []
    for x_t in x[:3]:
        current = net.fc1(x_t)
        for _ in range(2):
            spk1, mem1 = net.lif1(current, mem1)
        _, mem2 = net.lif2(net.fc2(spk1), mem2)
        out.append(mem2)
    return torch.stack(out)


@case(norm=lambda: nn.BatchNorm1d(N))
def batch_norm(net, x):
    return plain(net, [net.norm(x_t) for x_t in x])


@case(2, norm=lambda: nn.LayerNorm(N), group=lambda: nn.GroupNorm(2, N))
def layer_norms(net, x):
    return plain(net, [net.norm(x_t) + net.group(x_t) for x_t in x])


@case(norms=lambda: snn.BatchNormTT1d(N, T))
def norms_of_their_own_step(net, x):
    return plain(net, [norm(x_t) for norm, x_t in zip(net.norms, x, strict=True)])


@case(norms=lambda: snn.BatchNormTT1d(N, T))
def norms_of_their_own_step_inside(net, x):
    mem1, mem2, out = net.lif1.init_leaky(), net.lif2.init_leaky(), []
    for t, x_t in enumerate(x):
        spk1, mem1 = net.lif1(net.norms[t](net.fc1(x_t)), mem1)
        _, mem2 = net.lif2(net.fc2(spk1), mem2)
        out.append(mem2)
    return torch.stack(out)


@case(2, norm=lambda: parametrizations.weight_norm(nn.Linear(N, N)))
def weight_norm(net, x):
    mem1, mem2, out = net.lif1.init_leaky(), net.lif2.init_leaky(), []
    for x_t in x:
        spk1, mem1 = net.lif1(net.norm(x_t), mem1)
        _, mem2 = net.lif2(net.fc2(spk1), mem2)
        out.append(mem2)
    return torch.stack(out)


@case(norm=lambda: parametrizations.spectral_norm(nn.Linear(N, N)))
def spectral_norm(net, x):
    return plain(net, [net.norm(x_t) for x_t in x])


@case(2)
def functional_layers(net, x):
    mem, out = net.lif1.init_leaky(), []
    for x_t in x:
        spk, mem = net.lif1(F.linear(x_t, net.fc1.weight, net.fc1.bias), mem)
        out.append(F.softmax(F.linear(spk, weight=net.fc2.weight), dim=-1) + F.gelu(mem))
    return torch.stack(out)


@case(4, q=lambda: nn.Linear(N, N), k=lambda: nn.Linear(N, N))
def attention(net, x):
    mem1, mem2, out = net.lif1.init_leaky(), net.lif2.init_leaky(), []
    for x_t in x:
        spk1, mem1 = net.lif1(net.fc1(x_t), mem1)
        q, k = (each.view(B, 2, 2) for each in (net.q(spk1), net.k(spk1)))
        mixed = (q @ k.transpose(-2, -1) / 2).softmax(-1) @ spk1.view(B, 2, 2)
        spk2, mem2 = net.lif2(net.fc2(mixed.flatten(1)), mem2)
        out.append(torch.einsum("bi,bj->bij", mem2, spk2))
    return torch.stack(out)


@case(attention=lambda: nn.MultiheadAttention(N, 2, batch_first=True))
def attention_layer(net, x):
    return plain(net, [net.attention(x_t[None], x_t[None], x_t[None])[0][0] for x_t in x])


@case(conv=lambda: nn.Conv1d(1, 2, 3, padding=1), pool=lambda: nn.MaxPool1d(2))
def convolutions(net, x):
    return plain(net, [net.pool(net.conv(x_t[:, None])).flatten(1) for x_t in x])


@case(table=lambda: nn.Embedding(7, N))
def embedding(net, x):
    tokens = (10 * x.detach()).long().abs()[..., 0] % 7
    return plain(net, [net.table(token) for token in tokens])


@case(late=lambda: nn.LazyLinear(N, dtype=torch.float64))
def lazy_linear(net, x):
    return plain(net, [net.late(x_t) for x_t in x])


# What comes between the layers -----------------------------------------------------------------


@case(2)
def in_place_functions(net, x):
    mem, out = net.lif1.init_leaky(), []
    for x_t in x:
        current = net.fc1(x_t)
        current *= 0.9
        current.add_(0.1).clamp_(min=-0.5)
        F.relu(current, inplace=True)
        spk, mem = net.lif1(current, mem)
        out.append(net.fc2(spk).mul_(0.5) + mem)
    return torch.stack(out)


@case()
def written_where_an_index_says(net, x):
    out = []
    for *_, spk, mem in steps(net, x):
        after = mem * 2
        after[:, 0] = 0
        after[after > 0.3] = 0.3
        after[spk.bool()] *= -1
        out.append(after)
    return torch.stack(out)


@case()
def views_see_writes(net, x):
    out = []
    for spk1, mem1, _, mem2 in steps(net, x):
        base = mem1 * spk1
        row, flat = base[0], base.view(-1)
        base += 1
        row *= 2
        out.append(flat.view(B, N) + mem2)
    return torch.stack(out)


@case()
def a_sum_in_a_view(net, x):
    total = torch.zeros(B, 2 * N)
    left = total[:, :N]
    for *_, mem in steps(net, x):
        left += mem
    return total


@case()
def dropout(net, x):
    return plain(net, [F.dropout(x_t, 0.3, net.training) for x_t in x])


@case(2, drop=lambda: nn.Dropout(0.3))
def one_mask_for_all_steps(net, x):
    mask = net.drop(torch.ones(B, N))
    return plain(net, [x_t * mask for x_t in x])


@case(2)
def encoded_before(net, x):
    return plain(net, spikegen.rate(x[0].detach().clamp(0, 1), num_steps=T).to(x.dtype))


@case()
def encoded_inside(net, x):
    encoded = []
    for x_t, p in zip(x, x.detach().clamp(0, 1), strict=True):
        encoded.append(torch.bernoulli(p) + (torch.rand_like(x_t) < p) * x_t)
    return plain(net, encoded)


@case()
def noise_between_layers(net, x):
    mem1, mem2, out = net.lif1.init_leaky(), net.lif2.init_leaky(), []
    for x_t in x:
        spk1, mem1 = net.lif1(net.fc1(x_t) + 0.1 * torch.randn(B, N), mem1)
        _, mem2 = net.lif2(net.fc2(spk1) * (torch.rand(N) > 0.2), mem2)
        out.append(mem2 + torch.normal(0.0, 0.1, (B, N)))
    return torch.stack(out)


@case(2)
def no_grad_blocks(net, x):
    rates, out = [], []
    for spk1, mem1, spk2, mem2 in steps(net, x):
        with torch.no_grad():
            rates.append(spk1.mean(0) + mem1.mean(0))
        out.append(spk2 + mem2)
    return torch.stack(out), torch.stack(rates)


@case(2)
def a_layer_without_gradients(net, x):
    mem1, mem2, out = net.lif1.init_leaky(), net.lif2.init_leaky(), []
    for x_t in x:
        with torch.no_grad():
            spk1, mem1 = net.lif1(net.fc1(x_t), mem1)
        _, mem2 = net.lif2(net.fc2(spk1), mem2)
        out.append(mem2)
    return torch.stack(out)


@case(4)
def gradients_from_the_middle_on(net, x):
    mem1, mem2, out = net.lif1.init_leaky(), net.lif2.init_leaky(), []
    for t, x_t in enumerate(x):
        with torch.set_grad_enabled(torch.is_grad_enabled() and t >= 2):
            spk1, mem1 = net.lif1(net.fc1(x_t), mem1)
            _, mem2 = net.lif2(net.fc2(spk1), mem2)
        out.append(mem2)
    return torch.stack(out)


@case(2)
def spikes_detached(net, x):
    mem1, mem2, out = net.lif1.init_leaky(), net.lif2.init_leaky(), []
    for x_t in x:
        spk1, mem1 = net.lif1(net.fc1(x_t), mem1)
        _, mem2 = net.lif2(net.fc2(spk1.detach()), mem2)
        out.append(mem2 + mem1)
    return torch.stack(out)


@case(2)
def types_and_devices(net, x):
    out = []
    for *_, spk, mem in steps(net, x):
        out.append(mem.float().to(x.device) + spk.to(torch.int64) + spk.bool().type_as(mem))
    return torch.stack(out).double()


@case(2)
def shapes_asked_for(net, x):
    out = []
    for *_, spk, mem in steps(net, x):
        rows, columns = mem.shape
        out.append((spk * mem).reshape(columns, rows).T.contiguous() / (mem.numel() + len(spk)))
    return torch.stack(out)


@case(2)
def chosen_by_where(net, x):
    return torch.stack([torch.where(spk > 0, mem, -mem) for *_, spk, mem in steps(net, x)])


# Values that are asked for ----------------------------------------------------------------------


@case()
def numbers_read(net, x):
    rates = []
    for *_, spk, mem in steps(net, x):
        rates.append(spk.mean().item() + float(mem[0, 0].detach()) + mem.tolist()[1][1])
    return plain(net, x), rates


@case()
def stops_early(net, x):
    out, count = [], 0
    for *_, spk, mem in steps(net, x):
        out.append(mem)
        count += spk.sum()
        if count > 5:
            break
    return torch.stack(out), len(out)


@case()
def branches_on_values(net, x):
    mem1, mem2, out = net.lif1.init_leaky(), net.lif2.init_leaky(), []
    for x_t in x:
        spk1, mem1 = net.lif1(net.fc1(x_t), mem1)
        if spk1.any() and mem1.max() > 0.2:
            spk1 = spk1 * 0.5
        _, mem2 = net.lif2(net.fc2(spk1), mem2)
        out.append(mem2)
    return torch.stack(out)


@case()
def shapes_that_depend_on_values(net, x):
    out = [mem[spk > 0] for *_, spk, mem in steps(net, x)]
    return torch.cat(out), [each.nonzero() for each in out]


@case()
def printed(net, x):
    return [f"{spk.sum():.0f}" + repr(mem.detach().round()) for *_, spk, mem in steps(net, x)]


@case()
def through_numpy(net, x):
    out = [torch.from_numpy(np.sin(mem.detach().numpy())) for *_, mem in steps(net, x)]
    return torch.stack(out), plain(net, x)


# What changes between two steps -----------------------------------------------------------------


@case()
def threshold_set(net, x):
    out = []
    for t, (*_, spk, mem) in enumerate(steps(net, x)):
        net.lif1.threshold = torch.tensor(0.2 + 0.1 * t, dtype=x.dtype)
        out.append(spk + mem)
    return torch.stack(out)


@case()
def threshold_written(net, x):
    out = []
    for t, (*_, mem) in enumerate(steps(net, x)):
        with torch.no_grad():
            net.lif2.threshold.fill_(0.2 + 0.1 * t)
        out.append(mem.detach())
    return torch.stack(out)


@case()
def threshold_written_between_given_states(net, x):
    mem, out = torch.zeros_like(x[0]), []
    for t, x_t in enumerate(x):
        net.lif1.threshold.data.fill_(0.2 + 0.1 * t)
        spk, mem = net.lif1(net.fc1(x_t), mem)
        out.append(spk + mem)
    return torch.stack(out)


@case(conv=lambda: nn.Conv1d(1, 1, 3, stride=1, padding=1), pool=lambda: nn.AvgPool1d(1))
def layers_changed(net, x):
    biases, out = [net.fc1.bias, nn.Parameter(torch.ones_like(x[0, 0])), None], []
    for t, x_t in enumerate(x):
        net.fc1.bias = biases[t % 3]
        net.conv.stride = (1 + t % 2,)
        net.pool.kernel_size = 1 + t // 3
        net.lif1.reset_mechanism = "zero" if t == 3 else "subtract"
        y = net.pool(net.conv(net.fc1(x_t)[:, None]))
        out += [y, net.lif1(net.fc1(x_t))[0]]
    net.fc1.bias = biases[0]
    return out


@case(neuron=hidden)
def forward_replaced(net, x):
    out, first = [], net.fc1.forward
    for t, x_t in enumerate(x):
        if t == 2:
            net.fc1.forward = lambda x: first(2 * x)
            net.lif1.forward = lambda x: net.lif2(x) - 1
        out.append(net.lif1(net.fc1(x_t)))
    del net.fc1.forward, net.lif1.forward
    return torch.stack(out)


@case()
def hooks_come_and_go(net, x):
    mem, out, hooks = net.lif1.init_leaky(), [], []
    for t, x_t in enumerate(x):
        if t == 2:
            hooks += [
                net.fc1.register_forward_hook(lambda layer, args, out: 2 * out),
                net.lif1.register_forward_pre_hook(lambda layer, args: (-args[0], args[1])),
            ]
        if t == 4:
            for hook in hooks:
                hook.remove()
        spk, mem = net.lif1(net.fc1(x_t), mem)
        out += [spk, mem]
    return torch.stack(out)


@case()
def threshold_follows_the_spikes(net, x):
    out = []
    for spk1, _, _, mem2 in steps(net, x):
        net.lif1.threshold = net.lif1.threshold + 0.05 * (spk1.mean().detach() - 0.3)
        out.append(mem2)
    return torch.stack(out)


@case()
def reset_changed(net, x):
    out = []
    for t, (*_, spk, mem) in enumerate(steps(net, x)):
        net.lif1.reset_mechanism = ("zero", "none", "subtract")[t % 3]
        out.append(spk + mem)
    return torch.stack(out)


@case()
def decay_changed(net, x):
    out = []
    for t, (*_, mem) in enumerate(steps(net, x)):
        net.lif2.beta = torch.tensor(0.9 - 0.1 * t, dtype=x.dtype)
        out.append(mem)
    return torch.stack(out)


@case()
def mode_changed(net, x):
    mode, out = net.training, []
    for t, x_t in enumerate(x):
        net.train(bool(t % 2))
        out.append(F.dropout(x_t, 0.3, net.training))
    net.train(mode)
    return plain(net, out)


@case()
def layer_replaced(net, x):
    other, out = nn.Linear(N, N, dtype=x.dtype), []
    for t, (*_, mem) in enumerate(steps(net, x)):
        if t == 2:
            net.fc2, other = other, net.fc2
        out.append(mem)
    net.fc2 = other
    return torch.stack(out)


# Derivatives that are worked out inside ---------------------------------------------------------


@case()
def gradient_inside(net, x):
    out = plain(net, x)
    if not torch.is_grad_enabled():
        return out
    (slope,) = torch.autograd.grad(out.sum(), net.fc1.weight, retain_graph=True)
    return out * slope.sum()


@case()
def gradient_at_each_step(net, x):
    out = []
    for spk1, mem1, _, mem2 in steps(net, x):
        if mem1.requires_grad:
            (slope,) = torch.autograd.grad(mem2.sum(), spk1, retain_graph=True)
            mem2 = mem2 + slope
        out.append(mem2)
    return torch.stack(out)


@case()
def gradient_kept(net, x):
    net.grads, out = [], []
    for spk1, mem1, _, mem2 in steps(net, x):
        if spk1.requires_grad:
            spk1.retain_grad()
            mem1.register_hook(lambda grad: net.grads.append(grad.clone()))
        out.append((spk1, mem2))
    if torch.is_grad_enabled():
        sum(mem.sum() for _, mem in out).backward(retain_graph=True)
        net.grads += [spk.grad for spk, _ in out if spk.grad is not None]
        net.zero_grad()
    return torch.stack([mem for _, mem in out])


@case()
def gradient_scaled_by_a_hook(net, x):
    out = []
    for *_, mem in steps(net, x):
        if mem.requires_grad:
            mem.register_hook(lambda grad: 0.5 * grad)
        out.append(mem)
    return torch.stack(out)


@case()
def own_function(net, x):
    return torch.stack([Clip.apply(mem, 0.1) for *_, mem in steps(net, x)])


class Clip(torch.autograd.Function):
    """Passes on; its gradient is clipped."""

    @staticmethod
    def forward(ctx, x, limit):
        ctx.limit = limit
        return x.clone()

    @staticmethod
    def backward(ctx, grad):
        return grad.clamp(-ctx.limit, ctx.limit), None


@case()
def checkpointed_steps(net, x):
    def step(x_t, mem1, mem2):
        spk1, mem1 = net.lif1(net.fc1(x_t), mem1)
        spk2, mem2 = net.lif2(net.fc2(spk1), mem2)
        return spk2, mem1, mem2

    mem1, mem2, out = x.new_zeros(B, N), x.new_zeros(B, N), []
    for x_t in x:
        spk, mem1, mem2 = checkpoint(step, x_t, mem1, mem2, use_reentrant=False)
        out.append(spk + mem2)
    return torch.stack(out)

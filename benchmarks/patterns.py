"""Networks as their users write them: the loop over time is in ``forward``.

Each is what many public projects hold, in small: ``Net(width, time)`` has layers of ``width``
neurons and runs for ``time`` steps, and ``net.inputs(batch)`` is what it is called with. They hold
only names of release 1.0.0.
"""

from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

import snntorch as snn
from snntorch import surrogate, utils

CLASSES = 10


def spikes(*shape: int) -> torch.Tensor:
    return 2 * (torch.rand(shape) < 0.3).float()


class Static(nn.Module):
    """Shows one batch at every step, and records the last layer; the most copied network."""

    def __init__(self, width: int, time: int, features: int | None = None) -> None:
        super().__init__()
        self.time, self.features = time, features or width
        self.fc1 = nn.Linear(self.features, width)
        self.lif1 = snn.Leaky(beta=0.95)
        self.fc2 = nn.Linear(width, CLASSES)
        self.lif2 = snn.Leaky(beta=0.95)

    def inputs(self, batch: int) -> tuple[torch.Tensor]:
        return (3 * torch.rand(batch, self.features),)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        mem1 = self.lif1.init_leaky()
        mem2 = self.lif2.init_leaky()
        spk_rec, mem_rec = [], []
        for _ in range(self.time):
            spk1, mem1 = self.lif1(self.fc1(x), mem1)
            spk2, mem2 = self.lif2(self.fc2(spk1), mem2)
            spk_rec.append(spk2)
            mem_rec.append(mem2)
        return torch.stack(spk_rec, dim=0), torch.stack(mem_rec, dim=0)


class Quickstart(nn.Module):
    """The network of the quickstart, with explicit states."""

    def __init__(self, width: int, time: int) -> None:
        super().__init__()
        self.time, self.side = time, 28
        grad = surrogate.fast_sigmoid()
        self.conv1, self.lif1 = nn.Conv2d(1, width // 2, 5), snn.Leaky(beta=0.9, spike_grad=grad)
        self.conv2, self.lif2 = nn.Conv2d(width // 2, width, 5), snn.Leaky(0.9, spike_grad=grad)
        self.fc, self.lif3 = nn.Linear(width * 4 * 4, CLASSES), snn.Leaky(0.9, spike_grad=grad)

    def inputs(self, batch: int) -> tuple[torch.Tensor]:
        return (torch.rand(batch, 1, self.side, self.side),)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        mem1, mem2, mem3 = self.lif1.init_leaky(), self.lif2.init_leaky(), self.lif3.init_leaky()
        spk_rec, mem_rec = [], []
        for _ in range(self.time):
            spk1, mem1 = self.lif1(F.max_pool2d(self.conv1(x), 2), mem1)
            spk2, mem2 = self.lif2(F.max_pool2d(self.conv2(spk1), 2), mem2)
            spk3, mem3 = self.lif3(self.fc(spk2.flatten(1)), mem3)
            spk_rec.append(spk3)
            mem_rec.append(mem3)
        return torch.stack(spk_rec), torch.stack(mem_rec)


class Traces(nn.Module):
    """Records the spikes and all states of all layers."""

    def __init__(self, width: int, time: int) -> None:
        super().__init__()
        self.time, self.features = time, width // 2
        self.fc1, self.lif1 = nn.Linear(self.features, width), snn.Leaky(beta=0.9)
        self.fc2, self.lif2 = nn.Linear(width, width), snn.Synaptic(alpha=0.8, beta=0.9)
        self.fc3, self.lif3 = nn.Linear(width, CLASSES), snn.Leaky(beta=0.9)

    def inputs(self, batch: int) -> tuple[torch.Tensor]:
        return (spikes(self.time, batch, self.features),)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        mem1 = self.lif1.init_leaky()
        syn2, mem2 = self.lif2.init_synaptic()
        mem3 = self.lif3.init_leaky()
        steps = []
        for step in range(x.size(0)):
            spk1, mem1 = self.lif1(self.fc1(x[step]), mem1)
            spk2, syn2, mem2 = self.lif2(self.fc2(spk1), syn2, mem2)
            spk3, mem3 = self.lif3(self.fc3(spk2), mem3)
            steps.append((spk1, mem1, spk2, syn2, mem2, spk3, mem3))
        return tuple(torch.stack(trace) for trace in zip(*steps, strict=True))


class Records(nn.Module):
    """Indexes time first, and records every layer in a dictionary of lists."""

    def __init__(self, width: int, time: int) -> None:
        super().__init__()
        self.time, self.width = time, width
        neuron: dict[str, Any] = {"spike_grad": surrogate.fast_sigmoid(slope=25), "threshold": 0.5}
        self.fc1, self.lif1 = nn.Linear(width, width), snn.Leaky(beta=0.9, **neuron)
        self.fc2, self.lif2 = nn.Linear(width, width), snn.Leaky(beta=0.8, **neuron)
        self.fc3, self.lif3 = nn.Linear(width, CLASSES), snn.Leaky(beta=0.7, **neuron)

    def inputs(self, batch: int) -> tuple[torch.Tensor]:
        return (spikes(self.time, batch, self.width),)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        m1, m2, m3 = self.lif1.init_leaky(), self.lif2.init_leaky(), self.lif3.init_leaky()
        records: dict[str, list] = {key: [] for key in ("s1", "m1", "s2", "m2", "s3", "m3")}
        for step in range(x.size(0)):
            s1, m1 = self.lif1(self.fc1(x[step]), m1)
            s2, m2 = self.lif2(self.fc2(s1), m2)
            s3, m3 = self.lif3(self.fc3(s2), m3)
            for record, value in zip(records.values(), (s1, m1, s2, m2, s3, m3), strict=True):
                record.append(value)
        return tuple(torch.stack(record) for record in records.values())


class Images(nn.Module):
    """Takes the batch first; convolutions, functional pooling, neurons with two states."""

    def __init__(self, width: int, time: int) -> None:
        super().__init__()
        self.time, channels = time, width // 16
        self.conv1 = nn.Conv2d(2, channels, 3, padding=1)
        self.lif1 = snn.Synaptic(alpha=0.8, beta=0.9)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.lif2 = snn.Synaptic(alpha=0.8, beta=0.9)
        self.fc = nn.Linear(channels * 4 * 4, CLASSES)
        self.lif3 = snn.Synaptic(alpha=0.8, beta=0.9)

    def inputs(self, batch: int) -> tuple[torch.Tensor]:
        return (spikes(batch, self.time, 2, 16, 16),)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        syn1, mem1 = self.lif1.init_synaptic()
        syn2, mem2 = self.lif2.init_synaptic()
        syn3, mem3 = self.lif3.init_synaptic()
        spk_rec, mem_rec = [], []
        for step in range(x.shape[1]):
            spk1, syn1, mem1 = self.lif1(F.max_pool2d(self.conv1(x[:, step]), 2), syn1, mem1)
            spk2, syn2, mem2 = self.lif2(F.max_pool2d(self.conv2(spk1), 2), syn2, mem2)
            spk3, syn3, mem3 = self.lif3(self.fc(spk2.flatten(1)), syn3, mem3)
            spk_rec.append(spk3)
            mem_rec.append(mem3)
        return torch.stack(mem_rec, dim=1), torch.stack(spk_rec, dim=1)


class Accumulator(nn.Module):
    """Batch normalization and dropout in the loop; adds the logits up instead of recording."""

    def __init__(self, width: int, time: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.time, self.width = time, width
        self.fc1, self.bn1 = nn.Linear(width, width), nn.BatchNorm1d(width)
        self.lif1, self.drop1 = snn.Leaky(beta=0.9), nn.Dropout(dropout)
        self.fc2, self.bn2 = nn.Linear(width, width), nn.BatchNorm1d(width)
        self.lif2, self.drop2 = snn.Leaky(beta=0.9), nn.Dropout(dropout)
        self.fc_out = nn.Linear(width, CLASSES)

    def inputs(self, batch: int) -> tuple[torch.Tensor]:
        return (torch.randn(batch, self.time, self.width),)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, steps, _ = x.shape
        mem1 = self.lif1.init_leaky()
        mem2 = self.lif2.init_leaky()
        out_sum = torch.zeros((batch, self.fc_out.out_features), device=x.device)
        for t in range(steps):
            spk1, mem1 = self.lif1(self.bn1(self.fc1(x[:, t, :])), mem1)
            spk1 = self.drop1(spk1)
            spk2, mem2 = self.lif2(self.bn2(self.fc2(spk1)), mem2)
            spk2 = self.drop2(spk2)
            out_sum = out_sum + self.fc_out(spk2)
        return out_sum / float(steps)


class Hidden(nn.Module):
    """Loops over a sequential of neurons with hidden states, which are reset at the start."""

    def __init__(self, width: int, time: int) -> None:
        super().__init__()
        self.time, channels = time, width // 16
        neuron: dict[str, Any] = {"beta": 0.9, "threshold": 0.3, "init_hidden": True}
        neuron["spike_grad"] = surrogate.atan()
        self.net = nn.Sequential(
            nn.Conv2d(2, channels, 3, padding=1),
            snn.Leaky(**neuron),
            nn.MaxPool2d(2),
            nn.Conv2d(channels, channels, 3, padding=1),
            snn.Leaky(**neuron),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(channels * 4 * 4, CLASSES),
            snn.Leaky(**neuron, output=True),
        )

    def inputs(self, batch: int) -> tuple[torch.Tensor]:
        return (spikes(self.time, batch, 2, 16, 16),)

    def forward(self, data: torch.Tensor) -> torch.Tensor:
        spk_rec = []
        utils.reset(self.net)
        for step in range(data.size(0)):
            spk_out, _ = self.net(data[step])
            spk_rec.append(spk_out)
        return torch.stack(spk_rec)


class Lists(nn.Module):
    """Keeps layers in module lists and membranes in a list; learns decays and thresholds."""

    def __init__(self, width: int, time: int) -> None:
        super().__init__()
        self.time, self.width = time, width
        learnt: dict[str, Any] = {"beta": 0.9, "learn_beta": True, "learn_threshold": True}
        self.fcs = nn.ModuleList(nn.Linear(width, width) for _ in range(2))
        self.lifs = nn.ModuleList(snn.Leaky(**learnt) for _ in range(2))
        self.readout = nn.Linear(width, CLASSES)

    def inputs(self, batch: int) -> tuple[torch.Tensor]:
        return (2 * torch.rand(self.time, batch, self.width),)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        mems = [lif.init_leaky() for lif in self.lifs]
        per_layer: list[list[torch.Tensor]] = [[] for _ in self.lifs]
        for t in range(x.size(0)):
            cur = x[t]
            for i, (fc, lif) in enumerate(zip(self.fcs, self.lifs, strict=True)):
                cur, mems[i] = lif(fc(cur), mems[i])
                per_layer[i].append(cur)
        rates = [torch.stack(record).mean(dim=0) for record in per_layer]
        return self.readout(rates[-1]), rates


class Regression(nn.Module):
    """Predicts by a membrane that never resets; a hidden membrane feeds another readout."""

    def __init__(self, width: int, time: int) -> None:
        super().__init__()
        self.time, self.features = time, 3
        betas = torch.linspace(0.5, 0.95, width)
        self.fc_in = nn.Linear(self.features, width)
        self.lif_in = snn.Leaky(beta=betas, learn_beta=True, learn_threshold=True)
        self.fc_out = nn.Linear(width, 2)
        self.li_out = snn.Leaky(beta=0.8, learn_beta=True, reset_mechanism="none")
        self.aux = nn.Linear(width, 2)

    def inputs(self, batch: int) -> tuple[torch.Tensor]:
        return (2 * torch.randn(self.time, batch, self.features),)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        mem1 = self.lif_in.init_leaky()
        mem2 = self.li_out.init_leaky()
        rec, aux = [], []
        for step in range(x.shape[0]):
            spk1, mem1 = self.lif_in(self.fc_in(x[step, :, :]), mem1)
            _, mem2 = self.li_out(self.fc_out(spk1), mem2)
            rec.append(mem2)
            aux.append(self.aux(mem1))
        return torch.stack(rec), torch.stack(aux, 0).mean(0)


class Block(nn.Module):
    """A layer that takes its neuron's state and gives it back."""

    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(c_in, c_out, 3, padding=1)
        self.lif = snn.Leaky(beta=0.9)
        self.pool = nn.AvgPool1d(2)

    def forward(self, x: torch.Tensor, mem: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x, mem = self.lif(self.conv(x), mem)
        return self.pool(x), mem


class Blocks(nn.Module):
    """Hides a step in a method, which writes the list of the states of its blocks."""

    def __init__(self, width: int, time: int) -> None:
        super().__init__()
        self.time, channels = time, width // 8
        self.blocks = nn.ModuleList([Block(1, channels), Block(channels, channels)])
        self.head = nn.Linear(channels, CLASSES)

    def inputs(self, batch: int) -> tuple[torch.Tensor]:
        return (4 * torch.rand(batch, 1, 32),)

    def init_mems(self) -> list[torch.Tensor]:
        return [block.lif.init_leaky() for block in self.blocks]

    def time_step_forward(self, x: torch.Tensor, mems: list[torch.Tensor]) -> torch.Tensor:
        for i, block in enumerate(self.blocks):
            x, mems[i] = block(x, mems[i])
        return self.head(x.mean(dim=-1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mems = self.init_mems()
        outs = []
        for step in range(self.time):
            outs.append(self.time_step_forward(x * (1.0 if step % 2 else 0.5), mems))
        return torch.stack(outs)


class Streams(nn.Module):
    """Two independent streams in one loop, actor and critic, on features from outside of it."""

    def __init__(self, width: int, time: int) -> None:
        super().__init__()
        self.time, self.features_in = time, 6
        self.features = nn.Sequential(nn.Linear(self.features_in, width), nn.ReLU())
        self.p_fc, self.p_lif = nn.Linear(width, width), snn.Leaky(beta=0.9)
        self.v_fc, self.v_lif = nn.Linear(width, width), snn.Leaky(beta=0.8)
        self.action, self.value = nn.Linear(width, 3), nn.Linear(width, 1)

    def inputs(self, batch: int) -> tuple[torch.Tensor]:
        return (4 * torch.randn(batch, self.features_in),)

    def forward(self, obs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x = self.features(obs)
        p_mem, v_mem = self.p_lif.init_leaky(), self.v_lif.init_leaky()
        p_acc, v_acc = [], []
        for _ in range(self.time):
            p_spk, p_mem = self.p_lif(self.p_fc(x), p_mem)
            p_acc.append(p_spk)
            v_spk, v_mem = self.v_lif(self.v_fc(x), v_mem)
            v_acc.append(v_spk)
        mu = self.action(torch.stack(p_acc).mean(dim=0))
        return mu, self.value(torch.stack(v_acc).mean(dim=0))


class Feedback(nn.Module):
    """A recurrent connection written by hand: no layer can run before the others."""

    def __init__(self, width: int, time: int) -> None:
        super().__init__()
        self.time, self.width = time, width
        self.w_in = nn.Parameter(torch.randn(width, width) * 1.5 / width**0.5)
        self.w_rec = nn.Parameter(torch.randn(width, width) * 0.4 / width**0.5)
        self.neuron = snn.Synaptic(alpha=0.8, beta=0.9)
        self.readout = nn.Linear(width, CLASSES)

    def inputs(self, batch: int) -> tuple[torch.Tensor]:
        return (torch.rand(batch, self.time, self.width),)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        b, steps, c = x.shape
        h = (x.reshape(b * steps, c) @ self.w_in).reshape(b, steps, -1)
        syn = torch.zeros(b, h.shape[-1], device=x.device, dtype=h.dtype)
        mem, prev = torch.zeros_like(syn), torch.zeros_like(syn)
        spikes, mems = [], []
        for t in range(steps):
            spk, syn, mem = self.neuron(h[:, t] + prev @ self.w_rec, syn, mem)
            spikes.append(spk)
            mems.append(mem)
            prev = spk
        out = {"spikes": torch.stack(spikes, dim=1)}
        out["logits"] = self.readout(out["spikes"].mean(dim=1))
        out["mem"] = torch.stack(mems, dim=1)
        return out


class Step(nn.Module):
    """Takes one step and hands the states to its caller, who loops."""

    def __init__(self, width: int, time: int) -> None:
        super().__init__()
        self.time, self.features = time, 6
        self.fc1, self.lif1 = nn.Linear(self.features, width), snn.Leaky(beta=0.9)
        self.fc2, self.lif2 = nn.Linear(width, 3), snn.Leaky(beta=0.9, reset_mechanism="none")

    def inputs(self, batch: int) -> tuple[torch.Tensor]:
        return (2 * torch.randn(batch, self.features),)

    def forward(self, x: torch.Tensor, state: Any = None) -> tuple[torch.Tensor, Any]:
        mem1, mem2 = state or (self.lif1.init_leaky(), self.lif2.init_leaky())
        spk1, mem1 = self.lif1(self.fc1(x), mem1)
        _, mem2 = self.lif2(self.fc2(spk1), mem2)
        return mem2, (mem1, mem2)


def rollout(net: nn.Module, x: torch.Tensor, time: int) -> torch.Tensor:
    """Return the outputs of a network that takes one step at each call."""
    state, outs = None, []
    for step in range(time):
        y, state = net(x * (1.0 if step % 2 else 0.5), state)
        outs.append(y)
    return torch.stack(outs)


PATTERNS = {
    "static": Static,
    "quickstart": Quickstart,
    "traces": Traces,
    "records": Records,
    "images": Images,
    "accumulator": Accumulator,
    "hidden": Hidden,
    "lists": Lists,
    "regression": Regression,
    "blocks": Blocks,
    "streams": Streams,
    "feedback": Feedback,
    "step": Step,
}


def run(net: nn.Module, *args: torch.Tensor) -> Any:
    """Call a network as its users do."""
    return rollout(net, *args, net.time) if isinstance(net, Step) else net(*args)

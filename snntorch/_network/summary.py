"""A network at a glance: sizes, firing rates, operations and energy of each layer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .. import utils
from .._checks import check_net
from .._layers.graded_spikes import GradedSpikes
from .._neurons.associative import AssociativeLeaky
from .._neurons.leakyparallel import LeakyParallel
from .._neurons.neurons import SpikingNeuron
from .._neurons.recurrent import RecurrentLIF
from .._neurons.slstm import SLSTM
from .._neurons.stateleaky import StateLeaky
from .._table import table
from .graph import undisturbed
from .rules import takes_sequences
from .signal import Signal
from .unroll import Unroll

if TYPE_CHECKING:
    from numpy.typing import NDArray

ADDITION = 0.9
"""Energy of a 32-bit floating point addition in picojoules, at 45 nm (Horowitz 2014)."""
MULTIPLY_ADD = 4.6
"""Energy of a multiplication (3.7 pJ) and an addition in picojoules, at 45 nm."""

# How many products each element of the input takes part in ------------------------------------


def _to_all(outputs: int, x: Tensor) -> Tensor:
    return torch.full_like(x, outputs, dtype=torch.int64)


def _through(run: Callable[[Tensor, Tensor], Tensor], weight: Tensor, x: Tensor) -> Tensor:
    """Return the fan-out of a linear layer: its gradient with all weights 1, exact at borders."""
    ones = torch.ones(weight.shape, dtype=torch.float32, device=x.device)
    with torch.enable_grad():
        zeros = torch.zeros(x.shape, dtype=torch.float32, device=x.device, requires_grad=True)
        (fan_out,) = torch.autograd.grad(run(zeros, ones).sum(), zeros)
    return fan_out.round().long()


def _conv(layer: Any, x: Tensor) -> Tensor:
    return _through(lambda zeros, ones: layer._conv_forward(zeros, ones, None), layer.weight, x)


def _transposed(layer: Any, x: Tensor) -> Tensor:
    run = getattr(F, f"conv_transpose{layer.weight.dim() - 2}d")
    how = (layer.stride, layer.padding, layer.output_padding, layer.groups, layer.dilation)
    return _through(lambda zeros, ones: run(zeros, ones, None, *how), layer.weight, x)


_FAN_OUT: dict[Any, Callable[[Any, Tensor], Tensor]] = {
    nn.Linear: lambda layer, x: _to_all(layer.out_features, x),
    (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d): _transposed,
    (nn.Conv1d, nn.Conv2d, nn.Conv3d): _conv,
}

# What is recorded ------------------------------------------------------------------------------


@dataclass
class _Record:
    """Counts of one layer's activity."""

    shape: tuple[int, ...] | None = None
    calls: int = 0
    counts: Tensor | None = None
    """Spikes of each neuron and sample."""
    additions: float = 0
    products: float = 0
    dense: float = 0
    fan_out: dict[Any, Tensor] = field(default_factory=dict)

    def operate(self, x: Tensor, fan_out: Tensor) -> None:
        """Count the operations of an input; one of zeros and (signed) ones needs no products."""
        operations = fan_out[x != 0].sum().item()
        if bool(((x == 0) | (x.abs() == 1)).all()):
            self.additions += operations
        else:
            self.products += operations
        self.dense += fan_out.sum().item()


def _rule(layer: nn.Module) -> Callable[[Any, Tensor], Tensor] | None:
    return next((rule for kinds, rule in _FAN_OUT.items() if isinstance(layer, kinds)), None)


def _watch_weights(record: _Record) -> Callable[..., None]:
    """Count the operations of a layer with weights."""

    def hook(layer: Any, args: Any, kwargs: dict[str, Any], out: Tensor) -> None:
        x, rule = args[0] if args else kwargs["input"], _rule(layer)
        assert rule is not None
        if x.shape not in record.fan_out:
            record.fan_out[x.shape] = rule(layer, x)
        record.operate(x, record.fan_out[x.shape])

    return hook


def _watch(record: _Record, over_time: bool) -> Callable[..., None]:
    """Count the steps of a layer, the spikes of a neuron, and the operations of recurrent weights
    that are not a separate layer.

    :param over_time: whether a call takes all steps, and time is the first dimension
    """
    last: list[Tensor] = []

    def hook(layer: Any, args: Any, kwargs: dict[str, Any], out: Any) -> None:
        out = out[0] if isinstance(out, tuple) and out else out
        if not isinstance(out, Tensor):
            record.calls += 1
            return
        steps = out if over_time else out[None]
        record.calls += len(steps)
        record.shape = tuple(steps.shape[1:])
        if not isinstance(layer, SpikingNeuron) or not _gives_spikes(layer):
            return
        fired = (steps != 0).sum(0)
        record.counts = fired if record.counts is None else record.counts + fired
        fan_out: int = 1
        fed_back: Any = out
        if isinstance(layer, SLSTM):
            fan_out, fed_back = 4 * layer.hidden_size, layer.mem
            x = args[0] if args else kwargs["input_"]
            record.operate(x, _to_all(fan_out, x))
        if isinstance(layer, SLSTM) or _one_to_one(layer):
            before = last[0] if last else torch.zeros_like(fed_back)
            record.operate(before, _to_all(fan_out, before))
            last[:] = [fed_back]

    return hook


def _gives_spikes(layer: Any) -> bool:
    """Tell whether a neuron's first output is spikes, not its membrane or the result of a query."""
    if isinstance(layer, StateLeaky):
        return layer.output
    return not (isinstance(layer, AssociativeLeaky) and layer.use_q_projection)


def _one_to_one(layer: nn.Module) -> bool:
    return isinstance(layer, RecurrentLIF) and not layer.all_to_all


# The table -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """Numbers of one layer; None where a number does not apply."""

    path: str
    """Path of the layer in the network, such as ``"2"`` or ``"block.1"``."""
    name: str
    """The layer's class."""
    shape: tuple[int, ...] | None
    """Shape of the output of one step; None if there was no call or no tensor."""
    parameters: int
    """Number of parameters, each counted at the first layer that has it."""
    neurons: int | None = None
    """Number of spiking neurons."""
    rate: float | None = None
    """Spikes per neuron and step."""
    silent: int | None = None
    """Number of neurons that never fire, in any sample."""
    saturated: int | None = None
    """Number of neurons that fire at each step of each sample. A single pause, as while the first
    spikes arrive or in a refractory period, is enough not to count; ``rate`` then shows how close
    they are."""
    additions: float | None = None
    """Synaptic operations per sample that only add a weight."""
    products: float | None = None
    """Synaptic operations per sample that multiply first, where the input is not a spike."""
    dense: float | None = None
    """Multiply-accumulates per sample of the dense network, in one step."""

    @property
    def operations(self) -> float | None:
        """Synaptic operations per sample, over all steps."""
        return None if self.additions is None else self.additions + (self.products or 0)

    @property
    def energy(self) -> float | None:
        """Energy of the operations in joules."""
        if self.additions is None or self.products is None:
            return None
        return 1e-12 * (ADDITION * self.additions + MULTIPLY_ADD * self.products)


def _row(
    path: str, layer: nn.Module, parameters: int, record: _Record, batch: int, num_steps: int
) -> Row:
    known: dict[str, Any] = {}
    if record.counts is not None and record.shape is not None:
        counts = record.counts
        rows = counts.reshape(batch, -1) if counts.shape[:1] == (batch,) else counts.reshape(1, -1)
        known = {
            "neurons": rows.shape[1],
            "rate": counts.sum().item() / (counts.numel() * record.calls),
            "silent": int((rows == 0).all(0).sum()),
            "saturated": int((rows == record.calls).all(0).sum()),
        }
    if record.dense:
        known |= {"additions": record.additions / batch, "products": record.products / batch}
        known["dense"] = record.dense / batch / num_steps
    return Row(path, type(layer).__name__, record.shape, parameters, **known)


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if value == int(value) else f"{value:,.1f}"


def _joules(value: float | None) -> str:
    if value is None:
        return ""
    unit, name = next(
        (
            (unit, name)
            for unit, name in ((1e-3, "mJ"), (1e-6, "uJ"), (1e-9, "nJ"))
            if value >= unit
        ),
        (1e-12, "pJ"),
    )
    return f"{value / unit:.3g} {name}"


class Summary(tuple[Row, ...]):
    """One :class:`Row` for each layer; a table when printed."""

    batch: int
    """Number of samples that were run."""
    num_steps: int
    """Number of time steps that were run."""
    uncounted: tuple[str, ...]
    """Paths of the layers with weights whose operations are not counted."""

    def total(self, name: str) -> float:
        """Return the sum of a column over the layers that have it.

        :param name: attribute of :class:`Row`, such as ``"dense"``
        :returns: the sum
        """
        return sum(value for row in self if (value := getattr(row, name)) is not None)

    @property
    def dense_energy(self) -> float:
        """Energy of one step of the dense network in joules."""
        return 1e-12 * MULTIPLY_ADD * self.total("dense")

    def __str__(self) -> str:
        head = ("layer", "class", "output", "parameters", "neurons", "rate", "silent", "saturated")
        lines: list[tuple[str, ...]] = [(*head, "synaptic ops", "dense MACs", "energy")]
        for row in self:
            shape = "x".join(map(str, row.shape or ()))
            rate = "" if row.rate is None else f"{row.rate:.4f}"
            unknown = "?" if row.path in self.uncounted else ""
            sizes = [_number(row.parameters or None), _number(row.neurons), rate]
            sizes += [_number(row.silent), _number(row.saturated)]
            work = [_number(row.operations) or unknown, _number(row.dense) or unknown]
            lines.append((row.path, row.name, shape, *sizes, *work, _joules(row.energy)))
        columns = ("parameters", "neurons", "silent", "saturated", "operations", "dense")
        totals = {name: _number(self.total(name)) for name in columns}
        sums = [totals["parameters"], totals["neurons"], "", totals["silent"], totals["saturated"]]
        work = [totals["operations"], totals["dense"], _joules(self.total("energy"))]
        lines.append(("total", "", "", *sums, *work))
        notes = [
            f"Operations and energy are for one sample, the mean of {self.batch}: synaptic ones "
            f"over {self.num_steps} time steps,",
            f"dense ones for one step, which take {_joules(self.dense_energy)}. An addition takes "
            f"{ADDITION} pJ, with a multiplication",
            f"{MULTIPLY_ADD} pJ (32-bit floats at 45 nm, Horowitz 2014). Memory, biases and the "
            "neurons' own updates are left out.",
        ]
        if self.uncounted:
            names = (row.path or row.name for row in self if row.path in self.uncounted)
            notes.append(f"Operations are not known for {', '.join(names)}.")
        return "\n".join([table(lines, left=3), "", *notes])

    __repr__ = __str__

    def plot(self, axes: Any = None) -> NDArray[Any]:
        """Draw the firing rates, and the operations next to those of the dense network.

        :param axes: two axes. Default: ``None``, for a new figure
        :returns: the axes.
        :raises ValueError: if ``axes`` does not hold two axes.
        """
        from .. import spikeplot

        rates, work = axes = spikeplot._panels(axes, 2, sharex=False)
        firing = [row for row in self if row.rate is not None]
        active = [row for row in self if row.operations is not None]
        for ax, rows in ((rates, firing), (work, active)):
            names = [f"{row.path} {row.name}".strip() for row in rows]
            ax.set_yticks(range(len(rows)), names, size="small")
            ax.set_ylim(len(rows) - 0.4, -0.6)
        blue, orange = spikeplot.PALETTE[0], spikeplot.PALETTE[4]
        rates.barh(range(len(firing)), [row.rate or 0 for row in firing], 0.6, color=blue)
        for i, row in enumerate(firing):
            silent = f" {(row.silent or 0) / max(row.neurons or 1, 1):.0%} silent"
            rates.text(row.rate or 0, i, silent, va="center", size="small")
        rates.margins(x=0.35)
        places, low = torch.arange(len(active)), 0.3
        spiking, dense = (
            [getattr(row, name) for row in active] for name in ("operations", "dense")
        )
        work.barh(places - 0.2, spiking, 0.36, color=blue, label=f"spiking, {self.num_steps} steps")
        work.barh(places + 0.2, dense, 0.36, color=orange, label="dense, one")
        work.set_xscale("log")
        work.set_xlim(
            left=low * max(min([each for each in (*spiking, *dense) if each], default=1), 1)
        )
        above = {"loc": "lower left", "bbox_to_anchor": (0, 1), "ncols": 2, "borderaxespad": 0}
        work.legend(**above, frameon=False, fontsize="small", handlelength=1, columnspacing=1)
        spikeplot._tidy(rates, xlabel="spikes per neuron and step")
        spikeplot._tidy(work, xlabel="operations per sample")
        return axes


def _uncounted(layer: nn.Module) -> bool:
    """Tell whether a layer has weights but no rule for their operations."""
    if isinstance(layer, SpikingNeuron):
        return isinstance(layer, LeakyParallel)
    left_out = isinstance(layer, nn.LayerNorm | GradedSpikes)
    return not left_out and any(each.dim() > 1 for each in layer.parameters(recurse=False))


def _whole(layer: nn.Module) -> bool:
    """Tell whether a layer counts as one with its parts, such as recurrent weights."""
    return isinstance(layer, SpikingNeuron) or _rule(layer) is not None


def _layers(net: nn.Module, path: str, seen: set[int]) -> Iterator[tuple[str, nn.Module]]:
    """Yield the innermost modules, and those that have parameters themselves, once each."""
    if id(net) in seen:
        return
    seen.add(id(net))
    if _whole(net) or not net._modules or net._parameters:
        yield path, net
    if not _whole(net):
        for name, child in net.named_children():
            yield from _layers(child, f"{path}.{name}" if path else name, seen)


def summary(net: nn.Module, x: Tensor, num_steps: int | None = None) -> Summary:
    r"""Run a network, and report the size, activity and cost of each layer.

    A synaptic operation is one weight applied to one nonzero input. The number of synaptic
    operations of a layer, for one sample, is the mean over the batch of

    .. math:: \sum_{t=1}^{T} \sum_i [x_i[t] \ne 0] \, f_i

    with the fan-out :math:`f_i`, the number of products that input :math:`i` takes part in; it is
    exact at the borders of convolutions. The dense network computes :math:`\sum_i f_i`
    multiply-accumulates in one step. Inputs of -1, 0 and 1 need only additions, at 0.9 pJ each;
    others, such as pixels and averaged spikes, also need products, at 4.6 pJ for both. Memory
    access, which takes most of the energy of real machines, is left out, and so are biases,
    normalization and the neurons' own updates.

    The neurons are reset, and the network is called step by step in its current mode. Its states
    and buffers and the random numbers are restored afterwards. A network with :class:`Unroll`, or
    with neurons that take whole sequences, is called once. For any other network that runs all its
    steps in one call from a batch [B, ...], pass ``num_steps=1``: each number is for that call.

    :param net: a network that is called once per time step, or once for all steps as above
    :param x: input [T, B, ...], time first; with ``num_steps``, one batch [B, ...] that is shown at
        every step
    :param num_steps: number of time steps T of an input that does not change. Default: ``None``,
        the input has a time dimension
    :returns: the numbers of each layer; ``print`` shows them as a table, ``.plot()`` draws them.
    :raises TypeError: if ``net`` is not a module, ``x`` is not a tensor, or ``num_steps`` is not an
        integer.
    :raises ValueError: if there is no time step or no sample.

    Source of the energies: M. Horowitz, *Computing's energy problem (and what we can do about it)*,
    ISSCC 2014.
    """
    check_net(net)
    steps = Signal.of(x, num_steps).num_steps
    if not x.dim() or not x.numel():
        raise ValueError(f"x has shape {tuple(x.shape)}; at least one sample is needed.")
    unrolls = [part for part in net.modules() if isinstance(part, Unroll)]
    at_once = bool(unrolls) or any(map(takes_sequences, net.modules()))
    if at_once:
        num_steps = unrolls[0].num_steps if unrolls else None
        steps = num_steps or len(x)
    batch = x.shape[0] if num_steps is not None else x.shape[1] if x.dim() > 1 else 1
    layers = dict(_layers(net, "", set()))
    records, handles = {path: _Record() for path in layers}, []
    for path, layer in layers.items():
        for part in layer.modules() if _whole(layer) else (layer,):
            if _rule(part):
                hook = _watch_weights(records[path])
                handles.append(part.register_forward_hook(hook, with_kwargs=True))
        over_time = takes_sequences(layer) or (at_once and not unrolls)
        hook = _watch(records[path], over_time)
        handles.append(layer.register_forward_hook(hook, with_kwargs=True))
    try:
        with undisturbed(net), torch.no_grad():
            utils.reset(net)
            for step in range(1 if at_once else steps):
                net(x if at_once or num_steps is not None else x[step])
    finally:
        for handle in handles:
            handle.remove()
    rows, seen = [], set[int]()
    for path, layer in layers.items():
        parts = layer.parameters(recurse=_whole(layer))
        own = [each for each in parts if id(each) not in seen]
        seen.update(map(id, own))
        parameters = sum(each.numel() for each in own)
        rows.append(_row(path, layer, parameters, records[path], batch, steps))
    result = Summary(rows)
    result.batch, result.num_steps = batch, steps
    result.uncounted = tuple(
        row.path
        for row, layer in zip(rows, layers.values(), strict=True)
        if row.operations is None and _uncounted(layer)
    )
    return result

"""The documented values of losses, accuracies and encoders, computed one number at a time.

``right(name, kwargs, args)`` returns the results of a call as a list of tensors, with a graph to
``args[0]``, or raises ``Refused`` with the start of the error message. The accuracies are floats.
"""

import math
from fractions import Fraction

import numpy as np
import torch


class Refused(Exception):
    """The call is to raise an error with this text."""


class Random(Exception):
    """The call draws random numbers."""


def right(name, kwargs, args):
    if name.startswith(("ce_", "mse_")):
        return [loss(name, *args, **kwargs)]
    return list(globals()[name](*args, **kwargs))


def exactly(rate):
    """A rate as the decimal number that was written."""
    return Fraction(rate if isinstance(rate, int) else repr(rate)).limit_denominator(10**6)


# Losses --------------------------------------------------------------------------------------


def wide(spikes):
    """The type of a result: half precision, integers and booleans are cast."""
    return torch.promote_types(spikes.dtype, torch.float32)


def summed(spikes, population_code, num_classes):
    """The outputs as one trace for each class; the classes come last."""
    outputs = spikes.double()
    outputs = outputs.movedim(2, -1) if outputs.dim() > 2 else outputs
    if not population_code:
        return outputs
    if isinstance(num_classes, bool):
        raise Refused(f"num_classes is {num_classes}, but population_code=True")
    neurons, rest = divmod(outputs.shape[-1], num_classes)
    if rest:
        raise Refused(f"num_classes is {num_classes}, which does not divide")
    blocks = [outputs[..., k * neurons : (k + 1) * neurons] for k in range(num_classes)]
    return torch.stack([block.sum(-1) for block in blocks], -1)


def checked(targets, shape, num_classes, ignored=None):
    if targets.shape != shape:
        raise Refused("targets has shape")
    for target in targets.flatten().tolist():
        if target != ignored and target not in range(num_classes):
            raise Refused(f"targets holds class {int(target)}")
    return [int(target) for target in targets.flatten()]


def loss(
    name,
    spikes,
    targets,
    reduction="mean",
    weight=None,
    population_code=False,
    num_classes=False,
    **options,
):
    if reduction not in ("mean", "sum", "none"):
        raise Refused("reduction is")
    if weight is not None and weight.dim() != 1:
        raise Refused("weight has shape")
    if options.get("inverse", "negate") not in ("negate", "reciprocal"):
        raise Refused("inverse is")
    outputs = summed(spikes, population_code, num_classes)
    one_sample = name.startswith("ce_") and targets.dim() == 0
    if name.startswith("mse_") and outputs.dim() != 3:
        raise Refused("spk_out has shape")
    if weight is not None and len(weight) != outputs.shape[-1]:
        raise Refused("weight has 3 entries")
    weights = [1.0] * outputs.shape[-1] if weight is None else weight.double().tolist()
    if name.startswith("ce_"):
        classes = checked(targets, outputs.shape[1:-1], outputs.shape[-1], ignored=-100)
        traces = outputs.flatten(1, -2).unbind(1) if not one_sample else [outputs]
        each, factors = [], []
        for trace, y in zip(traces, classes, strict=True):
            each.append(entropy(name, trace, y, **options) if y != -100 else 0 * trace.sum())
            factors.append(weights[y] if y != -100 else 0.0)
        each = torch.stack(each) * torch.tensor(factors).double()
        count = len(each)
        if weight is None or name == "ce_temporal_loss":
            count = sum(factors)
        each = each.reshape(targets.shape)
    else:
        each, factors = SQUARES[name](outputs, spikes.shape[-1], targets, weights, **options)
        each = each * factors
        count = each.numel()
    mean = each.sum() / count if count else each.sum() + math.nan
    given = {"none": each, "sum": each.sum(), "mean": mean}[reduction].to(wide(spikes))
    over_time = name in ("ce_rate_loss", "mse_membrane_loss") and weight is None
    return given.reshape(1) if over_time and reduction != "none" else given


def entropy(name, trace, y, inverse="negate"):
    """The cross-entropy of the record [T, K] of one sample of class y."""
    if name == "ce_rate_loss":
        return torch.stack([row.exp().sum().log() - row[y] for row in trace]).mean()
    if name == "ce_count_loss":
        logits = trace.sum(0)
    elif name == "ce_max_membrane_loss":
        logits = trace.max(0).values
    else:
        times = torch.stack([first_times(neuron, 1)[0] for neuron in trace.T])
        logits = -times if inverse == "negate" else 1 / (1 + times)
    return logits.exp().sum().log() - logits[y]


def of_classes(outputs, classes, weights):
    """The weight of every element of [B, K]: that of the class of its sample."""
    return torch.tensor([[weights[y]] * outputs.shape[-1] for y in classes]).double()


def count_errors(outputs, num_outputs, targets, weights, correct_rate=1, incorrect_rate=0):
    steps, batch, num_classes = outputs.shape
    classes = checked(targets, (batch,), num_classes)
    wanted = torch.zeros(batch, num_classes).double()
    for b, k in np.ndindex(batch, num_classes):
        rate = correct_rate if classes[b] == k else incorrect_rate
        wanted[b, k] = int(exactly(rate) * steps * (num_outputs // num_classes))
    return (outputs.sum(0) - wanted) ** 2 / steps, of_classes(outputs, classes, weights)


def membrane_errors(
    outputs, num_outputs, targets, weights, time_var_targets=False, on_target=1, off_target=0
):
    steps, batch, num_classes = outputs.shape
    if time_var_targets and targets.shape == outputs.shape:
        return ((outputs - targets) ** 2).mean(0), torch.tensor(weights).double()
    shape = (steps, batch) if time_var_targets else (batch,)
    classes = torch.tensor(checked(targets, shape, num_classes)).reshape(shape)
    table, factors = torch.full(outputs.shape, float(off_target)).double(), torch.ones_like(outputs)
    for (t, b), y in np.ndenumerate(classes.expand(steps, batch).numpy()):
        table[t, b, y], factors[t, b] = on_target, weights[y]
    return (factors * (outputs - table) ** 2).mean(0), 1


def time_errors(outputs, num_outputs, targets, weights, **options):
    times, wanted = SpikeTime(outputs, targets, **options)
    errors = ((times - wanted) / len(outputs)) ** 2
    if options.get("target_is_time"):
        return errors, torch.tensor(weights).double()
    return errors, of_classes(outputs, targets.long().tolist(), weights)


SQUARES = {
    "mse_count_loss": count_errors,
    "mse_membrane_loss": membrane_errors,
    "mse_temporal_loss": time_errors,
}


def first_times(neuron, count):
    """The times of the first spikes of one neuron; a missing one counts at the last step."""
    steps = [t for t, spike in enumerate(neuron.tolist()) if spike != 0][:count]
    steps += [len(neuron) - 1] * (count - len(steps))
    return torch.stack([t - (neuron[t] - neuron[t].detach()) for t in steps])


def SpikeTime(
    spikes,
    targets,
    target_is_time=False,
    on_target=0,
    off_target=-1,
    tolerance=0,
    multi_spike=False,
):
    on, off = (torch.as_tensor(times).flatten().tolist() for times in (on_target, off_target))
    if len(on) != len(off) or (len(on) > 1 and not multi_spike):
        raise Refused(f"on_target holds {len(on)} and off_target {len(off)}")
    if spikes.dim() != 3:
        raise Refused("spk_out has shape")
    steps, batch, neurons = spikes.shape
    if target_is_time:
        allowed = [(len(targets), batch, neurons), (len(targets), 1, neurons)]
        if targets.shape not in (allowed if multi_spike else [(batch, neurons), (neurons,)]):
            raise Refused("targets has shape")
        wanted, count = targets, len(targets) if multi_spike else 1
    else:
        classes, count = checked(targets, (batch,), neurons), len(on)
        wanted = torch.tensor(
            [
                [[on[f] if k == y else off[f] for k in range(neurons)] for y in classes]
                for f in range(count)
            ],
            dtype=wide(spikes),
        )
        wanted = wanted if multi_spike else wanted[0]
    wanted = torch.where(wanted < 0, wanted + steps, wanted)
    times = [first_times(neuron, count) for neuron in spikes.double().flatten(1).T]
    times = torch.stack(times, 1).reshape(count, batch, neurons)
    times = times if multi_spike else times[0]
    moved = times - times.detach() + wanted  # the gradient passes
    times = torch.where((times - wanted).abs() < tolerance, moved, times)
    return times.to(wide(spikes)), wanted


# Accuracies, the regularizer ----------------------------------------------------------------


def accuracy_rate(spikes, targets, population_code=False, num_classes=False):
    counts = summed(spikes, population_code, num_classes).sum(0)
    return share_of_best([row.index(max(row)) for row in rows(counts)], counts, targets)


def accuracy_temporal(spikes, targets):
    outputs = summed(spikes, False, False)
    times = torch.tensor([first_times(each, 1)[0] for each in outputs.flatten(1).T])
    times = times.reshape(outputs.shape[1:])
    return share_of_best([row.index(min(row)) for row in rows(times)], times, targets)


def rows(table):
    return table.reshape(-1, table.shape[-1]).tolist()


def share_of_best(best, table, targets):
    if targets.shape != table.shape[:-1]:
        raise Refused("targets has shape")
    hits = [y == target for y, target in zip(best, targets.flatten().tolist(), strict=True)]
    return [sum(hits) / len(hits)]


def l1_rate_sparsity(spikes, Lambda=1e-5):
    return [(Lambda * spikes.double().sum()).to(wide(spikes))]


# Encoders ------------------------------------------------------------------------------------


def latency_code(
    data,
    num_steps=False,
    threshold=0.01,
    tau=1,
    first_spike_time=0,
    normalize=False,
    linear=False,
    epsilon=1e-7,
):
    values, last = data.to(wide(data)), num_steps - 1 - first_spike_time
    if linear:
        tau = last if normalize else tau
        times = tau * (1 - values.clamp(min=threshold))
        if normalize and times.min() < 0:
            times = times - times.min()
            times = times * last / times.max()
    else:
        if epsilon == 0 and values.min() <= threshold:
            raise Refused("epsilon is 0")
        values = values.clamp(min=torch.tensor(threshold + epsilon, dtype=values.dtype))
        times = tau * torch.log(values / (values - threshold))
        if normalize:
            times = times * last / times.max()
    return times + first_spike_time, data < threshold


def latency_code_linear(data, **options):
    return [latency_code(data, linear=True, **options)[0]]


def latency_code_log(data, **options):
    return [latency_code(data, **options)[0]]


def latency(
    data,
    num_steps=False,
    on_target=1,
    off_target=0,
    clip=False,
    interpolate=False,
    bypass=False,
    **options,
):
    times, below = latency_code(data, num_steps=num_steps, **options)
    times = [round(time) for time in times.flatten().tolist()]
    num_steps = num_steps or max(times) + 1
    fires = [not (clip and each) for each in below.flatten().tolist()]
    late = [time for time, fire in zip(times, fires, strict=True) if fire and time >= num_steps]
    if late and not bypass:
        raise Refused(f"num_steps is {num_steps}, but the latest spike comes at step {max(late)}")
    trains = [
        level([time] if fire else [], num_steps, 0, on_target, off_target, interpolate)
        for time, fire in zip(times, fires, strict=True)
    ]
    return [torch.tensor(trains).T.reshape(num_steps, *data.shape)]


def level(times, num_steps, first, on, off, interpolate):
    """The levels of one train: off, on at the spikes, and on request rising in between."""
    levels, start = [float(off)] * num_steps, first
    for time in sorted(time for time in times if time < num_steps):
        if interpolate:
            for t in range(start, time):
                levels[t] = off + (on - off) * (t - start) / (time - start)
        levels[time], start = float(on), time + 1
    return levels


def rate_interpolate(times, num_steps, on_target=1, off_target=0):
    if max(times.tolist()) >= num_steps:
        raise Refused("spike_time holds a time outside the steps")
    return [torch.tensor(level(times.tolist(), num_steps, 0, on_target, off_target, True))]


def rate(data, num_steps=False, gain=1, offset=0, first_spike_time=0, time_var_input=False):
    data = data if data.is_floating_point() else data.float()
    chance = (gain * data + offset).clamp(0, 1)
    torch.manual_seed(5)
    if time_var_input:
        silent = torch.zeros(first_spike_time, *data.shape[1:]).to(data)
        return [torch.cat([silent, torch.bernoulli(chance)])]
    spikes = torch.bernoulli(torch.stack([chance] * num_steps))
    spikes[:first_spike_time] = 0
    return [spikes]


def rate_conv(data):
    return rate(data, 1)[0]


def delta(data, threshold=0.1, padding=False, off_spike=False):
    spikes = torch.zeros(data.shape)
    for place in torch.cartesian_prod(*map(torch.arange, data.shape)).tolist():
        t, *rest = place
        before = data[(max(t - 1, 0), *rest)].item() if t or padding else 0
        change = data[tuple(place)].item() - before
        spikes[tuple(place)] = int(change >= threshold) - int(off_spike and change <= -threshold)
    return [spikes]


def from_one_hot(code):
    found = [[k for k, value in enumerate(row) if value] for row in rows(code)]
    if set(code.flatten().tolist()) - {0, 1} or any(len(row) != 1 for row in found):
        raise Refused("one_hot_label has a row that is not a single 1 among zeros")
    return [torch.tensor([row[0] for row in found])]


def regular(rate, steps):
    """The steps of a regular train: the whole parts of k / rate."""
    count = math.ceil(exactly(rate) * steps)
    return [math.floor(k / exactly(rate)) for k in range(count)]


def target_rate_code(num_steps, first_spike_time=0, rate=1, firing_pattern="regular"):
    if first_spike_time >= num_steps:
        raise Refused(f"first_spike_time is {first_spike_time}")
    if firing_pattern not in ("regular", "uniform", "poisson"):
        raise Refused("firing_pattern is")
    if firing_pattern == "regular" or rate in (0, 1):
        times = [first_spike_time + t for t in regular(rate, num_steps - first_spike_time)]
        return [
            torch.tensor(level(times, num_steps, 0, 1, 0, False)),
            torch.tensor(times, dtype=torch.int64),
        ]
    raise Random


def targets_rate(
    targets,
    num_classes,
    num_steps=False,
    first_spike_time=0,
    correct_rate=1,
    incorrect_rate=0,
    on_target=1,
    off_target=0,
    firing_pattern="regular",
    interpolate=False,
):
    if (correct_rate, incorrect_rate, first_spike_time) == (1, 0, 0):
        chosen = [
            [on_target if k == y else off_target for k in range(num_classes)]
            for y in targets.tolist()
        ]
        return [torch.tensor(chosen, dtype=torch.float32)]
    steps = num_steps - first_spike_time
    trains = [
        [
            level(
                [
                    first_spike_time + t
                    for t in target_rate_code(
                        steps, 0, correct_rate if k == y else incorrect_rate, firing_pattern
                    )[1].tolist()
                ],
                num_steps,
                first_spike_time,
                on_target,
                off_target,
                interpolate,
            )
            for k in range(num_classes)
        ]
        for y in targets.tolist()
    ]
    return [torch.tensor(trains).movedim(-1, 0)]


def targets_latency(targets, num_classes, **options):
    code = [[float(k == y) for k in range(num_classes)] for y in targets.tolist()]
    return latency(torch.tensor(code), **options)


def targets_convert(targets, num_classes, code="rate", **options):
    if code not in ("rate", "latency"):
        raise Refused("code is")
    function = targets_rate if code == "rate" else targets_latency
    return function(targets, num_classes, **options)

"""Training loops: one call trains a network for one epoch, on every batch of a data loader."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any
from warnings import warn

import torch
from torch import Tensor, nn
from tqdm import tqdm

from . import utils
from ._checks import check_count, check_net
from ._network.signal import Signal
from ._network.unroll import through_time

__all__ = ["BPTT", "RTRL", "TBPTT"]

# The first sentence is that of 1.0.0, spaces included: filters match it.
warn(
    "The module snntorch.backprop will be deprecated in  a future release. Write a training loop "
    "around snntorch.unroll instead; the documentation page on training has recipes.",
    DeprecationWarning,
    stacklevel=2,
)

Criterion = Callable[[Tensor, Tensor], Tensor]
Regularization = Callable[[Tensor], Tensor] | bool


def BPTT(
    net: nn.Module,
    dataloader: Iterable[tuple[Tensor, Tensor]],
    optimizer: torch.optim.Optimizer,
    criterion: Criterion,
    num_steps: int | bool = False,
    time_var: bool = True,
    time_first: bool = True,
    regularization: Regularization = False,
    device: torch.device | str = "cpu",
    *,
    progress: bool = False,
) -> Tensor:
    r"""Train for one epoch by backpropagation through time.

    For each batch the network starts from reset neurons, runs through all :math:`T` time steps,
    and makes one update with the gradient of

    .. math:: \mathcal{L} = \mathrm{criterion}(Y, y) + \mathrm{regularization}(S)

    with the output :math:`Y` and the spikes :math:`S` of all steps and the targets :math:`y`.

    :param net: network that takes one time step ``[B, ...]`` at each call and returns spikes, or
        spikes and states, of which the last is the membrane potential. Its neurons keep their
        states (``init_hidden=True``); the last one may be built in any way. It is moved to
        ``device`` and put into training mode
    :param dataloader: batches of data and targets. Data are ``[T, B, ...]``, and targets whatever
        the criterion takes
    :param optimizer: optimizer of the network's parameters
    :param criterion: any function of the output ``[T, B, ...]`` and the targets that returns one
        number. The output is the spikes; for a criterion whose ``__name__`` ends in
        ``membrane_loss``, such as :class:`~snntorch.functional.loss.mse_membrane_loss`, it is the
        membrane potentials
    :param num_steps: number :math:`T` of time steps, for data that do not vary in time only
    :param time_var: whether the data have a time axis; False for batches ``[B, ...]``, each shown
        at every step; default True
    :param time_first: whether that axis comes first; False for data ``[B, T, ...]``; default True
    :param regularization: function of the output spikes ``[T, B, ...]``, such as
        :class:`~snntorch.functional.reg.l1_rate_sparsity`; default False, none
    :param device: where the network, the data and the targets are moved to; default ``"cpu"``
    :param progress: show a progress bar; default False
    :returns: the loss, averaged over the batches and detached, in the shape of one loss
    :raises TypeError: an argument, a batch or a loss has the wrong type
    :raises ValueError: ``num_steps`` missing, or given for data that have a time axis; no batches;
        no membrane potentials for a criterion that needs them (build the last neuron with
        ``output=True``); a loss of more than one number

    A criterion with the attribute ``time_var_targets`` set to True gets targets that vary in time,
    ``[T, B, ...]``, or ``[B, T, ...]`` with ``time_first=False``.
    """
    setup, time = (net, dataloader, optimizer, criterion), (num_steps, time_var, time_first)
    return _epoch(*setup, *time, regularization, device, None, progress)


def TBPTT(
    net: nn.Module,
    dataloader: Iterable[tuple[Tensor, Tensor]],
    optimizer: torch.optim.Optimizer,
    criterion: Criterion,
    num_steps: int | bool = False,
    time_var: bool = True,
    time_first: bool = True,
    regularization: Regularization = False,
    device: torch.device | str = "cpu",
    K: int = 1,
    *,
    progress: bool = False,
) -> Tensor:
    r"""Train for one epoch by truncated backpropagation through time.

    A sequence is cut into parts of :math:`K` time steps, the last of which may be shorter. Each
    part continues from the detached final states of the one before, and makes one update with the
    gradient of its loss. The loss of a batch is the average over its parts, weighted by their
    lengths,

    .. math:: \mathcal{L} = \frac{1}{T} \sum_i T_i \mathcal{L}_i , \qquad \sum_i T_i = T .

    The criterion and the regularization see one part at a time, and targets that vary in time are
    cut in the same way.

    :param net: network that takes one time step ``[B, ...]`` at each call, see :func:`BPTT`
    :param dataloader: batches of data ``[T, B, ...]`` and targets
    :param optimizer: optimizer of the network's parameters
    :param criterion: function of the output ``[K, B, ...]`` and the targets that returns one
        number, see :func:`BPTT`
    :param num_steps: number :math:`T` of time steps, for data that do not vary in time only
    :param time_var: whether the data have a time axis; default True
    :param time_first: whether that axis comes first; default True
    :param regularization: function of the output spikes ``[K, B, ...]``; default False, none
    :param device: where the network, the data and the targets are moved to; default ``"cpu"``
    :param K: number of time steps between updates; default 1
    :param progress: show a progress bar; default False
    :returns: the loss, averaged over the batches and detached, in the shape of one loss
    :raises TypeError: as :func:`BPTT`, or ``K`` is not an integer
    :raises ValueError: as :func:`BPTT`, or ``K`` is less than 1, or more than ``num_steps``

    Source: R. J. Williams, J. Peng, "An Efficient Gradient-Based Algorithm for On-Line Training of
    Recurrent Network Trajectories", Neural Computation 2 (1990) 490-501.
    """
    setup, time = (net, dataloader, optimizer, criterion), (num_steps, time_var, time_first)
    return _epoch(*setup, *time, regularization, device, check_count("K", K, 1), progress)


def RTRL(
    net: nn.Module,
    dataloader: Iterable[tuple[Tensor, Tensor]],
    optimizer: torch.optim.Optimizer,
    criterion: Criterion,
    num_steps: int | bool = False,
    time_var: bool = True,
    time_first: bool = True,
    regularization: Regularization = False,
    device: torch.device | str = "cpu",
    *,
    progress: bool = False,
) -> Tensor:
    """Train for one epoch with an update at every time step: :func:`TBPTT` with ``K=1``.

    The name is that of release 1.0.0, but this is not real-time recurrent learning: the influence
    of the parameters is not carried forward through the states, so the gradient of a step ignores
    all earlier steps.

    :param net: network that takes one time step ``[B, ...]`` at each call, see :func:`BPTT`
    :param dataloader: batches of data ``[T, B, ...]`` and targets
    :param optimizer: optimizer of the network's parameters
    :param criterion: function of the output ``[1, B, ...]`` and the targets that returns one
        number, see :func:`BPTT`
    :param num_steps: number :math:`T` of time steps, for data that do not vary in time only
    :param time_var: whether the data have a time axis; default True
    :param time_first: whether that axis comes first; default True
    :param regularization: function of the output spikes ``[1, B, ...]``; default False, none
    :param device: where the network, the data and the targets are moved to; default ``"cpu"``
    :param progress: show a progress bar; default False
    :returns: the loss, averaged over the batches and detached, in the shape of one loss
    :raises TypeError: as :func:`BPTT`
    :raises ValueError: as :func:`BPTT`
    """
    setup, time = (net, dataloader, optimizer, criterion), (num_steps, time_var, time_first)
    return _epoch(*setup, *time, regularization, device, 1, progress)


def _shown(num_steps: int | bool, time_var: bool, K: int | None) -> int:
    """Return the number of steps for which each sample is shown; 0 if the data have a time axis."""
    if time_var:
        if num_steps:
            raise ValueError(
                f"num_steps={num_steps} with time_var=True, where the data have a time axis; leave "
                "it out, or pass time_var=False for batches that are shown at every step"
            )
        return 0
    if num_steps is False:
        raise ValueError("num_steps is missing: with time_var=False pass how many steps to take")
    num_steps = check_count("num_steps", num_steps, 1)
    if K is not None and num_steps < K:
        raise ValueError(f"K={K} is more than num_steps={num_steps}; BPTT takes all steps at once")
    return num_steps


def _on_device(batch: Any, device: torch.device | str) -> tuple[Tensor, Tensor]:
    if not isinstance(batch, tuple | list) or [isinstance(x, Tensor) for x in batch] != [True] * 2:
        raise TypeError(
            f"dataloader gives a {type(batch).__name__}; each batch must be two tensors, data and "
            "targets"
        )
    data, targets = batch
    return data.to(device), targets.to(device)


def _loss(
    out: Any, targets: Tensor, criterion: Criterion, regularization: Regularization
) -> Tensor:
    """Return the loss of the network's output over time."""
    spikes, *states = out if isinstance(out, tuple | list) else (out,)
    observed, name = spikes, getattr(criterion, "__name__", "")
    if name.endswith("membrane_loss"):
        if not states:
            raise ValueError(
                f"criterion {name} needs membrane potentials, but net returns spikes only; build "
                "its last neuron with output=True"
            )
        observed = states[-1]
    loss = criterion(observed, targets)
    if callable(regularization):
        loss = loss + regularization(spikes)
    if not isinstance(loss, Tensor) or loss.numel() != 1:
        given = tuple(loss.shape) if isinstance(loss, Tensor) else type(loss).__name__
        raise ValueError(
            f"criterion gives a loss of shape {given}; one number is needed, for example with "
            "reduction='mean'"
        )
    return loss


def _epoch(
    net: nn.Module,
    dataloader: Iterable[tuple[Tensor, Tensor]],
    optimizer: torch.optim.Optimizer,
    criterion: Criterion,
    num_steps: int | bool,
    time_var: bool,
    time_first: bool,
    regularization: Regularization,
    device: torch.device | str,
    K: int | None,
    progress: bool,
) -> Tensor:
    """Update a network after every ``K`` steps of each batch; with None, after all of them."""
    check_net(net)
    if not hasattr(optimizer, "zero_grad") or not hasattr(optimizer, "step"):
        raise TypeError(
            f"optimizer={optimizer!r} is not an optimizer; pass for example torch.optim.Adam"
        )
    shown = _shown(num_steps, time_var, K)
    for name, given in ("criterion", criterion), ("regularization", regularization or criterion):
        if not callable(given):
            raise TypeError(f"{name}={given!r} is not callable; pass a function that gives a loss")
    varying = getattr(criterion, "time_var_targets", False)
    net.to(device).train()
    losses = []
    for batch in tqdm(dataloader, unit="batch", disable=not progress):
        data, targets = _on_device(batch, device)
        if data.dim() < 1 + (not (shown or time_first)):
            axes = "[B, ...]" if shown else "[T, B, ...]" if time_first else "[B, T, ...]"
            raise ValueError(f"dataloader gives data of shape {tuple(data.shape)}, not {axes}")
        if not time_first:
            data = data if shown else data.transpose(0, 1)
            targets = targets.transpose(0, 1) if varying else targets
        length = shown or len(data)
        if not length:
            raise ValueError(f"dataloader gives data {tuple(data.shape)} without a time step")
        if varying and len(targets) != length:
            raise ValueError(
                f"dataloader gives targets of {len(targets)} time steps for data of {length}; the "
                "criterion has time_var_targets=True and needs targets for each"
            )
        utils.reset(net)
        parts = []
        for start in range(0, length, K or length):
            part = slice(start, min(start + (K or length), length))
            steps = part.stop - start
            x = data if shown else data[part]
            out = through_time(net, Signal(x, steps, static=not time_var), reset=False)
            loss = _loss(out, targets[part] if varying else targets, criterion, regularization)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            utils.detach(net)
            parts.append(loss.detach() * (steps / length))
        losses.append(torch.stack(parts).sum(0))
    if not losses:
        raise ValueError("dataloader gives no batch to train on")
    return torch.stack(losses).mean(0)

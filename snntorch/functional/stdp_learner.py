r"""Spike-timing-dependent plasticity: synapses learn from the times of spikes alone.

Every neuron before (pre) and after (post) a synapse has a trace. Each spike :math:`S` of the neuron
raises it by 1, and it decays in between,

.. math::

    x[t] = \left( 1 - \frac{1}{\tau_{\rm pre}} \right) x[t-1] + S_{\rm pre}[t] , \qquad
    y[t] = \left( 1 - \frac{1}{\tau_{\rm post}} \right) y[t-1] + S_{\rm post}[t] ,

with the time constants in time steps and traces that start from 0. When the neuron before a synapse
fires, the synapse weakens by the trace of the neuron after it; when the neuron after it fires, it
strengthens by the trace of the neuron before it:

.. math::

    \Delta w[t] = f_{\rm post}(w) \, x[t] \, S_{\rm post}[t]
    - f_{\rm pre}(w) \, y[t] \, S_{\rm pre}[t] ,

summed over the batch and, in a convolution, over all positions that share the weight. By default
:math:`f(w) = w`; pass functions such as ``lambda w: 1e-2 * torch.ones_like(w)`` for other rules.
These updates are not differentiated.

Sources: G. Bi, M. Poo, "Synaptic modifications in cultured hippocampal neurons", Journal of
Neuroscience 18 (1998) 10464-10472; A. Morrison, M. Diesmann, W. Gerstner, "Phenomenological models
of synaptic plasticity based on spike timing", Biological Cybernetics 98 (2008) 459-478.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.grad import conv1d_weight, conv2d_weight

from .probe import InputMonitor, OutputMonitor

__all__ = [
    "STDPLearner",
    "mstdp_linear_single_step",
    "mstdpet_linear_single_step",
    "stdp_conv1d_single_step",
    "stdp_conv2d_single_step",
    "stdp_linear_single_step",
]

Trace = float | Tensor | None
Factor = Callable[[Tensor], Tensor]


def _same(weight: Tensor) -> Tensor:
    return weight


def _euler_decay(tau: float, name: str) -> float:
    """Return the decay of the equations above; below ``tau = 1`` traces would alternate in sign."""
    if not tau >= 1:
        raise ValueError(f"{name} is {tau!r}; expected a time constant of at least 1 time step.")
    return 1 - 1 / tau


def _exponential_decay(tau: float, name: str) -> float:
    if not tau > 0:
        raise ValueError(f"{name} is {tau!r}; expected a time constant above 0 time steps.")
    return math.exp(-1 / tau)


def _follow(trace: Trace, decay: float, spike: Tensor) -> Tensor:
    """Return the trace after one more step."""
    if isinstance(trace, Tensor) and trace.numel() > 1 and trace.shape != spike.shape:
        raise ValueError(
            f"the trace of the last step has shape {tuple(trace.shape)}, but the spikes have "
            f"{tuple(spike.shape)}: start another sequence from a trace of None, or from "
            f"learner.reset()."
        )
    return (0.0 if trace is None else trace) * decay + spike


def _check_module(module: nn.Module, accepted: Any, name: str) -> None:
    if not isinstance(module, accepted):
        kinds = accepted if isinstance(accepted, tuple) else (accepted,)
        raise TypeError(
            f"{name} is a {type(module).__name__}; expected nn."
            f"{' or nn.'.join(kind.__name__ for kind in kinds)}."
        )


def _linear_spikes(fc: nn.Linear, in_spike: Tensor, out_spike: Tensor) -> tuple[Tensor, Tensor]:
    """Return the spikes in the dtype of the weight, after checking their shapes."""
    _check_module(fc, nn.Linear, "fc")
    expected = (*in_spike.shape[:-1], fc.out_features)
    if in_spike.shape[-1:] != (fc.in_features,) or out_spike.shape != expected:
        raise ValueError(
            f"in_spike has shape {tuple(in_spike.shape)} and out_spike {tuple(out_spike.shape)}; "
            f"expected [B, {fc.in_features}] and [B, {fc.out_features}]."
        )
    return in_spike.to(fc.weight), out_spike.to(fc.weight)


@torch.no_grad()
def stdp_linear_single_step(
    fc: nn.Linear,
    in_spike: Tensor,
    out_spike: Tensor,
    trace_pre: Trace,
    trace_post: Trace,
    tau_pre: float,
    tau_post: float,
    f_pre: Factor = _same,
    f_post: Factor = _same,
) -> tuple[Tensor, Tensor, Tensor]:
    r"""Compute one step of the rule at the head of this section, for a fully connected synapse.

    :param fc: the synapse; its weight is read, not changed.
    :param in_spike: input spikes of the synapse, shape [B, N].
    :param out_spike: spikes of the neurons after it, shape [B, M].
    :param trace_pre: :math:`x` of the last step, shape [B, N], or ``None`` at the first step.
    :param trace_post: :math:`y` of the last step, shape [B, M], or ``None`` at the first step.
    :param tau_pre: time constant of :math:`x` in time steps, at least 1.
    :param tau_post: time constant of :math:`y` in time steps, at least 1.
    :param f_pre: :math:`f_{\rm pre}`, a function from the weight to a factor of the same shape.
        Default: the identity
    :param f_post: :math:`f_{\rm post}`, a function of the same kind. Default: the identity
    :returns: the new traces :math:`x` and :math:`y`, and the change of the weight, shape [M, N].
    :raises TypeError: if ``fc`` has the wrong type.
    :raises ValueError: for shapes that do not fit, or a time constant out of range.
    """
    before, after = _linear_spikes(fc, in_spike, out_spike)
    pre = _follow(trace_pre, _euler_decay(tau_pre, "tau_pre"), before)
    post = _follow(trace_post, _euler_decay(tau_post, "tau_post"), after)
    grown = torch.einsum("...m,...n->mn", after, pre)
    shrunk = torch.einsum("...m,...n->mn", post, before)
    weight = fc.weight.detach()
    return pre, post, f_post(weight) * grown - f_pre(weight) * shrunk


@torch.no_grad()
def mstdp_linear_single_step(
    fc: nn.Linear,
    in_spike: Tensor,
    out_spike: Tensor,
    trace_pre: Trace,
    trace_post: Trace,
    tau_pre: float,
    tau_post: float,
    f_pre: Factor = _same,
    f_post: Factor = _same,
) -> tuple[Tensor, Tensor, Tensor]:
    r"""Compute one step of reward-modulated STDP for a fully connected synapse.

    The traces decay by :math:`e^{-1/\tau}` instead of :math:`1 - 1/\tau`, and the change is not
    summed over the batch. It is the eligibility :math:`\zeta` of each sample,

    .. math::

        \zeta[t] = f_{\rm post}(w) \, x[t] \, S_{\rm post}[t]
        - f_{\rm pre}(w) \, y[t] \, S_{\rm pre}[t] ,

    The caller multiplies it by the reward of the sample and sums over the batch.

    :param fc: the synapse; its weight is read, not changed.
    :param in_spike: input spikes of the synapse, shape [B, N], with any number of batch axes.
    :param out_spike: spikes of the neurons after it, shape [B, M].
    :param trace_pre: :math:`x` of the last step, shape [B, N], or ``None`` at the first step.
    :param trace_post: :math:`y` of the last step, shape [B, M], or ``None`` at the first step.
    :param tau_pre: time constant of :math:`x` in time steps, above 0.
    :param tau_post: time constant of :math:`y` in time steps, above 0.
    :param f_pre: :math:`f_{\rm pre}`, a function from the weight to a factor of the same shape.
        Default: the identity
    :param f_post: :math:`f_{\rm post}`, a function of the same kind. Default: the identity
    :returns: the new traces :math:`x` and :math:`y`, and the eligibility, shape [B, M, N].
    :raises TypeError: if ``fc`` has the wrong type.
    :raises ValueError: for shapes that do not fit, or a time constant out of range.

    Source: R. V. Florian, "Reinforcement learning through modulation of spike-timing-dependent
    synaptic plasticity", Neural Computation 19 (2007) 1468-1502.
    """
    before, after = _linear_spikes(fc, in_spike, out_spike)
    pre = _follow(trace_pre, _exponential_decay(tau_pre, "tau_pre"), before)
    post = _follow(trace_post, _exponential_decay(tau_post, "tau_post"), after)
    grown = after.unsqueeze(-1) * pre.unsqueeze(-2)
    shrunk = post.unsqueeze(-1) * before.unsqueeze(-2)
    weight = fc.weight.detach()
    return pre, post, f_post(weight) * grown - f_pre(weight) * shrunk


def mstdpet_linear_single_step(
    fc: nn.Linear,
    in_spike: Tensor,
    out_spike: Tensor,
    trace_pre: Trace,
    trace_post: Trace,
    tau_pre: float,
    tau_post: float,
    tau_trace: float,
    f_pre: Factor = _same,
    f_post: Factor = _same,
) -> tuple[Tensor, Tensor, Tensor]:
    r"""Compute one step of STDP that a later reward modulates through an eligibility trace.

    It computes the same as :func:`mstdp_linear_single_step`. The caller keeps the eligibility
    trace,

    .. math::

        z[t] = e^{-1/\tau_{\rm trace}} \, z[t-1] + \frac{\zeta[t]}{\tau_{\rm trace}} ,

    and multiplies it by the reward.

    :param fc: the synapse; its weight is read, not changed.
    :param in_spike: input spikes of the synapse, shape [B, N], with any number of batch axes.
    :param out_spike: spikes of the neurons after it, shape [B, M].
    :param trace_pre: :math:`x` of the last step, shape [B, N], or ``None`` at the first step.
    :param trace_post: :math:`y` of the last step, shape [B, M], or ``None`` at the first step.
    :param tau_pre: time constant of :math:`x` in time steps, above 0.
    :param tau_post: time constant of :math:`y` in time steps, above 0.
    :param tau_trace: :math:`\tau_{\rm trace}` in time steps; not used here.
    :param f_pre: :math:`f_{\rm pre}`, a function from the weight to a factor of the same shape.
        Default: the identity
    :param f_post: :math:`f_{\rm post}`, a function of the same kind. Default: the identity
    :returns: the new traces :math:`x` and :math:`y`, and the eligibility :math:`\zeta`, shape
        [B, M, N].
    :raises TypeError: if ``fc`` has the wrong type.
    :raises ValueError: for shapes that do not fit, or a time constant out of range.

    Source: R. V. Florian, "Reinforcement learning through modulation of spike-timing-dependent
    synaptic plasticity", Neural Computation 19 (2007) 1468-1502.
    """
    return mstdp_linear_single_step(
        fc, in_spike, out_spike, trace_pre, trace_post, tau_pre, tau_post, f_pre, f_post
    )


@torch.no_grad()
def _stdp_conv_single_step(
    conv: nn.Conv1d | nn.Conv2d,
    in_spike: Tensor,
    out_spike: Tensor,
    trace_pre: Tensor | None,
    trace_post: Tensor | None,
    tau_pre: float,
    tau_post: float,
    f_pre: Factor,
    f_post: Factor,
) -> tuple[Tensor, Tensor, Tensor]:
    weight = conv.weight.detach()
    if in_spike.dim() != weight.dim() or in_spike.shape[1] != conv.in_channels:
        raise ValueError(
            f"in_spike has shape {tuple(in_spike.shape)}; expected [B, {conv.in_channels}, "
            f"{'L' if weight.dim() == 3 else 'H, W'}]."
        )
    mode = "constant" if conv.padding_mode == "zeros" else conv.padding_mode
    before = F.pad(in_spike.to(weight), conv._reversed_padding_repeated_twice, mode)
    after = out_spike.to(weight)
    spans = (d * (k - 1) + 1 for d, k in zip(conv.dilation, conv.kernel_size, strict=True))
    sizes = zip(before.shape[2:], spans, conv.stride, strict=True)
    expected = (
        len(before),
        conv.out_channels,
        *((size - span) // stride + 1 for size, span, stride in sizes),
    )
    if out_spike.shape != expected:
        raise ValueError(
            f"out_spike has shape {tuple(out_spike.shape)}; expected {expected}, what the "
            f"convolution makes of in_spike."
        )
    pre = _follow(trace_pre, _euler_decay(tau_pre, "tau_pre"), before)
    post = _follow(trace_post, _euler_decay(tau_post, "tau_post"), after)
    # All pairs of positions that share a weight: a convolution sums its weight gradient like this.
    pair = conv1d_weight if isinstance(conv, nn.Conv1d) else conv2d_weight
    shared = {"stride": conv.stride, "dilation": conv.dilation, "groups": conv.groups}
    grown = pair(pre, weight.shape, after, **shared)
    shrunk = pair(before, weight.shape, post, **shared)
    return pre, post, f_post(weight) * grown - f_pre(weight) * shrunk


def stdp_conv2d_single_step(
    conv: nn.Conv2d,
    in_spike: Tensor,
    out_spike: Tensor,
    trace_pre: Tensor | None,
    trace_post: Tensor | None,
    tau_pre: float,
    tau_post: float,
    f_pre: Factor = _same,
    f_post: Factor = _same,
) -> tuple[Tensor, Tensor, Tensor]:
    r"""Compute one step of the rule at the head of this section, for a 2D convolution.

    :param conv: the synapse; its weight is read, not changed.
    :param in_spike: input spikes of the synapse, shape [B, C, H, W].
    :param out_spike: spikes of the neurons after it, in the output shape of the convolution.
    :param trace_pre: :math:`x` of the last step, in the shape of the padded input, or ``None`` at
        the first step.
    :param trace_post: :math:`y` of the last step, in the shape of ``out_spike``, or ``None`` at the
        first step.
    :param tau_pre: time constant of :math:`x` in time steps, at least 1.
    :param tau_post: time constant of :math:`y` in time steps, at least 1.
    :param f_pre: :math:`f_{\rm pre}`, a function from the weight to a factor of the same shape.
        Default: the identity
    :param f_post: :math:`f_{\rm post}`, a function of the same kind. Default: the identity
    :returns: the new traces :math:`x` and :math:`y`, and the change of the weight, in its shape.
    :raises TypeError: if ``conv`` has the wrong type.
    :raises ValueError: for shapes that do not fit, or a time constant out of range.
    """
    _check_module(conv, nn.Conv2d, "conv")
    return _stdp_conv_single_step(
        conv, in_spike, out_spike, trace_pre, trace_post, tau_pre, tau_post, f_pre, f_post
    )


def stdp_conv1d_single_step(
    conv: nn.Conv1d,
    in_spike: Tensor,
    out_spike: Tensor,
    trace_pre: Tensor | None,
    trace_post: Tensor | None,
    tau_pre: float,
    tau_post: float,
    f_pre: Factor = _same,
    f_post: Factor = _same,
) -> tuple[Tensor, Tensor, Tensor]:
    r"""Compute one step of the rule at the head of this section, for a 1D convolution.

    :param conv: the synapse; its weight is read, not changed.
    :param in_spike: input spikes of the synapse, shape [B, C, L].
    :param out_spike: spikes of the neurons after it, in the output shape of the convolution.
    :param trace_pre: :math:`x` of the last step, in the shape of the padded input, or ``None`` at
        the first step.
    :param trace_post: :math:`y` of the last step, in the shape of ``out_spike``, or ``None`` at the
        first step.
    :param tau_pre: time constant of :math:`x` in time steps, at least 1.
    :param tau_post: time constant of :math:`y` in time steps, at least 1.
    :param f_pre: :math:`f_{\rm pre}`, a function from the weight to a factor of the same shape.
        Default: the identity
    :param f_post: :math:`f_{\rm post}`, a function of the same kind. Default: the identity
    :returns: the new traces :math:`x` and :math:`y`, and the change of the weight, in its shape.
    :raises TypeError: if ``conv`` has the wrong type.
    :raises ValueError: for shapes that do not fit, or a time constant out of range.
    """
    _check_module(conv, nn.Conv1d, "conv")
    return _stdp_conv_single_step(
        conv, in_spike, out_spike, trace_pre, trace_post, tau_pre, tau_post, f_pre, f_post
    )


_SINGLE_STEPS: dict[type[nn.Module], Callable[..., tuple[Tensor, Tensor, Tensor]]] = {
    nn.Linear: stdp_linear_single_step,
    nn.Conv1d: stdp_conv1d_single_step,
    nn.Conv2d: stdp_conv2d_single_step,
}


def _spikes(value: Any) -> Tensor:
    """Return the input of a synapse, or the spikes among a neuron's outputs."""
    return (value[0] if isinstance(value, tuple) else value).detach()


class STDPLearner(nn.Module):
    r"""Watch a synapse and the neurons after it, and train the synapse by STDP.

    It records the spikes at both ends while the network runs. A call of :meth:`step` then applies
    the rule at the head of this section to the recorded time steps::

        learner = STDPLearner(synapse, lif, tau_pre=2.0, tau_post=2.0)
        optimizer = torch.optim.SGD(synapse.parameters(), lr=0.01)
        for x in spikes:  # time steps
            lif(synapse(x))
        optimizer.zero_grad()
        learner.step(on_grad=True)
        optimizer.step()

    The traces carry over from call to call; call :meth:`reset` between independent sequences.

    :param synapse: a Linear, Conv1d or Conv2d.
    :param sn: the neurons after it; if they return a tuple, its first entry is the spikes.
    :param tau_pre: time constant of the traces before the synapse in time steps, at least 1.
    :param tau_post: time constant of the traces after the synapse in time steps, at least 1.
    :param f_pre: :math:`f_{\rm pre}`, a function from the weight to a factor of the same shape.
        Default: the identity
    :param f_post: :math:`f_{\rm post}`, a function of the same kind. Default: the identity
    :raises TypeError: if ``synapse`` is another layer, or ``sn`` is not a module.
    :raises ValueError: for a time constant below 1.
    """

    def __init__(
        self,
        synapse: nn.Conv1d | nn.Conv2d | nn.Linear,
        sn: nn.Module,
        tau_pre: float,
        tau_post: float,
        f_pre: Factor = _same,
        f_post: Factor = _same,
    ) -> None:
        super().__init__()
        _check_module(synapse, tuple(_SINGLE_STEPS), "synapse")
        _check_module(sn, nn.Module, "sn")
        for name, tau in (("tau_pre", tau_pre), ("tau_post", tau_post)):
            _euler_decay(tau, name)
        self.synapse = synapse
        self.tau_pre = tau_pre
        self.tau_post = tau_post
        self.f_pre = f_pre
        self.f_post = f_post
        self.in_spike_monitor = InputMonitor(synapse, function_on_input=_spikes)
        self.out_spike_monitor = OutputMonitor(sn, function_on_output=_spikes)
        self.trace_pre: Tensor | None = None
        self.trace_post: Tensor | None = None

    def reset(self) -> None:
        """Delete the traces and the recorded spikes, to start a new sequence."""
        self.trace_pre = self.trace_post = None
        self._clear()

    def _clear(self) -> None:
        self.in_spike_monitor.clear_recorded_data()
        self.out_spike_monitor.clear_recorded_data()

    def disable(self) -> None:
        """Stop recording until :meth:`enable`."""
        self.in_spike_monitor.disable()
        self.out_spike_monitor.disable()

    def enable(self) -> None:
        """Resume recording after :meth:`disable`."""
        self.in_spike_monitor.enable()
        self.out_spike_monitor.enable()

    @torch.no_grad()
    def step(self, on_grad: bool = True, scale: float = 1.0) -> Tensor | None:
        """Learn from the time steps recorded since the last call, and delete the records.

        :param on_grad: whether to subtract the change from ``synapse.weight.grad``, so that
            gradient descent applies it, instead of returning it. Default: ``True``
        :param scale: factor of the change. Default: ``1.0``
        :returns: the change of the weight, summed over the steps, or ``None`` with ``on_grad``.
        :raises ValueError: if the synapse and the neurons were not called equally often.
        """
        before, after = self.in_spike_monitor[""], self.out_spike_monitor[""]
        if len(before) != len(after):
            raise ValueError(
                f"the synapse was called {len(before)} times and the neurons {len(after)} times; "
                f"expected once each per time step: drop what is recorded with learner.reset()."
            )
        weight = self.synapse.weight
        single_step = next(f for kind, f in _SINGLE_STEPS.items() if isinstance(self.synapse, kind))
        pre, post, total = self.trace_pre, self.trace_post, torch.zeros_like(weight)
        for spikes in zip(before, after, strict=True):
            pre, post, change = single_step(
                self.synapse,
                *spikes,
                pre,
                post,
                self.tau_pre,
                self.tau_post,
                self.f_pre,
                self.f_post,
            )
            total += scale * change
        self.trace_pre, self.trace_post = pre, post
        self._clear()
        if not on_grad:
            return total
        weight.grad = -total if weight.grad is None else weight.grad - total
        return None

r"""One time step of every neuron model, and below each step its adjoint.

The functions know nothing but arithmetic, so that the same text runs on tensors and inside
compiled kernels. A step maps input current and old states to new states, before any reset. Its
adjoint maps the gradients of the new states (``d_mem`` and so on) to those of the step's
arguments, in their order. The order of operations is part of the definition: it fixes the last
bit.

The reset comes apart from the step, because all models share it. ``fired`` is 1 where the
membrane stood over the threshold and 0 elsewhere; its own gradient is the caller's affair.
"""

from typing import Any

# A tensor, or a number inside a compiled kernel.
Num = Any
Nums = tuple[Num, ...]


# Reset ---------------------------------------------------------------------------------------


def subtract(mem: Num, fired: Num, threshold: Num) -> Num:
    return mem - fired * threshold


def subtract_adjoint(d_mem: Num, fired: Num) -> Nums:
    """Gradients of mem, threshold."""
    return d_mem, -(fired * d_mem)


def zero(mem: Num, fired: Num) -> Num:
    return mem - fired * mem


def zero_adjoint(d_mem: Num, fired: Num) -> Num:
    """Gradient of mem."""
    return d_mem - fired * d_mem


# Leaky and RLeaky ----------------------------------------------------------------------------


def leaky(x: Num, mem: Num, beta: Num) -> Num:
    return beta * mem + x


def leaky_adjoint(d_mem: Num, mem: Num, beta: Num) -> Nums:
    """Gradients of x, mem, beta."""
    return d_mem, beta * d_mem, mem * d_mem


def rleaky(x: Num, feedback: Num, mem: Num, beta: Num) -> Num:
    return leaky(x, mem, beta) + feedback


def rleaky_adjoint(d_mem: Num, mem: Num, beta: Num) -> Nums:
    """Gradients of x, feedback, mem, beta."""
    return d_mem, *leaky_adjoint(d_mem, mem, beta)


# DeltaLeaky ----------------------------------------------------------------------------------


def delta_leaky(x: Num, mem: Num, mem_prev: Num, beta: Num) -> Nums:
    """The old membrane is kept beside the new one."""
    return leaky(x, mem, beta), mem


def delta_leaky_adjoint(d_mem: Num, d_mem_prev: Num, mem: Num, beta: Num) -> Nums:
    """Gradients of x, mem, beta; nothing depends on the old ``mem_prev``."""
    d_x, d_old_mem, d_beta = leaky_adjoint(d_mem, mem, beta)
    return d_x, d_old_mem + d_mem_prev, d_beta


# Synaptic and RSynaptic ----------------------------------------------------------------------


def synaptic(x: Num, syn: Num, mem: Num, alpha: Num, beta: Num) -> Nums:
    syn = leaky(x, syn, alpha)
    return syn, leaky(syn, mem, beta)


def synaptic_adjoint(d_syn: Num, d_mem: Num, syn: Num, mem: Num, alpha: Num, beta: Num) -> Nums:
    """Gradients of x, syn, mem, alpha, beta."""
    through_mem, d_old_mem, d_beta = leaky_adjoint(d_mem, mem, beta)
    d_x, d_old_syn, d_alpha = leaky_adjoint(d_syn + through_mem, syn, alpha)
    return d_x, d_old_syn, d_old_mem, d_alpha, d_beta


def rsynaptic(x: Num, feedback: Num, syn: Num, mem: Num, alpha: Num, beta: Num) -> Nums:
    syn = rleaky(x, feedback, syn, alpha)
    return syn, leaky(syn, mem, beta)


def rsynaptic_adjoint(d_syn: Num, d_mem: Num, syn: Num, mem: Num, alpha: Num, beta: Num) -> Nums:
    """Gradients of x, feedback, syn, mem, alpha, beta."""
    grads = synaptic_adjoint(d_syn, d_mem, syn, mem, alpha, beta)
    return grads[0], *grads


# Alpha ---------------------------------------------------------------------------------------


def alpha(x: Num, exc: Num, inh: Num, mem: Num, alpha: Num, beta: Num, tau: Num) -> Nums:
    """The new membrane does not depend on the old one: the memory is in the two currents."""
    exc = leaky(x, exc, alpha)
    inh = leaky(-x, inh, beta)
    return exc, inh, tau * (exc + inh)


def alpha_adjoint(
    d_exc: Num, d_inh: Num, d_mem: Num, x: Num, exc: Num, inh: Num, alpha: Num, beta: Num, tau: Num
) -> Nums:
    """Gradients of x, exc, inh, mem, alpha, beta, tau."""
    through_mem = tau * d_mem
    d_x, d_old_exc, d_alpha = leaky_adjoint(d_exc + through_mem, exc, alpha)
    d_minus_x, d_old_inh, d_beta = leaky_adjoint(d_inh + through_mem, inh, beta)
    d_tau = (leaky(x, exc, alpha) + leaky(-x, inh, beta)) * d_mem
    return d_x - d_minus_x, d_old_exc, d_old_inh, d_mem - d_mem, d_alpha, d_beta, d_tau


def alpha_subtract(exc: Num, inh: Num, mem: Num, old_inh: Num, fired: Num, threshold: Num) -> Nums:
    """The excitatory current loses a threshold, the inhibitory one all, the membrane what the
    inhibitory current had been."""
    return subtract(exc, fired, threshold), zero(inh, fired), mem + fired * old_inh


def alpha_subtract_adjoint(d_exc: Num, d_inh: Num, d_mem: Num, fired: Num) -> Nums:
    """Gradients of exc, inh, mem, old_inh, threshold."""
    d_exc, d_threshold = subtract_adjoint(d_exc, fired)
    return d_exc, zero_adjoint(d_inh, fired), d_mem, fired * d_mem, d_threshold


# Lapicque ------------------------------------------------------------------------------------


def lapicque(x: Num, mem: Num, R: Num, conductance: Num, time_step: Num, decay: Num) -> Num:
    """``conductance`` is 1 / (R C), ``decay`` is 1 - time_step / (R C)."""
    return x * R * conductance * time_step + decay * mem


def lapicque_adjoint(
    d_mem: Num, x: Num, mem: Num, R: Num, conductance: Num, time_step: Num, decay: Num
) -> Nums:
    """Gradients of x, mem, R, conductance, time_step, decay."""
    d_R, d_conductance = x * conductance * time_step * d_mem, x * R * time_step * d_mem
    d_x, d_time_step = R * conductance * time_step * d_mem, x * R * conductance * d_mem
    return d_x, decay * d_mem, d_R, d_conductance, d_time_step, mem * d_mem


# SLSTM and SConv2dLSTM -----------------------------------------------------------------------


def lstm_cell(syn: Num, input_gate: Num, forget_gate: Num, candidate: Num) -> Num:
    """The new cell state; the gates come activated."""
    return forget_gate * syn + input_gate * candidate


def lstm_cell_adjoint(
    d_syn: Num, syn: Num, input_gate: Num, forget_gate: Num, candidate: Num
) -> Nums:
    """Gradients of syn, input_gate, forget_gate, candidate."""
    return forget_gate * d_syn, candidate * d_syn, syn * d_syn, input_gate * d_syn

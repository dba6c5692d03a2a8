"""Losses, accuracies, regularization, quantized states, monitors and plasticity."""

from snntorch.functional import acc, loss, probe, quant, reg, stdp_learner
from snntorch.functional.acc import accuracy_rate, accuracy_temporal
from snntorch.functional.loss import (
    LossFunctions,
    SpikeTime,
    ce_count_loss,
    ce_max_membrane_loss,
    ce_rate_loss,
    ce_temporal_loss,
    mse_count_loss,
    mse_membrane_loss,
    mse_temporal_loss,
)
from snntorch.functional.probe import (
    AttributeMonitor,
    BaseMonitor,
    GradInputMonitor,
    GradOutputMonitor,
    InputMonitor,
    OutputMonitor,
    unpack_len1_tuple,
)
from snntorch.functional.quant import StateQuant, state_quant
from snntorch.functional.reg import l1_rate_sparsity

__all__ = [
    "AttributeMonitor",
    "BaseMonitor",
    "GradInputMonitor",
    "GradOutputMonitor",
    "InputMonitor",
    "LossFunctions",
    "OutputMonitor",
    "SpikeTime",
    "StateQuant",
    "acc",
    "accuracy_rate",
    "accuracy_temporal",
    "ce_count_loss",
    "ce_max_membrane_loss",
    "ce_rate_loss",
    "ce_temporal_loss",
    "l1_rate_sparsity",
    "loss",
    "mse_count_loss",
    "mse_membrane_loss",
    "mse_temporal_loss",
    "probe",
    "quant",
    "reg",
    "state_quant",
    "stdp_learner",
    "unpack_len1_tuple",
]

"""Losses, accuracies and state quantisation for spiking neural networks."""

from snntorch.functional import acc, loss, quant
from snntorch.functional.acc import accuracy_rate
from snntorch.functional.loss import (
    LossFunctions,
    ce_count_loss,
    ce_max_membrane_loss,
    ce_rate_loss,
    mse_count_loss,
    mse_membrane_loss,
)
from snntorch.functional.quant import StateQuant, state_quant

__all__ = [
    "LossFunctions",
    "StateQuant",
    "acc",
    "accuracy_rate",
    "ce_count_loss",
    "ce_max_membrane_loss",
    "ce_rate_loss",
    "loss",
    "mse_count_loss",
    "mse_membrane_loss",
    "quant",
    "state_quant",
]

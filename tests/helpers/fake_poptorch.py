"""Stands in for poptorch, which comes with the Poplar SDK alone: it is not poptorch.

It has the calls that the tutorial makes, and the rules that break a model there: the forward pass
is recorded once, for one shape, on tensors whose values are unknown; the record alone is
differentiated; the loss goes through ``identity_loss``. What an IPU computes it cannot tell.
"""

from enum import Enum
from unittest.mock import patch

import torch
from torch.func import functional_call
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils import data

_recording = False
_losses = []


def isRunningOnIpu():
    return _recording


def ipuHardwareIsAvailable(num_ipus=1):
    return False


class HalfFloatCastingBehavior(Enum):
    FloatDowncastToHalf = 0
    HalfUpcastToFloat = 1


class _Setters:
    """Takes the settings named in ``names``, one call each, that can be chained."""

    names = ""

    def __getattr__(self, name):
        if name not in self.names.split():
            raise AttributeError(f"{type(self).__name__} has no {name}")
        return lambda *values: self


class _Training(_Setters):
    names = "gradientAccumulation"


class _Precision(_Setters):
    names = "halfFloatCasting"


class Options(_Setters):
    names = """deviceIterations replicationFactor outputMode randomSeed useIpuModel
    useOfflineIpuTarget enableExecutableCaching"""

    def __init__(self):
        self.Training, self.Precision = _Training(), _Precision()


class DataLoader(data.DataLoader):
    def __init__(self, options, dataset, batch_size=1, shuffle=None, num_workers=0, drop_last=True):
        assert isinstance(options, Options)
        super().__init__(dataset, batch_size, shuffle, num_workers=num_workers, drop_last=drop_last)


def identity_loss(x, reduction):
    _losses.append(reduction)
    return {"sum": torch.sum, "mean": torch.mean, "none": torch.clone}[reduction](x)


class optim:
    SGD, Adam, AdamW, RMSprop = (
        type(cls.__name__, (cls,), {})
        for cls in (torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW, torch.optim.RMSprop)
    )


class _Model:
    training = False

    def __init__(self, model, options=None, optimizer=None):
        assert options is None or isinstance(options, Options)
        self.model, self.optimizer, self.graph = model.train(self.training), optimizer, None

    def _run(self, inputs):
        shapes = [each.shape for each in inputs]
        if self.graph is None:
            self.graph, self.shapes = record(self.model, *inputs), shapes
        assert shapes == self.shapes, "another shape than at the first call"
        return self.graph(_state(self.model), *inputs)


class trainingModel(_Model):
    training = True

    def __call__(self, *inputs):
        assert type(self.optimizer) in vars(optim).values(), "an optimiser of another library"
        outputs, loss = self._run(inputs)
        assert _losses, "no identity_loss"
        self.optimizer.zero_grad()
        loss.sum().backward()
        self.optimizer.step()
        return outputs.detach(), loss.detach()

    def copyWeightsToHost(self):
        """They are there."""


class inferenceModel(_Model):
    @torch.no_grad()
    def __call__(self, *inputs):
        return self._run(inputs)


def _state(model):
    return dict(model.named_parameters()) | dict(model.named_buffers())


def _look(*_):
    raise AssertionError("a value was looked at")


def record(model, *inputs):
    """Record the forward pass of a model, and nothing else.

    :returns: the record, a function of parameters and buffers by name, and of the inputs
    """
    global _recording

    def forward(state, *inputs):
        def check(*_):
            for name, buffer in model.named_buffers():
                assert buffer is state[name], f"the buffer {name} was assigned"

        with model.register_forward_hook(check):
            return functional_call(model, state, inputs)

    _losses.clear()
    _recording = True
    looks = dict.fromkeys(("item", "tolist", "__bool__", "__int__", "__float__"), _look)
    try:
        with torch.no_grad(), patch.multiple(torch.Tensor, **looks):
            return make_fx(forward)(_state(model), *inputs)
    finally:
        _recording = False

"""Stands in for poptorch, which comes with the Poplar SDK alone: it is not poptorch.

It has the calls that the tutorial makes, and the rules that break a model there: the forward pass
is recorded once, for one shape, on tensors whose values nobody may look at; the record alone is
differentiated; the loss goes through ``identity_loss``. What an IPU computes it cannot tell.
"""

from enum import Enum

import torch
from torch import nn
from torch.func import functional_call
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils import data

_recording = False
_losses = 0


def isRunningOnIpu():
    return _recording


def ipuHardwareIsAvailable(num_ipus=1):
    return False


class HalfFloatCastingBehavior(Enum):
    FloatDowncastToHalf = 0
    HalfUpcastToFloat = 1


class _Setters:
    """Takes the settings of its class by name, one call each, that can be chained."""

    names = ()

    def __getattr__(self, name):
        if name not in self.names:
            raise AttributeError(f"{type(self).__name__} has no {name}")
        return lambda *values: self


class _Training(_Setters):
    names = ("gradientAccumulation",)


class _Precision(_Setters):
    names = ("halfFloatCasting",)


class Options(_Setters):
    names = tuple(
        [
            "deviceIterations",
            "replicationFactor",
            "outputMode",
            "randomSeed",
            "useIpuModel",
            "useOfflineIpuTarget",
            "enableExecutableCaching",
        ]
    )

    def __init__(self):
        self.Training, self.Precision = _Training(), _Precision()


class DataLoader(data.DataLoader):
    def __init__(self, options, dataset, batch_size=1, shuffle=None, num_workers=0, drop_last=True):
        assert isinstance(options, Options)
        super().__init__(dataset, batch_size, shuffle, num_workers=num_workers, drop_last=drop_last)


def identity_loss(x, reduction):
    global _losses
    _losses += 1
    return {"sum": torch.sum, "mean": torch.mean, "none": torch.clone}[reduction](x)


class optim:
    SGD, Adam, AdamW, RMSprop = (
        type(cls.__name__, (cls,), {})
        for cls in (torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW, torch.optim.RMSprop)
    )


class _Model:
    def __init__(self, model, options, training):
        assert isinstance(model, nn.Module) and isinstance(options or Options(), Options)
        self.model, self.graph, self.shapes = model.train(training), None, None

    def _run(self, inputs):
        shapes = [each.shape for each in inputs]
        if self.graph is None:
            self.graph, self.shapes = record(self.model, *inputs), shapes
        assert shapes == self.shapes, "another shape than at the first call"
        state = dict(self.model.named_parameters()) | dict(self.model.named_buffers())
        return self.graph(state, *inputs)


class trainingModel(_Model):
    def __init__(self, model, options=None, optimizer=None):
        super().__init__(model, options, True)
        assert isinstance(optimizer, tuple(v for v in vars(optim).values() if isinstance(v, type)))
        self.optimizer = optimizer

    def __call__(self, *inputs):
        before = _losses
        outputs, loss = self._run(inputs)
        assert self.graph is not None and (_losses > before or self.optimizer.state)
        self.optimizer.zero_grad()
        loss.sum().backward()
        self.optimizer.step()
        return outputs.detach(), loss.detach()


class inferenceModel(_Model):
    def __init__(self, model, options=None):
        super().__init__(model, options, False)

    @torch.no_grad()
    def __call__(self, *inputs):
        return self._run(inputs)


def record(model, *inputs):
    """Record the forward pass of a model, and nothing else, as a function of its parameters and
    buffers by name and of its inputs."""
    global _recording
    buffers = {name: id(buffer) for name, buffer in model.named_buffers()}
    state = dict(model.named_parameters()) | dict(model.named_buffers())
    _recording = True
    try:
        with torch.no_grad():
            graph = make_fx(lambda state, *inputs: functional_call(model, state, inputs))(
                state, *inputs
            )
    finally:
        _recording = False
    after = {name: id(buffer) for name, buffer in model.named_buffers()}
    assert after == buffers, "a buffer was assigned"
    return graph

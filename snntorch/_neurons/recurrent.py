"""The feedback that RLeaky and RSynaptic share: spikes of the last step come back as input."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, NoReturn

from torch import Tensor, nn

from .._engine.feedback import crop, same_padding
from .._torch import touched
from ..dynamics import Model
from .neurons import LIF, Parameter, States


class RecurrentOneToOne(nn.Module):
    """Each neuron feeds back to itself alone, by the weight ``V``."""

    def __init__(self, V: Tensor) -> None:
        super().__init__()
        self.V = V

    def forward(self, x: Tensor) -> Tensor:
        """Return the feedback of the spikes ``x``."""
        return self.V * x


class RecurrentLIF(LIF):
    """Base class of the recurrent neurons; :class:`RLeaky` documents their arguments."""

    V: Tensor
    recurrent: nn.Module
    _snn_dense: ClassVar[Model]
    _snn_one_to_one: ClassVar[Model]

    @property
    def _snn_model(self) -> Model:  # type: ignore[override]
        return self._snn_dense if self._snn_by_layer else self._snn_one_to_one

    @property
    def _snn_by_layer(self) -> bool:
        """Whether the layer ``recurrent`` gives the feedback, not the weight ``V`` alone."""
        layer = self.recurrent
        return self.all_to_all or type(layer) is not RecurrentOneToOne or bool(touched(layer))

    def _snn_feed_back(
        self,
        V: Parameter,
        all_to_all: bool,
        linear_features: int | None,
        conv2d_channels: int | None,
        kernel_size: int | tuple[int, int] | None,
        learn_recurrent: bool,
    ) -> None:
        """Build the feedback."""
        linear, conv = linear_features is not None, conv2d_channels is not None
        if (linear and conv) or conv != (kernel_size is not None) or all_to_all != (linear or conv):
            raise TypeError(
                f"{self._snn_name}: all_to_all={all_to_all}, linear_features={linear_features}, "
                f"conv2d_channels={conv2d_channels}, kernel_size={kernel_size}; feedback from all "
                "to all needs either linear_features, or conv2d_channels and kernel_size, of the "
                "layer's output; one-to-one feedback (all_to_all=False) takes its weight V instead"
            )
        self.all_to_all, self.learn_recurrent = all_to_all, learn_recurrent
        self.linear_features = linear_features
        self.conv2d_channels, self.kernel_size = conv2d_channels, kernel_size
        if all_to_all:
            self._init_recurrent_net()
        else:
            self._snn_register("V", V, learn_recurrent)
            self._init_recurrent_one_to_one()
        self.recurrent.requires_grad_(learn_recurrent)

    # Subclasses written for 1.0.0 override these.

    def _init_recurrent_net(self) -> None:
        """Make the layer ``recurrent`` of a feedback from all to all."""
        if self.linear_features is not None:
            self._init_recurrent_linear()
        else:
            self._init_recurrent_conv2d()

    def _init_recurrent_linear(self) -> None:
        features: Any = self.linear_features
        self.recurrent = nn.Linear(features, features)

    def _init_recurrent_conv2d(self) -> None:
        channels: Any = self.conv2d_channels
        kernel_size: Any = self.kernel_size
        padding = same_padding(kernel_size)
        self.recurrent = nn.Conv2d(channels, channels, kernel_size, padding=padding)

    def _init_recurrent_one_to_one(self) -> None:
        self.recurrent = RecurrentOneToOne(self.V)

    def _snn_connect(self, recurrent: Any) -> NoReturn:
        raise TypeError(f"{self._snn_name} is recurrent by itself; leave recurrent out")

    def _snn_inputs(self, x: Tensor, old: States) -> States:
        if not self._snn_by_layer:
            return (x,)
        feedback = self.recurrent(old[0])
        return x, feedback if self.conv2d_channels is None else crop(feedback, x)

    def _snn_model_parameters(self) -> States:
        values = self._snn_values()
        return values if self._snn_by_layer else (*values, self.V)

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "V" and type(value) is Tensor and "recurrent" in self._modules:
            self.V.data = value.detach().clone().to(self.V)
            return
        super().__setattr__(name, value)
        if name == "V" and type(self._modules.get("recurrent")) is RecurrentOneToOne:
            self.recurrent.V = self.V

    def _apply(self, fn: Callable[[Tensor], Tensor], *args: Any, **kwargs: Any) -> RecurrentLIF:
        super()._apply(fn, *args, **kwargs)
        own = "V" in self._buffers or "V" in self._parameters
        if own and type(self.recurrent) is RecurrentOneToOne:
            self.recurrent.V = self.V
        return self

"""The feedback that RLeaky and RSynaptic share: spikes of the last step come back as input."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from torch import Tensor, nn

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
    """Parent of the neurons with feedback; their arguments stand in :class:`RLeaky`."""

    V: Tensor
    recurrent: nn.Module
    _snn_dense: ClassVar[Model]
    _snn_one_to_one: ClassVar[Model]

    @property
    def _snn_model(self) -> Model:  # type: ignore[override]
        return self._snn_dense if self.all_to_all else self._snn_one_to_one

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
        if linear_features is not None:
            self.recurrent = nn.Linear(linear_features, linear_features)
        elif conv2d_channels is not None and kernel_size is not None:
            channels, padding = (conv2d_channels, conv2d_channels), same_padding(kernel_size)
            self.recurrent = nn.Conv2d(*channels, kernel_size, padding=padding)
        else:
            self._snn_register("V", V, learn_recurrent)
            self.recurrent = RecurrentOneToOne(self.V)
        self.recurrent.requires_grad_(learn_recurrent)

    def _snn_update(self, x: Tensor, states: States) -> States:
        spk, *rest = states
        layer = self.all_to_all or touched(self.recurrent)
        feedback = self.recurrent(spk) if layer else self.V * spk
        if self.conv2d_channels is not None:
            feedback = crop(feedback, x)
        return self._snn_dense.update(x, feedback, spk, *rest, *self._snn_decays())

    def _snn_step_parameters(self) -> States:
        *decays, threshold, factor = super()._snn_step_parameters()
        return (*decays, *(() if self.all_to_all else (self.V,)), threshold, factor)

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "V" and type(value) is Tensor and "recurrent" in self._modules:
            self.V.data = value.detach().clone().to(self.V)
            return
        super().__setattr__(name, value)
        if name == "V" and "recurrent" in self._modules:
            self.recurrent.V = self.V

    def _apply(self, fn: Callable[[Tensor], Tensor], *args: Any, **kwargs: Any) -> RecurrentLIF:
        super()._apply(fn, *args, **kwargs)
        if "V" in self._buffers or "V" in self._parameters:
            self.recurrent.V = self.V
        return self


def same_padding(kernel_size: int | tuple[int, int]) -> tuple[int, int]:
    """Return the padding after which an image is as large as before, or one larger."""
    height, width = (kernel_size, kernel_size) if isinstance(kernel_size, int) else kernel_size
    return height // 2, width // 2


def crop(image: Tensor, like: Tensor) -> Tensor:
    """Cut off the first row and column, which an even kernel adds."""
    return image[..., -like.shape[-2] :, -like.shape[-1] :]

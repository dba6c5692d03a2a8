"""Simulated recordings of images by an event camera."""

import math
from typing import Any

import torch
from torch import Tensor

from ._checks import check_count
from .spikegen import _floating

__all__ = ["path", "simulate"]


def path(num_steps: int, amplitude: float = 3.0) -> Tensor:
    r"""Return the position of the image at each time step of three micro-saccades.

    The image moves along the three sides of an isosceles triangle, each in a third of the time, and
    slows down at each corner. From corner :math:`a` to corner :math:`b` the position is

    .. math:: a + \frac{1 - \cos(\pi s)}{2} (b - a) , \qquad 0 \le s \le 1 .

    :param num_steps: number of time steps T; the start adds one position
    :param amplitude: half of the triangle's width and height in pixels. Default: ``3.0``
    :returns: rows and columns, shape [T + 1, 2].
    :raises TypeError: if ``num_steps`` is not an integer.
    :raises ValueError: if ``num_steps`` is less than 3, or ``amplitude`` is not finite.
    """
    num_steps = check_count("num_steps", num_steps, 3)
    if not math.isfinite(amplitude):
        raise ValueError(f"amplitude is {amplitude}; expected a finite number of pixels.")
    corners = amplitude * torch.tensor([(-1.0, -1.0), (1.0, 0.0), (-1.0, 1.0), (-1.0, -1.0)])
    time = torch.arange(num_steps + 1) * (3 / num_steps)
    side = time.floor().clamp(max=2)
    way = (0.5 - 0.5 * torch.cos(math.pi * (time - side)))[:, None]
    side = side.long()
    return corners[side] + way * (corners[side + 1] - corners[side])


def simulate(
    images: Tensor,
    num_steps: int = 300,
    *,
    size: tuple[int, int] = (34, 34),
    amplitude: float = 3.0,
    threshold: float = 0.45,
    mismatch: float = 0.1,
    noise: float = 1e-4,
    generator: torch.Generator | None = None,
) -> Tensor:
    r"""Turn images into the events of a camera that makes three micro-saccades in front of them.

    The events are simulated. They resemble N-MNIST, for which a camera was moved in front of a
    screen, and are a substitute where N-MNIST is unavailable: do not report results on them as
    results on N-MNIST.

    The image moves along :func:`path`, interpolated between pixels, and a pixel compares the
    logarithm of its brightness with the level :math:`\ell` at its last event:

    .. math::

        n_t = \operatorname{trunc}\left( \frac{\ln(x_t + 0.1) - \ell_{t-1}}{\theta} \right) ,
        \qquad \ell_t = \ell_{t-1} + n_t \theta .

    Here :math:`\theta` is the pixel's threshold. The pixel sends :math:`|n_t|` events, "on" if it
    became brighter and "off" if it became darker.

    :param images: brightness from 0 to 1, shape [B, H, W] or [B, 1, H, W]; integers and booleans
        are cast
    :param num_steps: number of time steps T, of 1 ms each if a saccade takes 100 ms.
        Default: ``300``
    :param size: height and width of the camera; the image is centered. Default: ``(34, 34)``
    :param amplitude: how far the image moves to each side in pixels. Default: ``3.0``
    :param threshold: change :math:`\theta` of the logarithm that makes an event. Default: ``0.45``
    :param mismatch: standard deviation of the pixels' thresholds, drawn for each sample, relative
        to ``threshold``. Default: ``0.1``
    :param noise: probability that a pixel sends a random event in a step, "on" or "off" with equal
        probability. Default: ``1e-4``
    :param generator: source of the random numbers, on the device of the images. Default: ``None``,
        for the global one
    :returns: number of events, shape [T, B, 2, height, width]; "off" comes first, as in frames made
        by tonic. They have the device and the floating-point type of the images.
    :raises TypeError: if the images are not a real tensor, or ``num_steps`` is not an integer.
    :raises ValueError: if the images have another shape or values outside of [0, 1], a number is
        out of its range, or ``num_steps`` is less than 3.

    The recordings: G. Orchard et al., *Converting static image datasets to spiking neuromorphic
    datasets using saccades*, Frontiers in Neuroscience 9 (2015). The pixel: P. Lichtsteiner,
    C. Posch and T. Delbruck, *A 128x128 120 dB 15 us latency asynchronous temporal contrast vision
    sensor*, IEEE Journal of Solid-State Circuits 43 (2008).
    """
    images = _floating(images)
    if images.dim() == 4 and images.shape[1] == 1:
        images = images[:, 0]
    if images.dim() != 3 or not images.numel():
        raise ValueError(
            f"images has shape {tuple(images.shape)}; expected [B, H, W] or [B, 1, H, W]."
        )
    if not (images.min() >= 0 and images.max() <= 1):
        raise ValueError(
            f"images has values from {images.min():g} to {images.max():g}; expected 0 to 1: pass "
            "images / 255 for bytes."
        )
    if not 0 < threshold < math.inf:
        raise ValueError(f"threshold is {threshold}; expected a finite number above 0.")
    if not 0 <= mismatch < math.inf:
        raise ValueError(f"mismatch is {mismatch}; expected a finite number of at least 0.")
    if not 0 <= noise <= 1:
        raise ValueError(f"noise is {noise}; expected a probability from 0 to 1.")
    if not hasattr(size, "__len__") or len(size) != 2:
        raise ValueError(f"size is {size!r}; expected the height and the width of the camera.")
    size = (check_count("size", size[0], 1), check_count("size", size[1], 1))
    dtype = images.dtype
    # Half precision is too coarse for positions between pixels.
    images = images.float() if images.element_size() < 4 else images
    way = path(num_steps, amplitude).to(images)
    rows, columns = (_shifts(way[:, axis], images.shape[1 + axis], size[axis]) for axis in (0, 1))
    events = images.new_zeros(num_steps, len(images), 2, *size, dtype=dtype)
    random: dict[str, Any] = {
        "generator": generator,
        "device": images.device,
        "dtype": images.dtype,
    }
    pixels = (len(images), *size)
    # A threshold near zero would make a pixel fire without end.
    each = threshold * (1 + mismatch * torch.randn(pixels, **random)).clamp(min=0.2)
    level = _see(images, rows[0], columns[0])
    for t in range(num_steps):
        steps = ((_see(images, rows[t + 1], columns[t + 1]) - level) / each).trunc()
        level += steps * each
        events[t, :, 0], events[t, :, 1] = (-steps).clamp(min=0), steps.clamp(min=0)
        if noise:
            chance = torch.rand(pixels, **random)
            events[t, :, 0] += chance < noise / 2
            events[t, :, 1] += chance > 1 - noise / 2
    return events


def _shifts(offsets: Tensor, inside: int, outside: int) -> Tensor:
    """Matrices that shift ``inside`` pixels by each offset within ``outside`` pixels."""
    place = torch.arange(outside).to(offsets) - (outside - inside) / 2
    distance = place[:, None] - torch.arange(inside).to(offsets)
    return (1 - (distance - offsets[:, None, None]).abs()).clamp(min=0)


def _see(images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """The logarithm of the brightness that the camera sees of the shifted images."""
    return (rows @ images @ columns.T + 0.1).log()

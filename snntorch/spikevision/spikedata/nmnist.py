"""N-MNIST."""

from __future__ import annotations

from os import PathLike

from ._recordings import Recordings, Transform


class NMNIST(Recordings):
    """Handwritten digits, recorded by an event camera on three saccades.

    A sample is its frames, shape [T, 2, 34, 34] with "off" before "on" events, and its class from 0
    to 9. The arguments are those of :class:`Recordings`.

    G. Orchard et al., *Converting static image datasets to spiking neuromorphic datasets using
    saccades*, Frontiers in Neuroscience 9 (2015).
    """

    def __init__(
        self,
        root: str | PathLike[str],
        train: bool = True,
        transform: Transform | None = None,
        target_transform: Transform | None = None,
        download_and_create: bool = True,
        num_steps: int = 300,
        dt: int = 1000,
    ) -> None:
        functions = transform, target_transform
        super().__init__(root, train, *functions, download_and_create, num_steps, dt)

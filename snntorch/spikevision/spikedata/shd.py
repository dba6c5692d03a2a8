"""Spiking Heidelberg Digits."""

from __future__ import annotations

from os import PathLike

from ._recordings import Recordings, Transform


class SHD(Recordings):
    """Spoken digits, German and English, as the spikes of a model of the cochlea.

    A sample is its frames, shape [T, 700 / ds], and its class from 0 to 19. The arguments are those
    of :class:`Recordings` and

    :param ds: number of neighbouring channels that are added up. Default: ``1``

    B. Cramer et al., *The Heidelberg spiking data sets for the systematic evaluation of spiking
    neural networks*, IEEE Transactions on Neural Networks and Learning Systems 33 (2022).
    """

    axes = ("x",)

    def __init__(
        self,
        root: str | PathLike[str],
        train: bool = True,
        transform: Transform | None = None,
        target_transform: Transform | None = None,
        download_and_create: bool = True,
        num_steps: int = 1000,
        ds: int = 1,
        dt: int = 1000,
    ) -> None:
        functions = transform, target_transform
        super().__init__(root, train, *functions, download_and_create, num_steps, dt, ds)

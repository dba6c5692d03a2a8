"""N-MNIST."""

from __future__ import annotations

from os import PathLike

from ._recordings import Recordings, Transform


class NMNIST(Recordings):
    """Handwritten digits, recorded by an event camera on three saccades.

    A sample is its frames, shape [T, 2, 34, 34] with "off" before "on" events, and its class from 0
    to 9.

    :param root: folder of the data sets, in which tonic keeps one folder each
    :param train: whether to take the training set instead of the test set. Default: ``True``
    :param transform: function of a sample's frames. Default: ``None``
    :param target_transform: function of a sample's class. Default: ``None``
    :param download_and_create: whether tonic may download missing files. Default: ``True``
    :param num_steps: number of frames T. Default: ``300``
    :param dt: length of a frame in microseconds. Default: ``1000``
    :raises ModuleNotFoundError: if tonic is not installed.
    :raises FileNotFoundError: if there are no files and none may be downloaded.
    :raises TypeError: if a count is not an integer.
    :raises ValueError: if a count is less than 1.

    Source: G. Orchard et al., *Converting static image datasets to spiking neuromorphic datasets
    using saccades*, Frontiers in Neuroscience 9 (2015).
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

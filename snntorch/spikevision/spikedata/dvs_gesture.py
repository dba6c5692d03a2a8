"""DVS128 Gesture."""

from __future__ import annotations

from os import PathLike
from typing import Any

import torch

from ._recordings import Recordings, Transform


class DVSGesture(Recordings):
    """Eleven gestures of hands and arms, recorded by an event camera.

    A sample is its frames, shape [T, 2, 128 / ds, 128 / ds] with "off" before "on" events, and its
    class from 0 to 10.

    :param root: folder of the data sets, in which tonic keeps one folder each
    :param train: whether to take the training set instead of the test set. Default: ``True``
    :param transform: function of a sample's frames. Default: ``None``
    :param target_transform: function of a sample's class. Default: ``None``
    :param download_and_create: whether tonic may download missing files. Default: ``True``
    :param num_steps: number of frames T. Default: ``None``, for 500 in the training set and 1800 in
        the test set
    :param dt: length of a frame in microseconds. Default: ``1000``
    :param ds: height and width of the squares of pixels that are added up. Default: ``None``, for 1
    :param return_meta: whether a sample also has the lighting and the number of the person.
        Default: ``False``
    :param time_shuffle: whether to shuffle the frames randomly. Default: ``False``
    :raises ModuleNotFoundError: if tonic is not installed.
    :raises FileNotFoundError: if there are no files and none may be downloaded.
    :raises TypeError: if a count is not an integer.
    :raises ValueError: if a count is less than 1.

    Source: A. Amir et al., *A low power, fully event-based gesture recognition system*, CVPR 2017.
    """

    def __init__(
        self,
        root: str | PathLike[str],
        train: bool = True,
        transform: Transform | None = None,
        target_transform: Transform | None = None,
        download_and_create: bool = True,
        num_steps: int | None = None,
        dt: int = 1000,
        ds: int | None = None,
        return_meta: bool = False,
        time_shuffle: bool = False,
    ) -> None:
        functions = transform, target_transform
        if num_steps is None:
            num_steps = 500 if train else 1800
        ds = 1 if ds is None else ds
        super().__init__(root, train, *functions, download_and_create, num_steps, dt, ds)
        self.return_meta, self.time_shuffle = return_meta, time_shuffle

    def _frames(self, events: Any) -> torch.Tensor:
        frames = super()._frames(events)
        return frames[torch.randperm(len(frames))] if self.time_shuffle else frames

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        sample = super().__getitem__(index)
        if not self.return_meta:
            return sample
        return (*sample, self.recordings.lighting[index], self.recordings.users[index])

"""Base class of the data sets: recordings read by tonic, as frames."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from os import PathLike, fspath
from typing import Any, ClassVar

from torch import Tensor
from torch.utils.data import Dataset

from ... import spikegen
from ..._checks import check_count

Transform = Callable[[Any], Any]


def _keep_what_is_there(recordings: Any) -> None:
    """Replace tonic's download, and do nothing."""


class Recordings(Dataset[tuple[Any, ...]]):
    """Base class of the data sets: each sample is its frames over time and its class.

    :param root: folder of the data sets, in which tonic keeps one folder each
    :param train: whether to take the training set instead of the test set. Default: ``True``
    :param transform: function of a sample's frames. Default: ``None``
    :param target_transform: function of a sample's class. Default: ``None``
    :param download_and_create: whether tonic may download missing files; otherwise the data set
        consists of the files that are there. Default: ``True``
    :param num_steps: number of frames T; shorter recordings are padded with empty frames, longer
        ones are cut
    :param dt: length of a frame in microseconds. Default: ``1000``
    :param ds: number of adjacent pixels or channels that are added up. Default: ``1``
    :raises ModuleNotFoundError: if tonic is not installed.
    :raises FileNotFoundError: if there are no files and none may be downloaded.
    :raises TypeError: if a count is not an integer.
    :raises ValueError: if a count is less than 1.
    """

    axes: ClassVar[tuple[str, ...]] = ("p", "y", "x")
    """Axes of a frame: polarity and position."""

    def __init__(
        self,
        root: str | PathLike[str],
        train: bool,
        transform: Transform | None,
        target_transform: Transform | None,
        download_and_create: bool,
        num_steps: int,
        dt: int,
        ds: int = 1,
    ) -> None:
        self.num_steps = check_count("num_steps", num_steps, 1)
        self.dt, self.ds = check_count("dt", dt, 1), check_count("ds", ds, 1)
        self.transform, self.target_transform = transform, target_transform
        name = type(self).__name__
        try:
            kind = getattr(import_module("tonic").datasets, name)
        except ImportError as error:
            raise ModuleNotFoundError(
                f"spikevision.{name} reads files with tonic, which cannot be imported ({error}): "
                "pip install tonic",
                name="tonic",
            ) from error
        if download_and_create:
            self.recordings = kind(fspath(root), train=train)
        else:
            # tonic names the folder after the class; its own class can be pickled.
            patient = type(kind.__name__, (kind,), {"download": _keep_what_is_there})
            try:
                self.recordings = patient(fspath(root), train=train)
            except FileNotFoundError:
                self.recordings = ()
            else:
                self.recordings.__class__ = kind
        if not len(self.recordings):
            part = "training" if train else "test"
            raise FileNotFoundError(
                f"there is no recording of the {part} set of {name} in {fspath(root)}: pass the "
                f"folder in which tonic keeps its folder {name}, or pass download_and_create=True."
            )

    def __len__(self) -> int:
        return len(self.recordings)

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        events, target = self.recordings[index]
        frames, target = self._frames(events), int(target)
        return (
            frames if self.transform is None else self.transform(frames),
            target if self.target_transform is None else self.target_transform(target),
        )

    def _frames(self, events: Any) -> Tensor:
        """Count the events of each pixel in each frame."""
        sizes = dict(zip("xyp", self.recordings.sensor_size, strict=True))
        events = events[events["t"] < self.num_steps * self.dt]  # a copy
        shape = [self.num_steps]
        for axis in self.axes:
            squares = 1 if axis == "p" else self.ds
            shape.append(-(-sizes[axis] // squares))
            if squares > 1:
                events[axis] //= squares
        axes = "".join(("t", *self.axes))
        return spikegen.frames(events, shape, axes, self.dt).float()

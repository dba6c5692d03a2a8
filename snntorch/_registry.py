"""Names for what is written in Python, by which operators of PyTorch find it again."""

from __future__ import annotations

from typing import Generic, TypeVar
from weakref import WeakValueDictionary

T = TypeVar("T")


class Registry(Generic[T]):
    """Things by name, as long as they are used elsewhere."""

    def __init__(self) -> None:
        self.things: WeakValueDictionary[str, T] = WeakValueDictionary()

    def add(self, name: str, thing: T) -> str:
        """Take up a thing, and return its name, with a number if another one has it."""
        unique, number = name, 1
        while unique in self.things:
            number += 1
            unique = f"{name} {number}"
        self.things[unique] = thing
        return unique

    def __getitem__(self, name: str) -> T:
        return self.things[name]

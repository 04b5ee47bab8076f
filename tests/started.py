"""A context manager for what a test starts and stops; it leaves nothing behind if its start fails."""

from abc import ABC, abstractmethod
from typing import Self


class Started(ABC):
    """Started on entry, stopped on exit; a start that fails half-way is stopped too."""

    @abstractmethod
    def start(self) -> Self:
        """Start every part, and wait until they can be used."""

    @abstractmethod
    def stop(self) -> None:
        """End every part."""

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(self, *_: object) -> None:
        self.stop()

"""The result of a scenario: its parameters, its measurements, and the broken promises."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

Say = Callable[[str], None]
"""Prints one line of progress."""


@dataclass
class Report:
    """The result of one scenario. `figures` are shown in their order; no entry in `broken` means proved."""

    title: str
    sizes: Mapping[str, object]
    """The arguments of the run with its seed; the same arguments replay it."""
    figures: dict[str, object] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)

    def expect(self, holds: object, otherwise: str) -> None:
        """Record a broken promise, or a run that proved nothing because too little happened in it."""
        if not holds:
            self.broken.append(otherwise)

    def text(self) -> str:
        """Return the report as text."""
        lines = [f"{self.title}: {'BROKEN' if self.broken else 'held'}"]
        lines += [f"  with {', '.join(f'{name}={value}' for name, value in self.sizes.items())}"]
        lines += [f"  {name}: {value}" for name, value in self.figures.items()]
        lines += [f"  BROKEN: {line}" for line in self.broken]
        return "\n".join(lines)

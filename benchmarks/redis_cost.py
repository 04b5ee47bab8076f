"""Reads Redis' own counters: commands, their time, and memory."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

_EVALS = ("cmdstat_evalsha", "cmdstat_eval")
_NOT_OURS = ("cmdstat_info", "cmdstat_slowlog")


@dataclass(frozen=True, slots=True)
class Commands:
    """The number of commands (including those in scripts), the number of scripts, and the time in scripts."""

    commands: int
    scripts: int
    script_us: int

    @classmethod
    def read(cls, client: Any) -> Self:
        """Read the counters."""
        stats = {name.lower(): found for name, found in client.info("commandstats").items()}
        evals = [stats[name] for name in _EVALS if name in stats]
        inner = sum(found["calls"] for name, found in stats.items() if name not in (*_EVALS, *_NOT_OURS))
        return cls(inner, sum(found["calls"] for found in evals), sum(found["usec"] for found in evals))

    def since(self, before: "Commands") -> "Commands":
        """Return the difference."""
        return Commands(
            self.commands - before.commands, self.scripts - before.scripts, self.script_us - before.script_us
        )


def used_memory(client: Any) -> tuple[int, int]:
    """Return used_memory and used_memory_rss in bytes."""
    found = client.info("memory")
    return int(found["used_memory"]), int(found["used_memory_rss"])


def slowest_ms(client: Any) -> float:
    """Return the duration of the slowest command in the slow log since its reset."""
    return max((entry["duration"] / 1000 for entry in client.slowlog_get(1000)), default=0.0)


def watch_slow(client: Any, *, over_us: int = 1000) -> None:
    """Empty the slow log, and set its threshold to `over_us`."""
    client.config_set("slowlog-log-slower-than", over_us)
    client.config_set("slowlog-max-len", 1000)
    client.slowlog_reset()


def minor_faults(pid: int) -> int:
    """Return the number of minor page faults of a process: pages copied on write, or touched for the first time."""
    fields = Path(f"/proc/{pid}/stat").read_text("utf-8", errors="replace").rpartition(")")[2].split()
    return int(fields[7])

"""Reads the groups of open dead letters with what people said of each: its owner, and whether it needs a person now."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from worker.ledger.scripts import Scripts
from worker.redis_client.connect import BytesRedis, server_ms

HOURS = 24


@dataclass(frozen=True, slots=True)
class GroupView:
    """Open letters that share instance, code and wish. Times are milliseconds since 1970."""

    instance: str
    code: str
    wish: str
    """on | off | empty: rejected messages"""
    count: int
    by_hour: tuple[int, ...]
    """Letters that were filed in each of the last HOURS hours and are open, the oldest hour first."""
    oldest_at: int
    newest_at: int
    owner: str = ""
    state: str = "open"
    """open | acknowledged (until there are more letters than then) | muted (until a time)"""
    acknowledged_count: int = 0
    """Letters at the acknowledgement."""
    muted_until: int | None = None
    changed_by: str = ""
    """Who last acknowledged, muted, reopened or assigned the group."""
    changed_at: int | None = None

    @property
    def new_letters(self) -> int:
        """Letters of the last HOURS hours."""
        return sum(self.by_hour)

    @property
    def name(self) -> str:
        """Its name in Redis and in the audit log: `instance|code|wish`."""
        return f"{self.instance}|{self.code}|{self.wish}"


class GroupViews:
    """The groups behind one Redis client."""

    def __init__(self, client: BytesRedis, *, now_ms: Callable[[], int] | None = None) -> None:
        self._scripts = Scripts(client)
        self._redis = client
        self._now_ms = now_ms

    def read(self) -> list[GroupView]:
        """Return every group with open letters: open ones first, then by the number of letters."""
        now = self._now()
        found = [_view(raw, now) for raw in self._scripts.run("group_views", now, HOURS)]
        return sorted(found, key=lambda view: (view.state != "open", -view.count, view.name))

    def _now(self) -> int:
        return self._now_ms() if self._now_ms else server_ms(self._redis)


def state_of(field: Mapping[str, str], count: int, now_ms: int) -> str:
    """Return the state that holds now: an acknowledgement ends when the group has grown, a mute at its time."""
    state = field.get("state", "open")
    if state == "acknowledged" and count <= int(field.get("count") or 0):
        return state
    return state if state == "muted" and now_ms < int(field.get("until") or 0) else "open"


def _view(raw: Any, now_ms: int) -> GroupView:
    group, count, oldest, newest, by_hour, flat = raw
    instance, code, wish = group.decode().split("|")
    texts = [value.decode("utf-8", "replace") for value in flat]
    field = dict(zip(texts[::2], texts[1::2], strict=True))
    state = state_of(field, count, now_ms)
    return GroupView(
        instance=instance,
        code=code,
        wish=wish,
        count=count,
        by_hour=tuple(by_hour),
        oldest_at=int(oldest),
        newest_at=int(newest),
        owner=field.get("owner", ""),
        state=state,
        acknowledged_count=int(field.get("count") or 0) if state == "acknowledged" else 0,
        muted_until=int(field["until"]) if state == "muted" else None,
        changed_by=field.get("by", ""),
        changed_at=int(field["at"]) if field.get("at") else None,
    )

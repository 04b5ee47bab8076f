"""Reads the groups of open dead letters with what people said of each: its owner, and whether it needs a person now."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from worker.errors import Unreadable
from worker.ledger.dead_letters import parts_of
from worker.ledger.scripts import Scripts
from worker.ledger.stored_hash import Hash, StoredHash
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
    problem: str = ""
    """What is wrong with what people said of the group, if somebody damaged that in Redis: then it counts as open."""

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


def _view(found: Any, now_ms: int) -> GroupView:
    group, count, oldest, newest, by_hour, *flat = found
    name = group.decode("utf-8", "replace")
    state = dict(zip(flat[0][::2], flat[0][1::2], strict=True)) if flat else None
    try:
        said = _said(name, state, count, now_ms)
    except Unreadable as error:
        said = {"problem": str(error)}
    instance, code, wish = parts_of(group)
    if not code or wish not in {"on", "off", ""}:
        instance, code, wish = "", name, ""
        said = {"problem": str(Unreadable(f"The group {name}", "nightly:groups", "its name is not that of a group"))}
    return GroupView(instance, code, wish, count, tuple(by_hour), int(oldest), int(newest), **said)


def _said(name: str, raw: Hash | None, count: int, now_ms: int) -> dict[str, Any]:
    """Return what people said of a group; an acknowledgement ends when it has grown, a mute at its time."""
    stored = StoredHash(f"What people said of the group {name}", f"nightly:group-state:{name}", raw)
    state = stored.choice("state", ("open", "acknowledged", "muted"), "open")
    acknowledged, until = stored.number("count", 0), stored.number("until", 0)
    if (state == "acknowledged" and count > acknowledged) or (state == "muted" and now_ms >= until):
        state = "open"
    return {
        "owner": stored.text("owner", ""),
        "state": state,
        "acknowledged_count": acknowledged if state == "acknowledged" else 0,
        "muted_until": until if state == "muted" else None,
        "changed_by": stored.text("by", ""),
        "changed_at": stored.number_or_none("at"),
    }

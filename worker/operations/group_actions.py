"""What people do to a group of dead letters: acknowledge, mute, reopen and assign it, each with its audit entry.

An acknowledged group needs nobody until it has more letters than at that time. A muted group needs nobody, and gives
no notice, until a time. Both only hide the group from the list of what needs a person; its letters stay as they are.
"""

from collections.abc import Callable
from dataclasses import dataclass

from worker.errors import InvalidAction, OutOfDate, UnknownGroup
from worker.ledger.audit import Actor, AuditLog, Deed
from worker.ledger.scripts import Scripts
from worker.operations.letter_texts import OWNER_AT_MOST, checked_text
from worker.redis_client.connect import BytesRedis, server_ms

MUTED_AT_MOST_MS = 90 * 86_400_000
NAME_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class GroupName:
    """Names a group. `wish` is on, off, or empty for rejected messages, which have no instance either."""

    instance: str
    code: str
    wish: str

    def __str__(self) -> str:
        return f"{self.instance}|{self.code}|{self.wish}"


class GroupActions:
    """The actions behind one Redis client.

    `version` is the `changed_at` of the group that the person saw (`GroupView`), 0 if nobody had changed it. If it was
    changed since, nothing is done and OutOfDate is raised. Without `version`, any state is accepted.
    All methods also raise UnknownGroup, AuditBusy and redis.RedisError.
    """

    def __init__(self, client: BytesRedis, *, now_ms: Callable[[], int] | None = None) -> None:
        self._scripts = Scripts(client)
        self._audit = AuditLog(client, now_ms=now_ms)
        self._redis = client
        self._now_ms = now_ms

    def acknowledge(
        self,
        group: GroupName,
        *,
        by: Actor,
        note: str = "",
        letters: int | None = None,
        version: int | None = None,
    ) -> None:
        """Mark a group as known, until it has more letters than now.

        `letters` is the number of letters that the person saw: if there are more now, OutOfDate is raised.
        """
        detail = {} if letters is None else {"letters": letters}
        self._set(group, Deed(by, "group.acknowledge", str(group), note, detail), letters=letters, version=version)

    def mute(self, group: GroupName, until_ms: int, *, by: Actor, note: str = "", version: int | None = None) -> None:
        """Hide a group, however much it grows, until a time (ms, at most 90 days ahead); raises InvalidAction."""
        now = self.now_ms()
        if not now < until_ms <= now + MUTED_AT_MOST_MS:
            raise InvalidAction("A group can be muted until a time within the next 90 days. Nothing was done.")
        deed = Deed(by, "group.mute", str(group), note, {"until": until_ms})
        self._set(group, deed, value=until_ms, version=version)

    def reopen(self, group: GroupName, *, by: Actor, note: str = "", version: int | None = None) -> None:
        """End the acknowledgement or the mute of a group."""
        self._set(group, Deed(by, "group.reopen", str(group), note), version=version)

    def assign(self, group: GroupName, owner: str, *, by: Actor, note: str = "", version: int | None = None) -> None:
        """Give a group an owner; an empty name takes it from its owner. Raises InvalidAction."""
        name = checked_text(owner, "owner", at_most=OWNER_AT_MOST, may_be_empty=True)
        self._set(group, Deed(by, "group.assign", str(group), note, {"owner": name}), value=name, version=version)

    def now_ms(self) -> int:
        """Return Redis' clock."""
        return self._now_ms() if self._now_ms else server_ms(self._redis)

    def _set(
        self,
        group: GroupName,
        deed: Deed,
        *,
        value: str | int = "",
        letters: int | None = None,
        version: int | None = None,
    ) -> None:
        verb = deed.action.removeprefix("group.")
        seen = ("" if version is None else version, "" if letters is None else letters)
        args = (self._now_ms() if self._now_ms else "", str(group), verb, value, deed.by.name, *seen)
        reply = self._audit.perform(deed, lambda audit: self._scripts.run("set_group", *args, *audit))
        if reply != b"done":
            raise self._refusal(group, reply)

    def _refusal(self, group: GroupName, reply: bytes) -> Exception:
        name = " ".join(filter(None, (group.code, group.wish, group.instance)))[:NAME_CHARACTERS]
        if reply == b"unknown":
            return UnknownGroup(f"The group {name} has no open dead letter. Nothing was done.")
        if reply == b"grown":
            return OutOfDate(f"The group {name} has more letters than when you looked at it. Nothing was done.")
        person = self._redis.hget(f"nightly:group-state:{group}", "by") or b"nobody"
        by = person.decode("utf-8", "replace")
        return OutOfDate(f"The group {name} was changed by {by} since you looked at it. Nothing was done.")

"""What bounds each key that never expires: the rules of test_every_key.py."""

import re
from collections.abc import Callable, Iterator

from redis import Redis

from tests.integration.ledger.conftest import INSTANCE

TODAY = {INSTANCE: "of today"}
Gone = Callable[[Redis, str, int], Iterator[str]]
"""Yields what a key should not hold any more at a time."""


def nothing(_client: Redis, _key: str, _now: int) -> Iterator[str]:
    yield from ()


def members(client: Redis, key: str) -> list[str]:
    read = {
        b"hash": client.hkeys,
        b"set": client.smembers,
        b"zset": lambda name: client.zrange(name, 0, -1),
        b"list": lambda name: client.lrange(name, 0, -1),
    }
    return [item.decode() for item in read[client.type(key)](key)]


def named(prefix: str, *, field: str = "", value: str = "") -> Gone:
    """Each member must name a key that exists and whose field has that value."""

    def named(client: Redis, key: str, _now: int) -> Iterator[str]:
        for member in members(client, key):
            name = prefix + member
            if not client.exists(name) or (field and client.hget(name, field) != value.encode()):
                yield member

    return named


def itself(field: str, *values: str) -> Gone:
    """The hash must have one of these states, or expire."""

    def itself(client: Redis, key: str, _now: int) -> Iterator[str]:
        if (client.hget(key, field) or b"").decode() not in values:
            yield key

    return itself


def of_an_open_letter(client: Redis, key: str, _now: int) -> Iterator[str]:
    letter = client.hget(f"nightly:login:{key.rsplit(':', maxsplit=1)[-1]}", "x")
    if not letter or client.hget(f"nightly:letter:{letter.decode()}", "status") != b"open":
        yield key


def of_trouble(client: Redis, key: str, now: int) -> Iterator[str]:
    state = client.hget(f"nightly:login:{key.rsplit(':', maxsplit=1)[-1]}", "s")
    if state not in {b"due", b"flight"}:
        yield from of_an_open_letter(client, key, now)


def body_of_an_open_letter(client: Redis, key: str, now: int) -> Iterator[str]:
    yield from itself("status", "open")(client, key.replace(":letter-body:", ":letter:"), now)


def of_a_waiting_backfill(client: Redis, key: str, now: int) -> Iterator[str]:
    hash_key = ":".join(key.split(":")[:3])
    yield from itself("status", "running", "paused")(client, hash_key, now)


def digests(client: Redis, key: str, _now: int) -> Iterator[str]:
    yield from (name.decode() for name in client.hvals(key) if not client.exists(f"nightly:backfill:{name.decode()}"))


def groups_of_jobs(client: Redis, key: str, _now: int) -> Iterator[str]:
    jobs = (value.decode().split()[1] for value in client.hvals(key))
    yield from (job for job in jobs if not client.exists(f"nightly:backfill:{job}"))


def unused_configurations(client: Redis, key: str, _now: int) -> Iterator[str]:
    yield from (field for field in members(client, key) if field.split(":")[0] not in TODAY.values())


def silent_workers(client: Redis, key: str, _now: int) -> Iterator[str]:
    yield from (member for member in members(client, key) if member != "today")


def of_an_open_group(client: Redis, key: str, _now: int) -> Iterator[str]:
    if not client.exists(key.replace("group-state:", "group:")):
        yield "the state of a group without open letters"


STAYS: dict[str, tuple[str, Gone]] = {
    r"meta|letters:seq|alive|tally": ("one value each", nothing),
    r"audit|audit-head": ("every change by a person, on purpose", nothing),
    r"instances": ("one member for each instance", nothing),
    r"(tally|gate|rate|health):[^:]+": ("one hash of few fields for each instance", nothing),
    r"gate-changes:[^:]+": ("200 changes for each instance", nothing),
    r"configs:[^:]+": ("configurations that workers used within a month", unused_configurations),
    r"login:[^:]+": ("one for each login; a person's decision ends it", itself("s", "due", "flight", "done", "dead")),
    r"due:[^:]+:[^:]+": ("logins that wait", named("nightly:login:", field="s", value="due")),
    r"wake:[^:]+": ("one entry for each instance", nothing),
    r"leases:[^:]+": ("logins in flight", named("nightly:login:", field="s", value="flight")),
    r"history:[^:]+": ("while its login waits for a call, or its letter is open", of_trouble),
    r"letter:[^:]+": ("while it is open", itself("status", "open")),
    r"letter-body:[^:]+": ("while its letter is open", body_of_an_open_letter),
    r"kept": ("two numbers", nothing),
    r"filed:[^:]+": ("20 letters, while one of them is open", of_an_open_letter),
    r"minutes": ("1,500 notes", nothing),
    r"seals": ("one number for each key of LOGIN_KEYS", nothing),
    r"entries:.+": ("five numbers for each stream", nothing),
    r"letters:(open|snoozed)|group:.+|owned:.+": (
        "open letters",
        named("nightly:letter:", field="status", value="open"),
    ),
    r"group-state:.+": ("while the group has open letters", of_an_open_group),
    r"groups": ("groups with open letters", named("nightly:group:")),
    r"letters:closed": ("letters that were closed within 90 days", named("nightly:letter:")),
    r"bulk-jobs:starts": ("one number", nothing),
    r"bulk-groups": ("groups that a bulk job was started on within a month", groups_of_jobs),
    r"(backfills(:running)?|bulk-jobs)": ("backfills that have not expired", named("nightly:backfill:")),
    r"backfill-digests": ("contents of backfills that have not expired", digests),
    r"backfill:[^:]+(:chunks|:rows)?": ("until the backfill ends", of_a_waiting_backfill),
    r"workers|reconcilers": ("workers that gave a sign of life", silent_workers),
    r"notices": ("until a worker has passed it on", silent_workers),
}


def without_end(client: Redis) -> list[str]:
    return sorted(key.decode() for key in client.scan_iter() if client.pttl(key) == -1)


def strays(client: Redis, now: int) -> list[str]:
    """Return keys that no rule allows, and entries that the others should have deleted."""
    found = []
    for key in without_end(client):
        rules = [gone for pattern, (_, gone) in STAYS.items() if re.fullmatch(f"nightly:({pattern})", key)]
        found += [key] if len(rules) != 1 else [f"{key} holds {item}" for item in rules[0](client, key, now)]
    return found

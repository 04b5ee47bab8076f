"""The checks of `nightly doctor`: each judges values that diagnose.py collected, and returns a result with advice.

A value that a managed Redis does not show gives the level `unknown`, not `fail`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from worker.operations.advice import (
    MISSING_KEY_ADVICE,
    MISSING_KEY_SECONDS,
    gate_advice,
    gate_reason,
    missing_key_reason,
)
from worker.operations.server_versions import HOLES, has_lua_holes, repaired


class Level(StrEnum):
    """The result of a check; only `fail` makes the command exit with 1."""

    OK = "ok"
    UNKNOWN = "unknown"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Check:
    """One line of output: the name of what was checked, the result, what was found, and advice."""

    name: str
    level: Level
    what: str
    advice: str = ""


OLDEST_VERSION = (6, 2)
SKEW_WARN_SECONDS, SKEW_FAIL_SECONDS = 2.0, 30.0
MEMORY_WARN, MEMORY_FAIL = 0.75, 0.9
REVIEW_WARN = 0.9  # the share of the review list in use from which the check fails
BACKLOG_WARN_SECONDS, BACKLOG_FAIL_SECONDS = 60.0, 600.0
HEARD_OF_SECONDS = 10.0  # a worker that is silent for longer counts as dead, as in pulse.lua


def check_version(info: Mapping[str, Any]) -> Check:
    """Check that the server is new enough and has no known vulnerability. Valkey also reports a Redis version."""
    name, server = "Redis version", "Valkey" if "valkey_version" in info else "Redis"
    version = str(info.get(f"{server.lower()}_version", ""))
    try:
        release = tuple(int(part) for part in version.split("."))
    except ValueError:
        return Check(name, Level.UNKNOWN, "Redis does not show its version")
    if release[:2] < OLDEST_VERSION:
        return Check(name, Level.FAIL, f"{server} {version}", "Nightly needs Valkey, or Redis 6.2 or newer.")
    if has_lua_holes(server, release):
        advice = (
            f"Install {repaired(server)}, unless your distributor has patched this version: see its notes on the CVEs."
        )
        return Check(name, Level.WARN, f"{server} {version} lets scripts escape Lua's sandbox: {HOLES}", advice)
    return Check(name, Level.OK, f"{server} {version}")


def check_role(role: str) -> Check:
    """Check that Redis is not a replica, which refuses writes."""
    if role in {"slave", "replica"}:
        return Check("Redis role", Level.FAIL, "a replica", "Point REDIS_URL at the primary; a replica refuses writes.")
    return Check("Redis role", Level.OK if role else Level.UNKNOWN, "primary" if role else "unknown")


def check_eviction(policy: str | None) -> Check:
    """Check that Redis evicts no keys: an evicted key is a lost event."""
    name = "eviction"
    if not policy:
        return Check(name, Level.UNKNOWN, "Redis does not show maxmemory-policy", "Make sure that it is noeviction.")
    if policy != "noeviction":
        advice = "Redis would delete events when it is full. CONFIG SET maxmemory-policy noeviction"
        return Check(name, Level.FAIL, f"maxmemory-policy is {policy}", advice)
    return Check(name, Level.OK, "noeviction")


def check_persistence(info: Mapping[str, Any], appendfsync: str | None) -> Check:
    """Check that Redis writes to disk: what it has not written is lost if its machine fails."""
    name = "persistence"
    if "aof_enabled" not in info:
        return Check(name, Level.UNKNOWN, "Redis does not show it", "Make sure that the append-only file is on.")
    if not int(info["aof_enabled"]):
        replicas = int(info.get("connected_slaves", 0))
        what = f"the append-only file is off, with {replicas} replicas"
        return Check(
            name, Level.WARN if replicas else Level.FAIL, what, "CONFIG SET appendonly yes, and in redis.conf."
        )
    if str(info.get("aof_last_write_status", "ok")) != "ok":
        return Check(name, Level.FAIL, "the last write to the append-only file failed", "Check Redis' disk and log.")
    if appendfsync == "no":
        advice = "CONFIG SET appendfsync everysec: half a minute of events can be lost otherwise."
        return Check(name, Level.WARN, "append-only file, but the system decides when to fsync", advice)
    if not appendfsync:
        advice = "Make sure that appendfsync is everysec or always: an administrator's CONFIG GET appendfsync shows it."
        return Check(name, Level.UNKNOWN, "append-only file; this user may not read appendfsync", advice)
    return Check(name, Level.OK, f"append-only file, fsync {appendfsync}")


def check_memory(used_bytes: int, limit_bytes: int) -> Check:
    """Check that Redis is not full: then it refuses events. 0 bytes used means that Redis does not show the value."""
    name, used = "memory", f"{used_bytes / 1_048_576:,.0f} MiB used"
    if not used_bytes:
        return Check(name, Level.UNKNOWN, "Redis does not show it")
    if not limit_bytes:
        return Check(name, Level.OK, f"{used}, no maxmemory set")
    share = used_bytes / limit_bytes
    level = Level.FAIL if share > MEMORY_FAIL else Level.WARN if share > MEMORY_WARN else Level.OK
    advice = "" if level is Level.OK else "Raise maxmemory: when it is full, events are refused."
    return Check(name, level, f"{used}, {share:.0%} of maxmemory", advice)


def check_clock(skew_seconds: float) -> Check:
    """Check this machine's clock: `occurred_at` orders events, and one that is too far ahead is rejected."""
    size = abs(skew_seconds)
    level = Level.FAIL if size > SKEW_FAIL_SECONDS else Level.WARN if size > SKEW_WARN_SECONDS else Level.OK
    side = "ahead of" if skew_seconds > 0 else "behind"
    advice = "" if level is Level.OK else "Synchronize both clocks by NTP: occurred_at decides which event is newest."
    return Check("clock", level, f"this machine is {size:.1f} s {side} Redis", advice)


def check_ledger(*, is_begun: bool, mismatch: str, key_ids: Sequence[str] = ()) -> Check:
    """Check that LOGIN_KEYS are those of the ledger. `key_ids` are their public ids, newest first."""
    if mismatch:
        return Check("LOGIN_KEYS", Level.FAIL, mismatch)
    names = f"; ids, newest first: {', '.join(key_ids)}" if key_ids else ""
    return Check("LOGIN_KEYS", Level.OK, ("fit the ledger" if is_begun else "set; the ledger is new") + names)


def check_kind(kind: str | None, *, is_sandbox: bool) -> Check:
    """Check that SANDBOX fits the ledger, which keeps its kind: `sandbox` or `production`; None if it is new."""
    wanted = "sandbox" if is_sandbox else "production"
    if kind in {None, wanted}:
        return Check("ledger", Level.OK, kind or f"new; these settings will make it a ledger for {wanted}")
    advice = "Workers refuse this ledger: set REDIS_URL to another Redis, or correct SANDBOX."
    return Check("ledger", Level.FAIL, f"it is for {kind}, and these settings are for {wanted}", advice)


def check_keys(missing: Sequence[Mapping[str, Any]]) -> Check:
    """Check the keys that logins wait for. `missing`: those that no live worker has, as `Views.missing_keys` lists."""
    if not missing:
        return Check("keys", Level.OK, "live workers have every key that logins wait for")
    level = Level.FAIL if any(key["seconds"] >= MISSING_KEY_SECONDS for key in missing) else Level.WARN
    return Check("keys", level, "; ".join(map(missing_key_reason, missing)), MISSING_KEY_ADVICE)


def check_configuration(instance: str, standing: str) -> Check:
    """Check Flinks' last answer to exactly this configuration: key, customer id and address."""
    name = f"{instance}: Flinks key"
    if standing == "refused":
        advice = f"Correct it and restart the workers. If Flinks was wrong: nightly gate open {instance}"
        return Check(name, Level.FAIL, "Flinks refused this configuration", advice)
    if standing == "suspect":
        advice = (
            f"Correct FLINKS_CUSTOMER_ID or FLINKS_INSTANCE. If the logins are invalid: nightly gate open {instance}"
        )
        return Check(name, Level.FAIL, "Flinks refused many logins in a row under this configuration", advice)
    if standing == "doubted":
        return Check(name, Level.WARN, "Flinks refused one login under it; other logins test it one at a time")
    if standing == "unreachable":
        return Check(name, Level.FAIL, "workers could not reach Flinks at this address", "Check FLINKS_BASE_URL, DNS.")
    return Check(name, Level.OK, "accepted by Flinks" if standing == "proven" else "set, not used yet")


def check_gate(instance: str, gate: Mapping[str, Any]) -> Check:
    """Check that the gate is open. A closed one stops all calls, and fails unless an outage will open it again soon."""
    name = f"{instance}: gate"
    if gate["state"] != "open":
        state = gate["state"].replace("_", " ").upper()
        level = Level.FAIL if gate["needs_action"] else Level.WARN
        return Check(name, level, f"{state}. {gate_reason(gate)}", gate_advice(instance, gate))
    return Check(name, Level.OK, "open")


def check_backlog(instance: str, about: Mapping[str, Any], *, workers_alive: int) -> Check:
    """Check that due logins are called soon, unless there is a known reason."""
    name = f"{instance}: backlog"
    due, oldest = about["due_live"] + about["due_backfill"], about["oldest_due_seconds"]
    what = f"{due:,} due, {about['in_flight']:,} in flight, {about['waiting']:,} waiting for their next attempt"
    if not due or oldest <= BACKLOG_WARN_SECONDS:
        return Check(name, Level.OK, what)
    what += f"; the oldest has been due for {oldest:,.0f} s"
    if about["gate"]["state"] != "open" or not workers_alive:
        return Check(name, Level.WARN, what, "See the gate and the workers: no calls are made at the moment.")
    if about["paused_seconds"]:
        return Check(
            name, Level.WARN, what, f"Flinks asked for a pause; calls resume in {about['paused_seconds']:.0f} s."
        )
    level = Level.FAIL if oldest > BACKLOG_FAIL_SECONDS else Level.WARN
    return Check(name, level, what, "Calls are slower than events: see FLINKS_CALLS_PER_SECOND and the workers' logs.")


def check_workers(silences: Mapping[str, float], *, has_work: bool) -> Check:
    """Check that workers are alive. `silences` maps each worker to the seconds since its last pulse."""
    alive = {name: seconds for name, seconds in silences.items() if seconds <= HEARD_OF_SECONDS}
    silent = [f"{name} for {seconds:.0f} s" for name, seconds in silences.items() if name not in alive]
    if not alive:
        dead = f"; silent: {', '.join(silent)}" if silent else ""
        level = Level.FAIL if has_work else Level.WARN
        return Check("workers", level, f"none alive{dead}", "Start one: celery -A worker worker")
    what = ", ".join(f"{name} sent a pulse {max(seconds, 0):.1f} s ago" for name, seconds in sorted(alive.items()))
    if silent:
        return Check("workers", Level.WARN, f"{what}; silent: {', '.join(silent)}", "Read the silent worker's log.")
    return Check("workers", Level.OK, what)


def check_excluded(excluded: Mapping[str, Sequence[str]]) -> Check:
    """Check the network of each worker. `excluded` maps a worker to the instances that only it cannot reach."""
    names = [f"{name} ({', '.join(instances)})" for name, instances in sorted(excluded.items()) if instances]
    if names:
        what = f"cannot reach Flinks while other workers can: {'; '.join(names)}"
        return Check("reach", Level.FAIL, what, "Check that machine's network, DNS and proxy settings.")
    return Check("reach", Level.OK, "no single worker is cut off from Flinks")


def check_slots(slots: Mapping[str, int]) -> Check:
    """Check the pool sizes: reconciling and backfills share a pool's slots, and events are read outside the pool."""
    single = sorted(name for name, count in slots.items() if count < 2)  # noqa: PLR2004 - a reconciler takes one
    if single and len(single) == len(slots):
        what = f"only one slot: {', '.join(single)}"
        return Check("slots", Level.WARN, what, "Reconciling and backfills take turns: use --concurrency 2 or more.")
    return Check("slots", Level.OK, "enough for reconciling and backfills")


def check_review_list(kept: int, *, share: float, unkept: int) -> Check:
    """Check the room for rejected messages: `kept` use `share` of it; `unkept` were only counted, for lack of room."""
    name, what = "review list", f"{kept:,} rejected messages wait for a person"
    advice = "A producer sends invalid events: nightly dead-letters groups. Resolve them to make room."
    if share >= REVIEW_WARN:
        return Check(name, Level.FAIL, f"{what}, {unkept:,} more were only counted", advice)
    if unkept:
        return Check(name, Level.WARN, f"{what}; {unkept:,} were only counted while it was full", advice)
    return Check(name, Level.OK, what)

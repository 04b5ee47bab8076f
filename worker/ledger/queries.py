"""Reads the state of the ledger: all of it by instance, or one login. Changes nothing."""

import json
import re
from collections.abc import Callable
from typing import Any

from worker.events.channels import STREAM
from worker.ledger import stored_hash
from worker.ledger.dead_letters import parts_of
from worker.ledger.history import by_kind, history_key, read_lines
from worker.ledger.login_fields import read_hash
from worker.ledger.models import Lane
from worker.ledger.stored_hash import LATEST_MS, StoredHash, unless_wrong_type
from worker.ledger.stream_state import stream_state
from worker.redis_client.connect import BytesRedis, server_ms

OUTAGE_ALARM_MS = 900_000
"""An outage ends by itself. One that has lasted for this long needs a person: it may be our network."""
CLIMB = 0.05
"""Share of the ceiling by which a cut rate climbs back each second (`climbed` in rate_limit.lua)."""


class Views:
    """What `status`, `explain`, the review page and the metrics show."""

    def __init__(self, client: BytesRedis, *, now_ms: Callable[[], int] | None = None) -> None:
        self.redis = client
        self._now_ms = now_ms

    def now_ms(self) -> int:
        """Return Redis' clock."""
        return self._now_ms() if self._now_ms else server_ms(self.redis)

    def status(self) -> dict[str, Any]:
        """Return the state of the ledger: instances, workers, rejected messages, ids of the stream."""
        now = self.now_ms()
        names = sorted(raw.decode() for raw in self.redis.smembers("nightly:instances"))
        letters = self._open_letters()
        return {
            "ledger": self.kind(),
            "instances": {name: self._instance(name, now, letters.get(name, {})) for name in names},
            "rejected": int(self.redis.hget("nightly:tally", "rejected") or 0),
            "rejected_unkept": int(self.redis.hget("nightly:tally", "rejected_unkept") or 0),
            "rejected_open": letters.get("", {}),
            "dead_letters_open": self.redis.zcard("nightly:letters:open"),
            "workers": self.workers(now),
            "missing_keys": self.missing_keys(now),
            "reconcilers": self.redis.zcount("nightly:reconcilers", now, "+inf"),
            **stream_state(self.redis, STREAM, now),
        }

    def seals(self) -> dict[str, int]:
        """Return the number of seals under each key of LOGIN_KEYS, by the key's id."""
        return {key_id.decode(): int(count) for key_id, count in self.redis.hgetall("nightly:seals").items()}

    def kind(self) -> str | None:
        """Return `sandbox` or `production`; None for a ledger that no worker has opened yet."""
        raw = self.redis.hget("nightly:meta", "kind")
        return raw.decode() if raw else None

    def workers(self, now_ms: int) -> list[dict[str, Any]]:
        """Return the live workers: seconds since the last heartbeat, and the instances where each is excluded."""
        found = []
        for name, raw in self.redis.hgetall("nightly:workers").items():
            about = json.loads(raw)
            age = (now_ms - about.pop("at")) / 1000
            if age <= 10:  # noqa: PLR2004 - SILENT in common.lua
                found.append({"name": name.decode(), "silent_seconds": round(max(age, 0), 1), **about})
        instances = [raw.decode() for raw in self.redis.smembers("nightly:instances")]
        for about in found:
            keys = {instance: f"nightly:excluded:{instance}:{about['name']}" for instance in instances}
            about["excluded"] = sorted(instance for instance, key in keys.items() if self.redis.exists(key))
        return sorted(found, key=lambda about: str(about["name"]))

    def missing_keys(self, now_ms: int) -> list[dict[str, Any]]:
        """Return each key that logins or rows need and no live worker holds: `key_id`, `since` (ms), `seconds`."""
        since = {
            key.decode(): int(raw.partition(b":")[0]) for key, raw in self.redis.hgetall("nightly:missing-keys").items()
        }
        keys = [{"key_id": key, "since": at, "seconds": max(0, now_ms - at) / 1000} for key, at in since.items()]
        return sorted(keys, key=lambda key: key["since"])

    def login(self, reference: str) -> dict[str, Any] | None:
        """Return one login (None: unknown), without its sealed value."""
        key = f"nightly:login:{reference}"
        raw = stored_hash.read_hash(self.redis, key)
        words = None if raw is None else read_hash(raw)
        if words is not None and not words.keys() >= _OF_EVERY_LOGIN:
            return None
        fields = None if words is None else {word.encode(): value for word, value in words.items()}
        login = StoredHash(f"Login {reference}", key, fields)
        instance, lane = login.text("instance"), login.choice("lane", list(Lane), "live")
        with self.redis.pipeline(transaction=False) as pipeline:
            pipeline.zscore(f"nightly:due:{instance}:{lane}", reference)
            pipeline.zscore(f"nightly:leases:{instance}", reference)
            pipeline.get(history_key(reference))
            due_at, lease, lines = pipeline.execute()
        history = read_lines(lines)
        confirmed = _confirmed(login)
        return {
            "login": reference,
            "instance": instance,
            "account_id": login.text("account_id", "") or None,
            "wish": _on_off(login.choice("wish", "01")),
            "occurred_us": login.number("occurred_us", at_most=LATEST_MS * 1000),
            "event_id": login.text("event_id"),
            "revision": login.number("revision"),
            "state": _STATES[login.choice("state", _STATES)],
            "lane": lane,
            "failures": login.number("failures", 0),
            "due_at": None if due_at is None else int(due_at),
            "lease_until": None if lease is None else int(lease),
            "rests_until": login.number_or_none("rests_until"),
            "last_code": login.text("last_code", "applied" if confirmed else "") or None,
            "confirmed_wish": _on_off(confirmed[2]) if confirmed else None,
            "confirmed_revision": int(confirmed[1]) if confirmed else None,
            "confirmed_at": int(confirmed[3]) if confirmed else None,
            "dead_letter": login.text("letter", "") or None,
            "history": history,
            **by_kind(history),
        }

    def gate(self, instance: str) -> dict[str, Any]:
        """Return the gate of one instance: state (open, closed, half_open), cause and time of its last change.

        It is half open in an outage while the one trial call is in flight. `needs_action`: whether it needs a person,
        as every closed gate does, except in an outage of less than OUTAGE_ALARM_MS.
        """
        return _gate(self.redis.hgetall(f"nightly:gate:{instance}"), self.now_ms())

    def paused_until(self, instance: str) -> int:
        """Return until when Flinks asked one instance to make no calls, ms; 0: it never did."""
        return int(self.redis.hget(f"nightly:rate:{instance}", "paused_until") or 0)

    def rate(self, instance: str) -> float | None:
        """Return the present limit of an instance in calls a second; None before its first call."""
        return _rate(self.redis.hgetall(f"nightly:rate:{instance}"), self.now_ms())["rate_per_second"]

    def gate_changes(self, instance: str, *, at_most: int = 200) -> list[dict[str, Any]]:
        """Return the last changes of a gate, oldest first: `at` (ms), `state`, `cause` and details."""
        raw = self.redis.lrange(f"nightly:gate-changes:{instance}", -at_most, -1)
        return [{name: value for name, value in json.loads(item).items() if value != ""} for item in raw]

    def _instance(self, name: str, now: int, letters: dict[str, int]) -> dict[str, Any]:
        """Read one instance in one transaction, so that a login which moves meanwhile is counted once."""
        lanes = [f"nightly:due:{name}:{lane}" for lane in Lane]
        with self.redis.pipeline(transaction=True) as pipeline:
            for key in lanes:
                pipeline.zcount(key, "-inf", now)
                pipeline.zcard(key)
                pipeline.zrange(key, 0, 0, withscores=True)
            pipeline.zcard(f"nightly:leases:{name}")
            pipeline.hgetall(f"nightly:tally:{name}")
            pipeline.hgetall(f"nightly:rate:{name}")
            pipeline.hgetall(f"nightly:gate:{name}")
            live, all_live, first_live, backfill, all_backfill, first_backfill, in_flight, tally, rate, gate = (
                pipeline.execute()
            )
        first = [pairs[0][1] for pairs in (first_live, first_backfill) if pairs]
        return {
            "gate": _gate(gate, now),
            "due_live": live,
            "due_backfill": backfill,
            "waiting": all_live - live + all_backfill - backfill,
            "in_flight": in_flight,
            "oldest_due_seconds": round(max(0.0, (now - min(first)) / 1000), 1) if first else 0.0,
            "paused_seconds": max(0, int(rate.get(b"paused_until", 0)) - now) / 1000,
            **_rate(rate, now),
            "tally": {key.decode(): int(value) for key, value in tally.items()},
            "dead_letters_open": letters,
        }

    def _open_letters(self) -> dict[str, dict[str, int]]:
        """Return the number of open letters by instance (empty: rejected messages) and code."""
        groups = list(self.redis.smembers("nightly:groups"))
        pipeline = self.redis.pipeline(transaction=False)
        for group in groups:
            pipeline.zcard(b"nightly:group:" + group)
        counts: dict[str, dict[str, int]] = {}
        for group, count in zip(groups, pipeline.execute(raise_on_error=False), strict=True):
            instance, code, _ = parts_of(group)
            of_instance = counts.setdefault(instance, {})
            of_instance[code] = of_instance.get(code, 0) + (unless_wrong_type(count) or 0)
        return {name: {code: each for code, each in found.items() if each} for name, found in counts.items()}


_OF_EVERY_LOGIN = {"instance", "wish", "occurred_us", "event_id", "revision", "state"}
"""A hash that lacks one of these is the rest of a login that a person deleted, or was written by a person."""
_CONFIRMED = re.compile(r"(\d{1,15}):([01]):(\d{1,14})", re.ASCII)
_STATES = {"due": "waiting", "flight": "in_flight", "done": "applied", "dead": "dead_lettered"}
_GATE_NUMBERS = ("changed_at", "held_since", "held_ms", "probe_at", "probes")
_GATE_TEXTS = ("state", "cause", "code", "http_status", "detail", "by")


def _gate(raw: dict[bytes, bytes], now: int) -> dict[str, Any]:
    field = {key.decode(): value.decode("utf-8", "replace") for key, value in raw.items()}
    gate: dict[str, Any] = {"state": "open", "changed_at": None}
    gate |= {name: field[name] for name in _GATE_TEXTS if field.get(name)}
    gate |= {name: int(field[name]) for name in _GATE_NUMBERS if name in field}
    # A gate that is closed for another reason, too, shows that reason: it may need a person.
    if gate["state"] != "closed" and "outage" in field:
        state = "half_open" if int(field.get("canary_until", 0)) > now else "closed"
        gate |= {"state": state, "cause": "outage", "detail": field["outage_detail"]}
        gate["changed_at"] = int(field["outage_at"])
    is_patient = gate.get("cause") == "outage" and now - gate["changed_at"] < OUTAGE_ALARM_MS
    return gate | {"needs_action": gate["state"] != "open" and not is_patient}


def _rate(raw: dict[bytes, bytes], now: int) -> dict[str, float | None]:
    """Return the rate now (calls/s), the same if it is cut (else None), and the ceiling. All None: no call yet."""
    ceiling = float(raw[b"ceiling"]) if b"ceiling" in raw else None
    if ceiling is None or b"rate" not in raw:
        return {"rate_per_second": ceiling, "rate_cut_to": None, "ceiling": ceiling}
    climbed = max(0, now - int(raw[b"changed_at"])) / 1000 * CLIMB * ceiling
    rate = round(min(ceiling, float(raw[b"rate"]) + climbed), 2)
    return {"rate_per_second": rate, "rate_cut_to": rate if rate < ceiling else None, "ceiling": ceiling}


def _confirmed(login: StoredHash) -> re.Match[str] | None:
    """Return revision, wish and time of the last confirmed call; None without one."""
    text = login.text("confirmed", "")
    found = _CONFIRMED.fullmatch(text)
    if text and not found:
        raise login.unreadable("its field confirmed is not a revision, a wish and a time")
    return found


def _on_off(flag: str | None) -> str | None:
    return None if flag is None else "on" if flag == "1" else "off"

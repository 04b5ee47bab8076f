"""Advises a person what to do about a dead-letter code, a shut gate or a silent worker."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from worker.flinks.protocol import END_USER_CODES

_BY_CODE: Mapping[str, str] = {
    "INVALID_LOGIN": (
        "Flinks does not know this login under this customer. Wish off: the card is most likely deleted already, "
        "so resolve it. Wish on: the end user has to link the account again, which brings a new event."
    ),
    "UNAUTHORIZED": (
        "The institution did not authorize access. The end user may have to complete steps on the bank's website, "
        "or link the account again. Then replay, or resolve."
    ),
    "INVALID_REQUEST": "Flinks refuses the request itself. Read its message; compare it with the API contract.",
    "retries_exhausted": "Every attempt failed for long. Read the attempts; once the cause is gone, replay.",
    "unexpected_response": "Flinks said yes to something else than was asked. Ask Flinks, then replay.",
    "unknown_code": "Flinks refused with an unknown code. Read its message, then replay or resolve.",
    "invalid_event": "The producer sent what no event looks like. Correct the producer; it has to publish again.",
    "unknown_key": (
        "The producer sealed the loginId to a key that the workers do not hold. Put that key back into LOGIN_KEYS, "
        "restart, then replay; or give the producer what `nightly keys public` prints, to publish again."
    ),
    "unknown_instance": "The event names an instance that is not in FLINKS_INSTANCES. Add it, restart, then replay.",
}
MISSING_KEY_SECONDS = 60
"""As in login_keys.lua: a key may be missing for less than this while workers restart, and is not reported."""
MISSING_KEY_ADVICE = (
    "Put that key back into LOGIN_KEYS of the workers and restart them; what waits goes on by itself. "
    "`nightly doctor` says which keys are at hand."
)
CLOSED_STREAM_REASON = "the stream's last id is the largest there is, so producers can add no event"
CLOSED_STREAM_ADVICE = (
    "A producer sets ids by hand. A worker makes the stream anew, within seconds, once all its entries are taken in: "
    "have one running. Where it stays so, a consumer group other than ours holds entries (XINFO GROUPS "
    "account-events:stream): XGROUP DESTROY account-events:stream THAT-GROUP. Then find the producer, change its "
    "password, and let it send over HTTP."
)
VANISHED_ADVICE = (
    "Somebody trims or deletes: anybody with a producer's or the administrator's password can. Publish again from the "
    "source what was sent before that time, the same events with the same ids. Change the passwords, and let producers "
    "that are less trusted send over HTTP."
)
VANISHED_ALARM_MS = 86_400_000
"""For so long entries that vanished raise an alarm; afterwards `status` and `doctor` still name them."""
_ADDRESS_CODES = frozenset({"name_not_found", "tls_failure"})


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something that needs a person now: a title, the reason, what to do."""

    title: str
    reason: str
    advice: str


def advice_for(code: str) -> str:
    """Return what a person can do about a dead letter with this code."""
    if code in END_USER_CODES and code not in _BY_CODE:
        return "Only the end user can cure this: ask them to link the account again. Then resolve, or replay."
    return _BY_CODE.get(code, "Read Flinks' message and the attempts, then replay or resolve.")


def missing_key_reason(key: Mapping[str, Any]) -> str:
    """Return which key no live worker holds, and since when, in one sentence."""
    since = datetime.fromtimestamp(key["since"] / 1000, UTC)
    return (
        f"no live worker holds key {key['key_id']}, and logins have waited for it since {since:%Y-%m-%d %H:%M:%S} UTC"
    )


def vanished_reason(status: Mapping[str, Any]) -> str:
    """Return how many stream entries vanished, and when that was noticed last, in one sentence."""
    at = datetime.fromtimestamp((status["stream_vanished_at"] or 0) / 1000, UTC)
    count = status["stream_vanished"]
    return f"{count:,} stream entries vanished before a worker read them, last noticed {at:%Y-%m-%d %H:%M:%S} UTC"


def gate_reason(gate: Mapping[str, Any]) -> str:
    """Return why a gate is closed, in one sentence."""
    if gate.get("cause") == "outage":
        return f"Flinks, or the way to it, is down: {gate.get('detail', '')}"
    if gate.get("cause") == "storm":
        what = f"{gate.get('code', '')} for {gate.get('detail', '')}"
        return f"{what}: the customer id or the instance is probably wrong"
    if gate.get("cause") == "halt":
        status = f" (HTTP {gate['http_status']})" if gate.get("http_status") else ""
        detail = f": {gate['detail']}" if gate.get("detail") else ""
        return f"Flinks cannot be called with this configuration, {gate.get('code', '')}{status}{detail}"
    reason = f": {gate['detail']}" if gate.get("detail") else ""
    return f"closed by {gate.get('by') or 'a person'}{reason}"


def gate_advice(instance: str, gate: Mapping[str, Any]) -> str:
    """Return what to do about a closed gate."""
    command = f"nightly gate open {instance}"
    if gate.get("cause") == "outage":
        return (
            "Nothing has to be done: one call at a time tries, a minute apart at most, and the first that Flinks "
            f"answers opens the gate. No attempt is charged meanwhile. To try at once: {command}"
        )
    if gate.get("cause") == "storm":
        return (
            "Correct FLINKS_CUSTOMER_ID or FLINKS_INSTANCE and restart the workers: the first confirmed call opens the "
            f"gate; then: nightly dead-letters replay --suspects. If Flinks is right about those logins: {command}"
        )
    if gate.get("cause") != "halt":
        return f"When the reason is gone: {command}"
    if gate.get("code") in _ADDRESS_CODES:
        return f"Check FLINKS_BASE_URL and DNS. One call a minute tries again by itself; to try at once: {command}"
    if gate.get("code") == "unsealable":
        return f"Sealed loginIds in Redis were altered: restore it from a backup that is whole; then: {command}"
    return (
        "Correct the key, customer id or address and restart the workers: the first accepted call opens the gate. "
        f"If the mistake was on Flinks' side: {command}"
    )


def alarms(status: Mapping[str, Any], now_ms: int) -> list[Alarm]:
    """Return what needs a person at `now_ms`, from `Views.status()`."""
    found = [
        Alarm(f"GATE CLOSED: {name}", gate_reason(about["gate"]), gate_advice(name, about["gate"]))
        for name, about in status["instances"].items()
        if about["gate"]["state"] != "open"
    ]
    found += [
        Alarm("LOGIN KEY MISSING", missing_key_reason(key), MISSING_KEY_ADVICE)
        for key in status.get("missing_keys", ())
        if key["seconds"] >= MISSING_KEY_SECONDS
    ]
    if status.get("stream_is_closed"):
        found.append(Alarm("STREAM CLOSED", CLOSED_STREAM_REASON, CLOSED_STREAM_ADVICE))
    vanished_at = status.get("stream_vanished_at")
    if vanished_at is not None and now_ms - vanished_at < VANISHED_ALARM_MS:
        found.append(Alarm("EVENTS VANISHED", vanished_reason(status), VANISHED_ADVICE))
    work = status["stream_length"] + sum(
        about["due_live"] + about["due_backfill"] + about["in_flight"] for about in status["instances"].values()
    )
    if work and not status["workers"]:
        reason = f"no worker was heard of for ten seconds, and {work:,} are waiting"
        found.append(Alarm("NO WORKER", reason, "Start one: celery -A worker worker"))
    return found

"""Advises a person what to do about a dead letter (by its code), a closed gate, and every other alarm."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from worker.flinks.protocol import END_USER_CODES
from worker.words import utc


@dataclass(frozen=True, slots=True)
class LetterAdvice:
    """What a reviewer needs to know about a dead letter: a plain-language cause and the suggested action."""

    cause: str
    action: str
    verb: Literal["replay", "nothing_left", "resolve", ""] = ""
    """The action that usually ends such a letter; empty if a person must decide."""

    @property
    def text(self) -> str:
        """Return cause and action in one paragraph."""
        return f"{self.cause} {self.action}"


_GONE_OFF = LetterAdvice(
    "Flinks has no such login for this customer; the card is probably deleted already.",
    "Nothing is left to switch off: resolve it.",
    "nothing_left",
)
_GONE_ON = LetterAdvice(
    "Flinks has no such login for this customer.",
    "The end user must link the account again, which sends a new event; or correct the loginId. Then resolve it.",
    "resolve",
)
_END_USER = LetterAdvice(
    "Only the end user can fix this.", "Ask them to link the account again. Then resolve or replay.", "resolve"
)
_OTHER = LetterAdvice("Flinks refused this login for good.", "Read Flinks' message and the attempts, then decide.")
_BY_CODE: Mapping[str, LetterAdvice] = {
    "INVALID_LOGIN": LetterAdvice(
        "Flinks has no such login for this customer.",
        "If the wish is off, the card is probably deleted already: resolve it. If the wish is on, the end user must "
        "link the account again, which sends a new event.",
    ),
    "UNAUTHORIZED": LetterAdvice(
        "The institution did not authorize access.",
        "The end user may have to complete steps on the bank's website, or link the account again. Then replay, or "
        "resolve.",
    ),
    "INVALID_REQUEST": LetterAdvice(
        "Flinks rejects the request itself.", "Read its message, and compare it with the API contract."
    ),
    "retries_exhausted": LetterAdvice(
        "Every attempt failed.", "Read the attempts; when the cause is removed, replay.", "replay"
    ),
    "unexpected_response": LetterAdvice(
        "Flinks confirmed something other than the wish.", "Ask Flinks, then replay.", "replay"
    ),
    "unknown_code": LetterAdvice(
        "Flinks refused with an unknown code.", "Read its message, then replay or resolve.", "replay"
    ),
    "invalid_event": LetterAdvice(
        "The producer sent an invalid event.",
        "Correct the producer; it must publish the event again. Or correct the message here and resubmit it.",
        "resolve",
    ),
    "unknown_key": LetterAdvice(
        "The producer sealed the loginId to a key that LOGIN_KEYS lacks.",
        "Put that key back into LOGIN_KEYS, restart, then replay; or set SEAL_TO of the producer to the key that "
        "`nightly keys public` prints, and publish again.",
        "replay",
    ),
    "unknown_instance": LetterAdvice(
        "The event names an instance that is not in FLINKS_INSTANCES.", "Add it, restart, then replay.", "replay"
    ),
}
KNOWN_CODES = frozenset(_BY_CODE) | END_USER_CODES
"""Every code that a dead letter may have."""
MISSING_KEY_SECONDS = 60
"""A key that is missing for less than this is not reported: workers may restart. login_keys.lua has the same number."""
MISSING_KEY_ADVICE = (
    "Put that key back into LOGIN_KEYS of the workers and restart them; then the waiting logins are called. "
    "`nightly doctor` lists the keys in LOGIN_KEYS."
)
CLOSED_STREAM_REASON = "the stream's last id is the largest possible one, so producers cannot add events"
CLOSED_STREAM_ADVICE = (
    "A producer set an id by hand. A running worker creates the stream again, seconds after all its entries are "
    "recorded. If the stream stays closed, another consumer group has pending entries: find it with XINFO GROUPS "
    "account-events:stream, and remove it with XGROUP DESTROY account-events:stream GROUP. Then find the producer, "
    "change its password, and let it send over HTTP."
)
VANISHED_ADVICE = (
    "A client trimmed the stream or deleted entries; every client with a producer's or the administrator's password "
    "can. Publish the events that were sent before that time again, with the same ids. Change the passwords, and let "
    "less trusted producers send over HTTP."
)
VANISHED_ALARM_MS = 86_400_000
"""Vanished entries raise an alarm for this long; later, `status` and `doctor` still show their number."""
_SUSPECTS = "replay the suspects of the storm, by that filter of the page Letters"
_ADDRESS_CODES = frozenset({"name_not_found", "tls_failure"})


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something that needs a person now: a title, the reason, and advice."""

    title: str
    reason: str
    advice: str


def letter_advice(code: str, wish: str = "") -> LetterAdvice:
    """Return cause and suggested action of dead letters with this code; `wish` is `on`, `off` or empty (unknown)."""
    if code == "INVALID_LOGIN" and wish:
        return _GONE_ON if wish == "on" else _GONE_OFF
    return _BY_CODE.get(code, _END_USER if code in END_USER_CODES else _OTHER)


def advice_for(code: str) -> str:
    """Return what a person can do about a dead letter with this code, in one paragraph."""
    return letter_advice(code).text


def missing_key_reason(key: Mapping[str, Any]) -> str:
    """Return one sentence about a key that no live worker has: its id, and since when it is missing."""
    return f"no live worker has key {key['key_id']}, and logins have waited for it since {utc(key['since'])}"


def vanished_reason(status: Mapping[str, Any]) -> str:
    """Return one sentence about vanished stream entries: their number, and when a worker last noticed it."""
    count, at = status["stream_vanished"], utc(status["stream_vanished_at"] or 0)
    return f"{count:,} stream entries vanished before a worker read them, last noticed {at}"


def gate_reason(gate: Mapping[str, Any]) -> str:
    """Return why a gate is closed, in one sentence."""
    if gate.get("cause") == "outage":
        return f"Flinks, or the network to it, is down: {gate.get('detail', '')}"
    if gate.get("cause") == "storm":
        refusals = f"{gate.get('code', '')} for {gate.get('detail', '')}"
        return f"{refusals}: the customer id or the instance is probably wrong"
    if gate.get("cause") == "halt":
        status = f" (HTTP {gate['http_status']})" if gate.get("http_status") else ""
        detail = f": {gate['detail']}" if gate.get("detail") else ""
        return f"Flinks cannot be called with this configuration, {gate.get('code', '')}{status}{detail}"
    reason = f": {gate['detail']}" if gate.get("detail") else ""
    return f"closed by {gate.get('by') or 'a person'}{reason}"


def gate_advice(instance: str, gate: Mapping[str, Any], *, on_page: bool = False) -> str:
    """Return what to do about a closed gate, with a command, or for a page with what its reader finds there."""
    command = "open the gate on the page Operations." if on_page else f"nightly gate open {instance}"
    if gate.get("cause") == "outage":
        first = (
            "It lasts long: check Flinks' status page, and the network of the workers."
            if gate["needs_action"]
            else "No action is needed, unless it lasts for 15 minutes."
        )
        return (
            f"{first} Test calls are made one at a time, at most a minute apart, and the first one that Flinks "
            f"answers opens the gate. No attempt is charged meanwhile. To test at once: {command}"
        )
    if gate.get("cause") == "storm":
        suspects = _SUSPECTS if on_page else "nightly dead-letters replay --suspects"
        return (
            "Correct FLINKS_CUSTOMER_ID or FLINKS_INSTANCE and restart the workers: the first confirmed call opens the "
            f"gate. Then: {suspects}. If those logins are really invalid: {command}"
        )
    if gate.get("cause") != "halt":
        return f"When the reason no longer applies: {command}"
    if gate.get("code") in _ADDRESS_CODES:
        return f"Check FLINKS_BASE_URL and DNS. One test call a minute is made; to test at once: {command}"
    if gate.get("code") == "unsealable":
        return f"Sealed loginIds in Redis were altered: restore an intact backup. Then: {command}"
    return (
        "Correct the key, customer id or address and restart the workers: the first accepted call opens the gate. "
        f"If the mistake was on Flinks' side: {command}"
    )


def alarms(status: Mapping[str, Any], now_ms: int, *, on_page: bool = False) -> list[Alarm]:
    """Return the alarms at `now_ms`, from `waiting.read_state()`; `on_page` is as for `gate_advice`."""
    active = [
        Alarm(f"GATE CLOSED: {name}", gate_reason(about["gate"]), gate_advice(name, about["gate"], on_page=on_page))
        for name, about in status["instances"].items()
        if about["gate"]["needs_action"]
    ]
    active += [
        Alarm("LOGIN KEY MISSING", missing_key_reason(key), MISSING_KEY_ADVICE)
        for key in status.get("missing_keys", ())
        if key["seconds"] >= MISSING_KEY_SECONDS
    ]
    if status.get("stream_is_closed"):
        active.append(Alarm("STREAM CLOSED", CLOSED_STREAM_REASON, CLOSED_STREAM_ADVICE))
    vanished_at = status.get("stream_vanished_at")
    if vanished_at is not None and now_ms - vanished_at < VANISHED_ALARM_MS:
        active.append(Alarm("EVENTS VANISHED", vanished_reason(status), VANISHED_ADVICE))
    due = sum(about["due_live"] + about["due_backfill"] + about["in_flight"] for about in status["instances"].values())
    messages = messages_for_workers(status)
    if (messages or due) and not status["workers"]:
        work = f"{_messages(messages)} to be recorded; logins due or in flight: {due:,}"
        reason = f"no worker sent a pulse for ten seconds; {work}"
        active.append(Alarm("NO WORKER", reason, "Start one: celery -A worker worker"))
    return active


def messages_for_workers(status: Mapping[str, Any]) -> int:
    """Return how many messages wait on the stream and the queue; one whose number is unknown counts as empty."""
    return sum(status["waiting_events"][name]["events"] or 0 for name in ("stream", "queue"))


def way_text(way: Mapping[str, Any], age: Callable[[float], str] = "{:,.0f} s".format) -> str:
    """Return one line about a way in: how many messages wait, and for how long. `age` formats seconds."""
    if way["events"] is None:
        return f"unknown: {way['problem']}"
    if not way["events"]:
        return "no message waits"
    oldest = "an unknown time" if way["oldest_seconds"] is None else age(way["oldest_seconds"])
    read = f"; a worker has read {way['unacknowledged']:,} of them" if way["unacknowledged"] else ""
    return f"{_messages(way['events'])}, the oldest for {oldest}{read}"


def _messages(count: int) -> str:
    return "1 message waits" if count == 1 else f"{count:,} messages wait"

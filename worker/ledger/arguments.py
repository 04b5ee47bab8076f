"""Translates between the ledger's values and the flat arguments and replies of its scripts."""

from collections.abc import Iterator, Sequence
from typing import Any

from worker.config.gate_thresholds import GateRules
from worker.ledger.models import Claim, ClaimReply, Settlement, Wish


def wish_arguments(wish: Wish) -> tuple[str | bytes | int, ...]:
    """Return the arguments of record.lua for one event."""
    return (
        wish.reference,
        wish.instance,
        wish.sealed,
        wish.occurred_us,
        int(wish.wants_active),
        wish.event_id,
        wish.account_id or "",
        wish.lane,
    )


def bounds_arguments(
    at_most: int, lease_seconds: float, max_in_flight: int, settle_seconds: float, key_ids: Sequence[str]
) -> tuple[int | str, ...]:
    """Return the arguments of settle_and_claim.lua that limit a claim."""
    return at_most, round(lease_seconds * 1000), max_in_flight, round(settle_seconds * 1000), ",".join(key_ids)


def rules_arguments(rules: GateRules) -> tuple[float, ...]:
    """Return the arguments of settle_and_claim.lua that are thresholds of the gate."""
    window_ms = round(rules.outage_window_seconds * 1000)
    return rules.outage_ratio, rules.outage_min_calls, window_ms, rules.outage_in_a_row, rules.storm_logins


def settlement_arguments(settlements: Sequence[Settlement]) -> Iterator[str | int]:
    """Yield the arguments of settle_and_claim.lua for calls that have ended."""
    for item in settlements:
        yield item.claim.reference
        yield item.claim.number
        if item.is_plain:
            yield ""
            continue
        yield from (item.outcome, item.code, item.flags, item.attempt)
        yield "" if item.outcome == "applied" and not item.rest_seconds else _rest(item)


def _rest(item: Settlement) -> str:
    times = (round(seconds * 1000) for seconds in (item.delay_seconds, item.rest_seconds, item.retry_after_seconds))
    status = "" if item.http_status is None else item.http_status
    return " ".join(map(str, (*times, status, item.message)))


def read_claims(reply: Sequence[Any]) -> ClaimReply:
    """Return the claims in the reply of settle_and_claim.lua."""
    state, wait_ms, now_ms = reply[0].decode(), int(reply[1]), int(reply[2])
    return ClaimReply(state, None if wait_ms < 0 else wait_ms / 1000, now_ms, list(_claims(reply[3:])))


def _claims(flat: Sequence[bytes | int]) -> Iterator[Claim]:
    for at in range(0, len(flat), 10):
        reference, number, revision, wish, event, sealed, failures, first_failure, account, history = flat[at : at + 10]
        yield Claim(
            reference=_text(reference),
            number=int(number),
            revision=int(revision),
            wants_active=wish == b"1",
            sealed=sealed if isinstance(sealed, bytes) else b"",
            failures=int(failures),
            first_failure_ms=int(first_failure) if first_failure else None,
            account_id=_text(account) or None,
            event_id=_text(event),
            has_history=bool(history),
        )


def _text(value: bytes | int) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)

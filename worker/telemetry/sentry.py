"""Reports to Sentry: unexpected exceptions, gate changes, dead letters of a new kind.

Without a DSN every function does nothing and the Sentry SDK is not imported. Each caller reports an event once, when
the ledger changes state. `sentry_client.py` decides what an event may contain.
"""

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from sentry_sdk.transport import Transport


def configure_sentry(
    *, dsn: str | None, environment: str | None, transport: "type[Transport] | Transport | None" = None
) -> bool:
    """Start Sentry if there is a DSN; returns whether it is on. Raises SettingsError for an invalid DSN."""
    if not dsn:
        return False
    from worker.telemetry.sentry_client import start_client  # noqa: PLC0415 - processes without a DSN start faster

    start_client(dsn=dsn, environment=environment, transport=transport)
    return True


def _sdk() -> Any:
    """Return the Sentry SDK if this process has imported it, else None."""
    return sys.modules.get("sentry_sdk")


def report_unexpected(error: BaseException, *, where: str, **tags: str) -> None:
    """Report an unexpected exception; `where` names the part of Nightly that failed ("reconcile.settle")."""
    if (sdk := _sdk()) is None:
        return
    with sdk.new_scope() as scope:
        scope.fingerprint = ["unexpected", where, type(error).__name__]
        scope.set_tags({"where": where, **tags})
        sdk.capture_exception(error)


_CLOSED_BY: Mapping[str, tuple[str, Literal["fatal", "error", "info"]]] = {
    "halt": ("Calls to Flinks halted: the configuration of this instance is wrong", "fatal"),
    "storm": (
        "Calls to Flinks stopped: it refuses one login after another, so the customer id is probably wrong",
        "fatal",
    ),
    "outage": ("Calls to Flinks stopped: Flinks or the network to it is down", "error"),
}


def report_gate(*, instance: str, is_closed: bool, cause: str, code: str, http_status: str, detail: str) -> None:
    """Report that an instance's gate shut or opened. A change by a person has level "info"."""
    message, level = _CLOSED_BY.get(cause, ("Calls to Flinks stopped by hand", "info"))
    if not is_closed:
        message, level = "Calls to Flinks resumed", "info"
    _report(
        message,
        level=level,
        fingerprint=["gate", instance, "closed" if is_closed else "open", cause, code],
        tags={"instance": instance, "cause": cause, "code": code, "http_status": http_status},
        extra={"detail": detail},
    )


def report_stuck(*, part: str) -> None:
    """Report that a part of a worker made no progress and that its process was ended."""
    _report(
        "A part of a worker made no progress and its process was ended",
        level="fatal",
        fingerprint=["stuck", part],
        tags={"part": part},
        extra={},
    )


def report_excluded_worker(*, instance: str, worker: str, detail: str) -> None:
    """Report that one worker cannot reach Flinks while others can: a person must check its network."""
    _report(
        "One worker cannot reach Flinks while others can",
        level="error",
        fingerprint=["excluded", instance, worker.partition("#")[0]],
        tags={"instance": instance, "worker": worker},
        extra={"detail": detail},
    )


def report_missing_key(*, key_id: str, since: str) -> None:
    """Report that no live worker has the key that sealed logins that are due; `key_id` is public."""
    _report(
        "Logins wait for a key that no worker has: put it back into LOGIN_KEYS",
        level="fatal",
        fingerprint=["key", key_id],
        tags={"key_id": key_id},
        extra={"since": since},
    )


def report_used_key(*, key_id: str, seals: int) -> None:
    """Report that a key has sealed a quarter of its safe number of values; `key_id` is public."""
    _report(
        "A key of LOGIN_KEYS has sealed a quarter of its safe number of values: put a new key in front",
        level="warning",
        fingerprint=["key-used", key_id],
        tags={"key_id": key_id},
        extra={"seals": seals},
    )


def report_new_group(*, instance: str, code: str, wish: str) -> None:
    """Report the first open dead letter of its kind; `wish` is "on" or "off"."""
    _report(
        "Dead letters of a new kind wait for review",
        level="warning",
        fingerprint=["dead-letters", instance, code, wish],
        tags={"instance": instance, "code": code, "wish": wish},
        extra={},
    )


def report_overwritten(*, key: str) -> None:
    """Report that somebody gave a key of ours another type, and that it was deleted so that it stops nothing else."""
    _report(
        "Somebody overwrote a key in Redis: it was deleted",
        level="error",
        fingerprint=["key-overwritten"],
        tags={},
        extra={"key": key},
    )


def report_damaged(*, key: str) -> None:
    """Report that somebody changed a login by hand, so that it cannot be called."""
    _report(
        "Somebody damaged a login in Redis: it is not called until its next event",
        level="error",
        fingerprint=["login-damaged"],
        tags={},
        extra={"key": key},
    )


def report_unkept(*, count: int) -> None:
    """Report that the review list is full: `count` rejected messages so far were counted but not kept."""
    _report(
        "Rejected messages are no longer kept for review: a producer sends more than the list holds",
        level="error",
        fingerprint=["rejected-unkept"],
        tags={},
        extra={"count": count},
    )


def report_vanished(*, stream: str, count: int, total: int) -> None:
    """Report that `count` entries vanished from a stream unread since the last report, `total` in all."""
    _report(
        "Stream entries vanished before a worker read them: publish again from the source",
        level="error",
        fingerprint=["stream-vanished", stream],
        tags={"stream": stream},
        extra={"count": count, "total": total},
    )


def _report(
    message: str,
    *,
    level: Literal["fatal", "error", "warning", "info"],
    fingerprint: list[str],
    tags: dict[str, str],
    extra: dict[str, object],
) -> None:
    if (sdk := _sdk()) is not None:
        sdk.capture_event(
            {"message": message, "level": level, "fingerprint": fingerprint, "tags": tags, "extra": extra}
        )

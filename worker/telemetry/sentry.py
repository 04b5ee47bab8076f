"""Decides what Sentry hears: what nobody expected, a halt, a new kind of dead letter; each once, and scrubbed.

Default deny: `before_send` builds a new event out of the parts we know and drops the rest (requests, users,
local variables, source lines, command lines). If that fails, nothing is sent. No trace header goes to anyone.
Callers see to *once* (they report when the ledger changes state); without a DSN every call does nothing.
"""

from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Literal, cast

import sentry_sdk
from sentry_sdk.integrations.atexit import AtexitIntegration
from sentry_sdk.integrations.celery import CeleryIntegration
from sentry_sdk.integrations.dedupe import DedupeIntegration
from sentry_sdk.integrations.modules import ModulesIntegration
from sentry_sdk.scrubber import DEFAULT_DENYLIST, EventScrubber
from sentry_sdk.transport import Transport
from sentry_sdk.types import Event, Hint
from sentry_sdk.utils import BadDsn

from worker.errors import SettingsError
from worker.telemetry.scrub import DENIED_NAMES, scrub_exception_text, scrub_quotes, scrub_value

_KEPT = ("event_id", "timestamp", "platform", "level", "sdk", "release", "environment", "modules")
"""Made by the SDK or by our settings; the ids look like secrets, and are none."""
_KEPT_IN_FRAME = ("filename", "module", "function", "lineno", "in_app")
_OUR_NAMES = ["login_id", "loginId", "login_keys", "auth_key", "flinks-auth-key", "flinks_auth_key", "args", "kwargs"]


def configure_sentry(
    *, dsn: str | None, environment: str | None, transport: type[Transport] | Transport | None = None
) -> bool:
    """Start Sentry, if there is a DSN; returns whether it is on. Raises SettingsError for a DSN that is none."""
    if not dsn:
        return False
    try:
        sentry_sdk.init(dsn, environment=environment, transport=transport, release=_release(), **_options())
    except BadDsn:
        raise SettingsError(["SENTRY_DSN: must be a Sentry DSN such as https://key@host/1"]) from None
    return True


def _options() -> dict[str, Any]:
    return {
        # No argv (it can hold a loginId), no logging (events twice, whole messages in breadcrumbs), no stdlib and no
        # client library (URLs in breadcrumbs, trace headers to third parties). Crashes of the process and of threads
        # are reported by the hooks that `configure_logging` sets.
        "default_integrations": False,
        "auto_enabling_integrations": False,
        "integrations": [
            CeleryIntegration(propagate_traces=False, monitor_beat_tasks=False),
            AtexitIntegration(callback=lambda *_: None),
            DedupeIntegration(),
            ModulesIntegration(),
        ],
        # None, not 0: with 0 a producer's `sentry-trace` header with the sampled flag would switch tracing on.
        "traces_sample_rate": None,
        "trace_propagation_targets": [],
        "auto_session_tracking": False,
        # `send_default_pii` stays unset, which means off: 2.75 deprecates naming it, older releases lack its successor.
        "include_local_variables": False,
        "include_source_context": False,
        "max_request_body_size": "never",
        "event_scrubber": EventScrubber(
            recursive=True, denylist=[*DEFAULT_DENYLIST, *_OUR_NAMES, *sorted(DENIED_NAMES)]
        ),
        "before_send": _before_send,
        "before_send_transaction": lambda _event, _hint: None,
        "before_breadcrumb": lambda crumb, _hint: scrub_value(crumb),
    }


def report_unexpected(error: BaseException, *, where: str, **tags: str) -> None:
    """Report an exception that nobody foresaw; `where` names the place in our terms ("reconcile.settle")."""
    with sentry_sdk.new_scope() as scope:
        scope.fingerprint = ["unexpected", where, type(error).__name__]
        scope.set_tags({"where": where, **tags})
        sentry_sdk.capture_exception(error)


_CLOSED_BY: Mapping[str, tuple[str, Literal["fatal", "error", "info"]]] = {
    "halt": ("Calls to Flinks halted: the configuration of this instance is wrong", "fatal"),
    "storm": (
        "Calls to Flinks stopped: it refuses one login after the other, so the customer id is likely wrong",
        "fatal",
    ),
    "outage": ("Calls to Flinks stopped: Flinks, or the way to it, is down", "error"),
}


def report_gate(*, instance: str, is_closed: bool, cause: str, code: str, http_status: str, detail: str) -> None:
    """Report that the gate of an instance was shut or opened, by itself or by a person (then as information)."""
    message, level = _CLOSED_BY.get(cause, ("Calls to Flinks stopped by hand", "info"))
    if not is_closed:
        message, level = "Calls to Flinks go on", "info"
    _report(
        message,
        level=level,
        fingerprint=["gate", instance, "closed" if is_closed else "open", cause, code],
        tags={"instance": instance, "cause": cause, "code": code, "http_status": http_status},
        extra={"detail": detail},
    )


def report_stuck(*, part: str) -> None:
    """Report that a part of a worker stood still, so that its process was ended; `part` is a name of ours."""
    _report(
        "A part of a worker stood still and its process was ended",
        level="fatal",
        fingerprint=["stuck", part],
        tags={"part": part},
        extra={},
    )


def report_bench(*, instance: str, worker: str, detail: str) -> None:
    """Report that one worker cannot reach Flinks while others can: its network needs someone."""
    _report(
        "One worker cannot reach Flinks while others can",
        level="error",
        fingerprint=["bench", instance, worker.partition("#")[0]],
        tags={"instance": instance, "worker": worker},
        extra={"detail": detail},
    )


def report_missing_key(*, key_id: str, since: str) -> None:
    """Report that no live worker holds the key that sealed logins which are due; `key_id` is public."""
    _report(
        "Logins wait for a key that no worker holds: put it back into LOGIN_KEYS",
        level="fatal",
        fingerprint=["key", key_id],
        tags={"key_id": key_id},
        extra={"since": since},
    )


def report_used_key(*, key_id: str, seals: int) -> None:
    """Report that so much was sealed under a key that it should be replaced; `key_id` is public."""
    _report(
        "A key of LOGIN_KEYS sealed a quarter of what it may: put a new key in front",
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


def report_unkept(*, count: int) -> None:
    """Report that the review list is full: of `count` rejected messages so far nothing but their number is kept."""
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
    sentry_sdk.capture_event(
        {"message": message, "level": level, "fingerprint": fingerprint, "tags": tags, "extra": extra}
    )


def _release() -> str | None:
    try:
        return f"nightly@{version('nightly-refresh-worker')}"
    except PackageNotFoundError:
        return None


def _before_send(event: Event, hint: Hint) -> Event | None:
    del hint
    source = cast("Mapping[str, Any]", event)
    kept: dict[str, Any] = {name: source[name] for name in _KEPT if name in source}
    kept["server_name"] = source.get("server_name")
    kept["contexts"] = {"runtime": _part(source, "contexts").get("runtime")}
    for name in ("tags", "extra", "fingerprint", "transaction"):
        if name in source:
            kept[name] = scrub_value(source[name])
    if message := source.get("message") or _part(source, "logentry").get("message"):
        kept["message"] = scrub_quotes(str(message))
    crumbs = _values(source, "breadcrumbs")
    kept["breadcrumbs"] = {"values": [scrub_value(crumb) for crumb in crumbs]}
    kept["exception"] = {"values": [_exception(item) for item in _values(source, "exception")]}
    return cast("Event", kept)


def _exception(item: Mapping[str, Any]) -> dict[str, Any]:
    name = str(item.get("type"))
    frames = _part(item, "stacktrace").get("frames") or []
    mechanism = _part(item, "mechanism")
    return {
        "type": name,
        "module": item.get("module"),
        "value": scrub_exception_text(name, str(item.get("value") or "")),
        "mechanism": {key: mechanism[key] for key in ("type", "handled") if key in mechanism},
        "stacktrace": {"frames": [{key: frame.get(key) for key in _KEPT_IN_FRAME} for frame in frames]},
    }


def _part(source: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = source.get(name)
    return part if isinstance(part, Mapping) else {}


def _values(source: Mapping[str, Any], name: str) -> Iterable[Mapping[str, Any]]:
    part = source.get(name)
    values = part.get("values") if isinstance(part, Mapping) else part
    return [item for item in values if isinstance(item, Mapping)] if isinstance(values, list) else []

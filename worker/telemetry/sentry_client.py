"""Starts the Sentry SDK and decides what an event may contain.

Default deny: `_before_send` builds a new event from known parts and drops the rest (requests, users, local variables,
source lines, command lines). If it fails, nothing is sent. The SDK sends no trace headers. `configure_sentry` imports
this module only if there is a DSN, because importing the SDK takes a sixth of a worker's start.
"""

from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any, cast

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
"""Written by the SDK or from our settings. The ids look like secrets but are not."""
_KEPT_IN_FRAME = ("filename", "module", "function", "lineno", "in_app")
_OUR_NAMES = ["login_id", "loginId", "login_keys", "auth_key", "flinks-auth-key", "flinks_auth_key", "args", "kwargs"]


def start_client(*, dsn: str, environment: str | None, transport: type[Transport] | Transport | None) -> None:
    """Start the SDK for this process; raises SettingsError for a DSN that Sentry cannot parse."""
    try:
        sentry_sdk.init(dsn, environment=environment, transport=transport, release=_release(), **_options())
    except BadDsn:
        raise SettingsError(["SENTRY_DSN: must be a Sentry DSN such as https://key@host/1"]) from None


def _options() -> dict[str, Any]:
    return {
        # Off: argv (it can hold a loginId), logging (duplicate events, whole messages in breadcrumbs), stdlib and
        # client libraries (URLs in breadcrumbs, trace headers to third parties). The hooks of `configure_logging`
        # report crashes of the process and of threads.
        "default_integrations": False,
        "auto_enabling_integrations": False,
        "integrations": [
            CeleryIntegration(propagate_traces=False, monitor_beat_tasks=False),
            AtexitIntegration(callback=lambda *_: None),
            DedupeIntegration(),
            ModulesIntegration(),
        ],
        # None, not 0: with 0, a producer's `sentry-trace` header with the sampled flag would enable tracing.
        "traces_sample_rate": None,
        "trace_propagation_targets": [],
        "auto_session_tracking": False,
        # `send_default_pii` is unset, which means off: 2.75 deprecates it, and older releases lack its successor.
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

"""Collects the values for `nightly doctor` from settings, Redis, broker and Flinks' address, and calls its checks.

The checks are in checks.py, audit_checks.py, secrecy_checks.py and stream_checks.py. Nothing is written.
"""

import contextlib
import json
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import redis

from worker.config.plain_text import plain_text_settings
from worker.config.settings import Settings
from worker.config.validators import LOOPBACK_HOSTS
from worker.errors import LedgerMismatch, SettingsError
from worker.ledger import Ledger
from worker.ledger.audit import AuditLog
from worker.ledger.dead_letters import MESSAGE_BYTES_AT_MOST, MESSAGES_AT_MOST
from worker.ledger.queries import Views
from worker.operations import checks as doctor
from worker.operations import secrecy_checks, stream_checks
from worker.operations.advice import messages_for_workers
from worker.operations.audit_checks import CHECKED_AT_MOST, check_audit
from worker.operations.checks import Check, Level
from worker.operations.diagnose_broker import examine_broker
from worker.operations.waiting import read_state
from worker.redis_client.connect import BytesRedis
from worker.redis_client.error_messages import open_redis, place_of, trouble_of
from worker.vault.sealed_box import SealingKey

CONNECT_SECONDS = 5


def examine() -> Iterator[Check]:
    """Yield the result of every check. A check that cannot be made yields a failure, and the others continue."""
    try:
        settings = Settings.load()
    except SettingsError as error:
        yield from (Check("settings", Level.FAIL, line) for line in error.lines)
        return
    yield Check("settings", Level.OK, "every value is valid")
    yield from _missing(settings)
    yield _sealing(settings)
    yield secrecy_checks.check_plain_text(plain_text_settings(settings))
    if settings.redis_url is not None:
        yield from _redis(settings)
    yield from examine_broker(settings)
    for instance in settings.instances().values():
        yield reach(instance.name, instance.base_url, is_sandbox=settings.sandbox)


def _missing(settings: Settings) -> Iterator[Check]:
    for name in ("REDIS_URL", "LOGIN_KEYS"):
        if getattr(settings, name.lower()) is None:
            try:
                Settings.load(require=(name,))
            except SettingsError as error:
                yield Check(name, Level.FAIL, *error.lines[0].removeprefix(f"{name}: ").split("; ", 1))
    if not settings.instances():
        advice = "Set it to the key from Flinks; without a key no call can be made."
        yield Check("FLINKS_AUTH_KEY", Level.FAIL, "is missing", advice)


def _sealing(settings: Settings) -> Check:
    public_keys = settings.vault().public_keys if settings.login_keys is not None else ()
    seal_to = SealingKey.parse(settings.seal_to) if settings.seal_to else None
    return secrecy_checks.check_sealing(seal_to, public_keys, is_required=settings.require_sealed)


def _redis(settings: Settings) -> Iterator[Check]:
    url = settings.redis_address()
    try:
        client = open_redis(url, name="nightly-doctor")
        client.ping()
        yield Check("Redis", Level.OK, f"answers at {place_of(url)}")
        yield from _server(client)
        yield from _state(settings, client)
    except SettingsError as error:
        yield from (Check("Redis", Level.FAIL, line) for line in error.lines)
    except redis.RedisError as error:
        trouble = trouble_of(error, url)
        yield Check("Redis", Level.FAIL, trouble.what, trouble.advice)


def _server(client: BytesRedis) -> Iterator[Check]:
    info: dict[str, Any] = {}
    appendfsync = None
    with contextlib.suppress(redis.ResponseError):  # a managed Redis may forbid either
        info = client.info("all")
    with contextlib.suppress(redis.ResponseError):
        appendfsync = _text(client.config_get("appendfsync"), "appendfsync")
    yield doctor.check_version(info)
    yield doctor.check_role(str(info.get("role", "")))
    yield doctor.check_eviction(info.get("maxmemory_policy"))
    yield doctor.check_persistence(info, appendfsync)
    yield doctor.check_memory(int(info.get("used_memory", 0)), int(info.get("maxmemory", 0)))
    yield doctor.check_clock(_skew_seconds(client))


def _state(settings: Settings, client: BytesRedis) -> Iterator[Check]:
    views = Views(client)
    status, now_ms = read_state(client, settings), views.now_ms()
    yield doctor.check_kind(status["ledger"], is_sandbox=settings.sandbox)
    if settings.login_keys is not None:
        yield _ledger(settings, client)
        yield secrecy_checks.check_seals(settings.vault().key_ids[0], views.seals())
        yield from _configurations(settings, client)
    silences = {
        name.decode(): (now_ms - json.loads(raw)["at"]) / 1000
        for name, raw in client.hgetall("nightly:workers").items()
    }
    instances = status["instances"]
    has_due = any(about["due_live"] + about["due_backfill"] for about in instances.values())
    yield doctor.check_workers(silences, has_work=has_due or messages_for_workers(status) > 0)
    yield doctor.check_slots({about["name"]: int(about.get("slots", 2)) for about in status["workers"]})
    yield doctor.check_keys(status["missing_keys"])
    yield doctor.check_excluded({about["name"]: about["excluded"] for about in status["workers"]})
    for name, about in instances.items():
        yield doctor.check_gate(name, about["gate"])
        yield doctor.check_backlog(name, about, workers_alive=len(status["workers"]))
    yield _review_list(client, status)
    yield check_audit(AuditLog(client).verify(last=CHECKED_AT_MOST))
    for name in ("stream", "queue"):
        yield stream_checks.check_way(name, status["waiting_events"][name], workers_alive=len(status["workers"]))
    yield stream_checks.check_ids(status)
    yield stream_checks.check_vanished(status)


def _ledger(settings: Settings, client: BytesRedis) -> Check:
    is_begun = bool(client.exists("nightly:meta"))
    try:
        Ledger(client).open_ledger(settings.vault().fingerprint("reference"), only_look=True)
    except LedgerMismatch as error:
        return doctor.check_ledger(is_begun=True, mismatch=str(error))
    return doctor.check_ledger(is_begun=is_begun, mismatch="", key_ids=settings.vault().key_ids)


def _configurations(settings: Settings, client: BytesRedis) -> Iterator[Check]:
    vault = settings.vault()
    for name, instance in settings.instances().items():
        standing = client.hget(f"nightly:configs:{name}", instance.fingerprint(vault))
        yield doctor.check_configuration(name, (standing or b"").decode())


def _review_list(client: BytesRedis, status: Mapping[str, Any]) -> Check:
    messages, size = (int(value or 0) for value in client.hmget("nightly:kept", "messages", "bytes"))
    share = max(messages / MESSAGES_AT_MOST, size / MESSAGE_BYTES_AT_MOST)
    return doctor.check_review_list(messages, share=share, unkept=status["rejected_unkept"])


def _skew_seconds(client: BytesRedis) -> float:
    before = time.time()
    redis_seconds = Views(client).now_ms() / 1000
    return (before + time.time()) / 2 - redis_seconds


def reach(name: str, base_url: str, *, is_sandbox: bool = False) -> Check:
    """Check that Flinks' address accepts a connection. No call is made, because every call changes something.

    A sandbox whose Flinks is on this machine uses an emulator.
    """
    parts = urlsplit(base_url)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    title, place = f"{name}: address", f"{host}:{port}"
    try:
        with socket.create_connection((host, port), timeout=CONNECT_SECONDS) as plain_socket:
            if parts.scheme == "https":
                with ssl.create_default_context().wrap_socket(plain_socket, server_hostname=host) as secure:
                    secure.getpeercert()
    except (socket.gaierror, UnicodeError):
        return Check(title, Level.FAIL, f"the host {host} is unknown", "Check FLINKS_INSTANCE, FLINKS_BASE_URL, DNS.")
    except ssl.SSLError as error:
        return Check(
            title, Level.FAIL, f"TLS with {place} fails ({error.reason})", "Check the address and the trusted CAs."
        )
    except OSError as error:
        advice = "Check FLINKS_BASE_URL, and whether a firewall or proxy blocks the connection."
        return Check(title, Level.FAIL, f"no connection to {place} ({type(error).__name__})", advice)
    if is_sandbox and host in LOOPBACK_HOSTS:
        return Check(title, Level.OK, f"emulated: the emulator at {place} accepts connections")
    return Check(title, Level.OK, f"{place} accepts connections (no call was made: a call would change something)")


def _text(reply: dict[Any, Any], field: str) -> str | None:
    value = reply.get(field, reply.get(field.encode()))
    return value.decode() if isinstance(value, bytes) else value

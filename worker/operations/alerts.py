"""Reports the ledger's notices in the log, and to Sentry if it is configured.

The ledger keeps a notice until it has been reported, so neither a lost reply nor a killed worker loses one. A notice
may be reported twice if a worker dies, or Redis fails, between reporting and removing it.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime

from worker.ledger import Ledger, Notice
from worker.ledger.audit import Head, log_head
from worker.telemetry.logs import get_logger
from worker.telemetry.sentry import (
    report_damaged,
    report_excluded_worker,
    report_gate,
    report_missing_key,
    report_new_group,
    report_overwritten,
    report_unkept,
    report_used_key,
)

log = get_logger(__name__)


def report_notices(ledger: Ledger, notices: Iterable[Notice]) -> None:
    """Report each notice, then remove it. One that fails does not stop the others. Raises redis.RedisError."""
    for notice in notices:
        try:
            _BY_KIND[notice.kind](*notice.parts)
        except Exception:  # the ledger returns it again later
            log.exception("notice_not_reported", kind=notice.kind)
        else:
            ledger.forget_notice(notice)


def _report_group(instance: str, code: str, wish: str) -> None:
    log.warning("dead_letter_of_new_kind", instance=instance, code=code, wish=wish)
    report_new_group(instance=instance, code=code, wish=wish)


def _report_excluded(instance: str, worker: str, detail: str) -> None:
    log.error("worker_cannot_reach_flinks", instance=instance, excluded=worker, detail=detail)
    report_excluded_worker(instance=instance, worker=worker, detail=detail)


def _report_overwritten(*parts: str) -> None:
    key = "|".join(parts)
    log.error("overwritten_key_deleted", key=key, advice="if it was a login, publish its last event again")
    report_overwritten(key=key)


def _report_damaged(key: str) -> None:
    log.error("damaged_login_not_called", key=key, advice="publish a new event of it")
    report_damaged(key=key)


def _report_unkept(count: str) -> None:
    log.error("rejected_messages_not_kept", count=int(count))
    report_unkept(count=int(count))


def _report_gate(instance: str, text: str) -> None:
    change = {name: value for name, value in json.loads(text).items() if value not in ("", None)}
    is_closed = change.pop("state") == "closed"
    write = log.error if is_closed else log.warning
    change.pop("fingerprint", None)
    write("gate_closed" if is_closed else "gate_opened", instance=instance, **change)
    report_gate(
        instance=instance,
        is_closed=is_closed,
        cause=str(change.get("cause", "")),
        code=str(change.get("code", "")),
        http_status=str(change.get("http_status", "")),
        detail=str(change.get("detail", "")),
    )


def _report_key(key_id: str, since_ms: str) -> None:
    since = datetime.fromtimestamp(int(since_ms) / 1000, UTC).isoformat(timespec="seconds")
    log.critical("login_key_missing", key_id=key_id, since=since)
    report_missing_key(key_id=key_id, since=since)


def _report_seals(key_id: str, count: str) -> None:
    log.error("login_key_used_often", key_id=key_id, seals=int(count), advice="put a new key in front of LOGIN_KEYS")
    report_used_key(key_id=key_id, seals=int(count))


def _report_audit(head: str) -> None:
    log_head(Head.read(head))


_BY_KIND: Mapping[str, Callable[..., None]] = {
    "gate": _report_gate,
    "group": _report_group,
    "audit": _report_audit,
    "excluded": _report_excluded,
    "unkept": _report_unkept,
    "key": _report_key,
    "overwritten": _report_overwritten,
    "damaged": _report_damaged,
    "seals": _report_seals,
}

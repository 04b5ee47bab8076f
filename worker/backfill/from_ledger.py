"""Selects logins in the ledger by conditions: `--from-ledger --where applied<2026-11-01 --where wish=on`.

SCAN reads the ledger while workers change it, so each login is judged as it was when it was read.
"""

import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from worker.backfill.models import Row
from worker.errors import BackfillError, SealError
from worker.events.models import microseconds_since_1970
from worker.ledger.login_fields import StoredLogin, read_values, stored_names
from worker.redis_client.connect import BytesRedis
from worker.vault.vault import Vault

SCAN_AT_ONCE = 500
FIELDS: Mapping[str, str] = {
    "applied": "when the last call was confirmed",
    "wished": "the time of the newest event",
    "wish": "on or off",
    "state": "waiting, in_flight, applied (or done), dead_lettered (or dead)",
    "code": "the last code, such as INVALID_LOGIN; applied after a plain success",
    "account": "your own account id",
}
"""Fields that a condition may name, with their meanings."""
_TIMES = frozenset({"applied", "wished"})
_STATES = {"waiting": "due", "due": "due", "in_flight": "flight", "flight": "flight", "applied": "done", "done": "done"}
_STATES |= {"dead_lettered": "dead", "dead": "dead"}
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_CONDITION = re.compile(r"([A-Za-z_]+)\s*+((?><=|>=|!=|<|>|=))\s*+(.+)", re.DOTALL)
_OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "=": operator.eq, "!=": operator.ne,
}  # fmt: skip
_PREFIX = "nightly:login:"
_READ = ("instance", "wish", "state", "last_code", "account_id", "confirmed", "occurred_us", "sealed")


@dataclass(frozen=True, slots=True)
class Known:
    """The fields of one login that conditions compare. Times are in microseconds since 1970; None means never."""

    applied: int | None
    wished: int
    wish: str
    state: str
    code: str | None
    account: str | None


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition. If a login does not have the field, only `!=` holds."""

    field: str
    operator: str
    value: str | int

    @classmethod
    def read(cls, text: str) -> "Condition":
        """Parse `FIELD OPERATOR VALUE`; raises BackfillError with the known fields or the allowed values."""
        parts = _CONDITION.fullmatch(text.strip())
        if parts is None or parts[1] not in FIELDS:
            names = "; ".join(f"{name} ({meaning})" for name, meaning in FIELDS.items())
            raise BackfillError(f"a condition is FIELD, = != < <= > or >=, and a value. The fields are: {names}")
        name, sign, value = parts.groups()
        if name in _TIMES:
            return cls(name, sign, microseconds(value))
        if sign not in {"=", "!="}:
            raise BackfillError(f"{name} can only be compared with = and !=")
        return cls(name, sign, _word(name, value))

    def holds(self, known: Known) -> bool:
        """Return whether the condition holds for a login."""
        actual = getattr(known, self.field)
        if actual is None:
            return self.operator == "!="
        return _OPERATORS[self.operator](actual, self.value)


def microseconds(text: str) -> int:
    """Return a day (its start in UTC) or an RFC 3339 time as microseconds since 1970; raises BackfillError."""
    try:
        moment = datetime.fromisoformat(text)
        if _DAY.fullmatch(text):
            moment = moment.replace(tzinfo=UTC)
        return microseconds_since_1970(moment)
    except (ValueError, TypeError, OverflowError):  # TypeError: a time without a zone
        raise BackfillError("a time is a day such as 2026-11-01, or 2026-11-01T08:00:00Z with its zone") from None


def _word(name: str, value: str) -> str:
    if name == "wish" and value not in {"on", "off"}:
        raise BackfillError("wish is on or off")
    if name == "state" and value not in _STATES:
        raise BackfillError(f"state is one of: {', '.join(_STATES)}")
    return _STATES[value] if name == "state" else value


def selected(client: BytesRedis, vault: Vault, *, instance: str, where: Sequence[Condition]) -> Iterator[Row]:
    """Yield a row, with the login's own wish, for each login of an instance that meets every condition.

    If SCAN returns a login twice, it is yielded twice. Lines are numbered from 1. Raises redis.RedisError.
    """
    number = 0
    for keys in _pages(client):
        with client.pipeline(transaction=False) as pipeline:
            for key in keys:
                pipeline.hmget(key, stored_names(_READ))
            found = pipeline.execute()
        for key, values in zip(keys, found, strict=True):
            login = read_values(_READ, values)
            if login.get("instance") == instance.encode() and all(
                condition.holds(_known(login)) for condition in where
            ):
                number += 1
                yield _row(number, key.decode().removeprefix(_PREFIX), login, vault)


def _pages(client: BytesRedis) -> Iterator[Sequence[bytes]]:
    cursor = 0
    while True:
        cursor, keys = client.scan(cursor, match=f"{_PREFIX}*", count=SCAN_AT_ONCE)
        unique = list(dict.fromkeys(keys))
        if unique:
            yield unique
        if not cursor:
            return


def _known(login: StoredLogin) -> Known:
    text = {word: value.decode() for word, value in login.items() if word != "sealed"}
    confirmed = text.get("confirmed")
    return Known(
        applied=int(confirmed.rpartition(":")[2]) * 1000 if confirmed else None,
        wished=int(text.get("occurred_us", 0)),
        wish="on" if text.get("wish") == "1" else "off",
        state=text.get("state", ""),
        code=text.get("last_code") or ("applied" if confirmed else None),
        account=text.get("account_id") or None,
    )


def _row(number: int, reference: str, login: StoredLogin, vault: Vault) -> Row:
    account = login.get("account_id", b"").decode() or None
    try:
        login_id = vault.open_login(reference, login.get("sealed", b""))
    except SealError:
        return Row(number, "", account, problem=f"login_id: {reference} is sealed under a key that LOGIN_KEYS lacks")
    return Row(number, login_id, account, login.get("wish") == b"1")

"""Chooses logins by what the ledger knows of them, and streams them as rows: `--from-ledger --where ...`.

The ledger is looked through by SCAN, so it goes on working meanwhile, and a login that changes meanwhile is judged as
it was when it was looked at.
"""

from collections.abc import Iterator, Sequence

from worker.backfill.conditions import Condition, Known
from worker.backfill.models import Row
from worker.errors import SealError
from worker.redis_client.connect import BytesRedis
from worker.vault.vault import Vault

SCAN_AT_ONCE = 500
_PREFIX = "nightly:login:"
_FIELDS = ("i", "w", "s", "z", "a", "C", "t", "v")


def selected(client: BytesRedis, vault: Vault, *, instance: str, where: Sequence[Condition]) -> Iterator[Row]:
    """Yield the logins of an instance for which every condition holds, each once more if SCAN meets it again.

    The lines count from 1, and each row carries its login's own wish. Raises redis.RedisError.
    """
    number = 0
    for keys in _pages(client):
        with client.pipeline(transaction=False) as pipeline:
            for key in keys:
                pipeline.hmget(key, *_FIELDS)
            found = pipeline.execute()
        for key, fields in zip(keys, found, strict=True):
            if fields[0] == instance.encode() and all(condition.holds(_known(fields)) for condition in where):
                number += 1
                yield _row(number, key.decode().removeprefix(_PREFIX), fields, vault)


def _pages(client: BytesRedis) -> Iterator[Sequence[bytes]]:
    cursor = 0
    while True:
        cursor, keys = client.scan(cursor, match=f"{_PREFIX}*", count=SCAN_AT_ONCE)
        unique = list(dict.fromkeys(keys))
        if unique:
            yield unique
        if not cursor:
            return


def _known(fields: Sequence[bytes | None]) -> Known:
    _, wish, state, code, account, confirmed, wished = (field and field.decode() for field in fields[:-1])
    return Known(
        applied=int(confirmed.rpartition(":")[2]) * 1000 if confirmed else None,
        wished=int(wished or 0),
        wish="on" if wish == "1" else "off",
        state=state or "",
        code=code or ("applied" if confirmed else None),
        account=account or None,
    )


def _row(number: int, reference: str, fields: Sequence[bytes | None], vault: Vault) -> Row:
    account = fields[4].decode() if fields[4] else None
    try:
        login_id = vault.open_login(reference, fields[7] or b"")
    except SealError:
        return Row(number, "", account, problem=f"login_id: {reference} is sealed under a key that LOGIN_KEYS lacks")
    return Row(number, login_id, account, fields[1] == b"1")

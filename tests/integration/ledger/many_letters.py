"""Puts dead letters into Redis as the scripts leave them, without the events and calls before."""

from collections.abc import Iterable
from typing import Any

from redis import Redis

from worker.ledger.login_fields import LOGIN_FIELDS
from worker.ledger.scripts import source

INSTANCE = "toolbox"


def file_letter(client: Redis, letter_id: str, created_at: int, **changes: Any) -> None:
    """File one letter, and its login as dead, unless the login is there."""
    file_letters(client, [{"id": letter_id, "created_at": created_at} | changes])


def file_letters(client: Redis, letters: Iterable[dict[str, Any]]) -> None:
    pipeline = client.pipeline(transaction=False)
    for number, changes in enumerate(letters):
        about = {"instance": INSTANCE, "code": "INVALID_LOGIN", "wish": "on", "login": f"lgn_{changes['id']}"} | changes
        _file(pipeline, about)
        if number % 1000 == 999:
            pipeline.execute()
    pipeline.execute()


def _file(pipeline: Any, about: dict[str, Any]) -> None:
    group = f"{about['instance']}|{about['code']}|{about['wish']}"
    letter_id, at = about["id"], about["created_at"]
    fields = {"kind": "login", "status": "open", "group": group, "last_at": at, "revision": 1, "failures": 1} | about
    pipeline.hset(f"nightly:letter:{letter_id}", mapping=fields | {"wish": {"on": "1", "off": "0"}[about["wish"]]})
    pipeline.zadd("nightly:letters:open", {letter_id: at})
    pipeline.sadd("nightly:groups", group)
    pipeline.zadd(f"nightly:group:{group}", {letter_id: at})
    login = {"instance": about["instance"], "sealed": b"sealed", "occurred_us": at * 1000, "event_id": f"e-{letter_id}"}
    login |= {"wish": {"on": "1", "off": "0"}[about["wish"]], "revision": 1, "state": "dead", "letter": letter_id}
    pipeline.rpush(f"nightly:filed:{about['login']}", letter_id)
    pipeline.sadd("nightly:instances", about["instance"])
    pipeline.hset(
        f"nightly:login:{about['login']}", mapping={LOGIN_FIELDS[name]: value for name, value in login.items()}
    )


def run_lua(client: Redis, text: str, *args: str | int) -> Any:
    """Run a line with the functions of close_dead_letter.lua's library at hand."""
    library, _, _ = source("close_dead_letter").partition("-- Replay or resolve one dead letter.")
    return client.eval(f"{library}\n{text}", 0, *args)


def assign(client: Redis, letter_id: str, owner: str) -> None:
    run_lua(client, "set_owner(ARGV[1], ARGV[2])", letter_id, owner)


def snooze(client: Redis, letter_id: str, until_ms: int) -> None:
    run_lua(client, "set_snooze(ARGV[1], tonumber(ARGV[2]))", letter_id, until_ms)

"""Puts dead letters into Redis as the scripts leave them, without the events and calls before."""

from collections.abc import Iterable
from typing import Any

from redis import Redis

from worker.ledger.audit import Actor
from worker.ledger.letter_changes import Act, LetterChanges
from worker.ledger.login_fields import LOGIN_FIELDS, newest_text

INSTANCE = "toolbox"
ANN = Actor("ann", "operator", "cli")


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
    wish = {"on": "1", "off": "0"}[about["wish"]]
    newest = newest_text(revision=1, occurred_us=at * 1000, wish=wish, instance=about["instance"])
    login = {"sealed": b"sealed", "newest": newest, "event_id": f"e-{letter_id}", "state": "dead", "letter": letter_id}
    pipeline.rpush(f"nightly:filed:{about['login']}", letter_id)
    pipeline.sadd("nightly:instances", about["instance"])
    pipeline.hset(
        f"nightly:login:{about['login']}", mapping={LOGIN_FIELDS[name]: value for name, value in login.items()}
    )


def assign(client: Redis, letter_id: str, owner: str) -> None:
    LetterChanges(client).change(Act(letter_id, ANN, "assign"), "owner", owner)


def snooze(client: Redis, letter_id: str, until_ms: int) -> None:
    LetterChanges(client).change(Act(letter_id, ANN, "snooze"), "snoozed_until", until_ms)

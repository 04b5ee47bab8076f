"""The audit log in Redis: an entry and its change are made together, and a changed log is found."""

import json
import threading

import pytest
from redis import Redis

from tests.integration.ledger.conftest import Clock
from worker.errors import AuditBusy, LedgerError
from worker.ledger import Ledger
from worker.ledger.audit import AUDIT, HEAD, Actor, AuditArgs, AuditLog, Deed
from worker.ledger.scripts import Scripts

ANN = Actor("ann", "operator", "page", "10.0.0.7")


@pytest.fixture
def audit(redis_client: Redis, clock: Clock) -> AuditLog:
    return AuditLog(redis_client, now_ms=clock)


def deed(target: str = "dl-1", action: str = "letter.reveal") -> Deed:
    return Deed(ANN, action, target, "they called us")


def fill(audit: AuditLog, count: int) -> None:
    for number in range(1, count + 1):
        audit.append(deed(f"dl-{number}"))


def test_entries_are_listed_newest_first_by_pages(audit: AuditLog, clock: Clock) -> None:
    fill(audit, 5)
    newest = audit.entries(limit=2)
    assert [entry.n for entry in newest] == [5, 4]
    assert newest[0].at == clock.ms
    assert [entry.n for entry in audit.entries(before=4, limit=2)] == [3, 2]
    assert [entry.n for entry in audit.entries(before=2)] == [1]
    assert audit.entries(before=1) == []


def test_entries_about_one_target_are_found(audit: AuditLog, redis_client: Redis) -> None:
    for target in ("dl-1", "dl-2", "dl-1", "dl-1"):
        audit.append(deed(target))
    assert [entry.n for entry in audit.entries(target="dl-1")] == [4, 3, 1]
    assert [entry.n for entry in audit.entries(target="dl-1", before=4, limit=1)] == [3]
    assert audit.entries(target="dl-3") == []
    assert 0 < redis_client.ttl("nightly:audited:dl-1") <= 90 * 86_400


def test_the_last_thousand_entries_about_one_target_are_found(audit: AuditLog, redis_client: Redis) -> None:
    redis_client.rpush("nightly:audited:toolbox", *[0] * 1000)
    audit.append(deed("toolbox"))
    assert redis_client.llen("nightly:audited:toolbox") == 1000
    assert [entry.n for entry in audit.entries(target="toolbox", limit=1)] == [1]


def test_a_whole_log_verifies_and_so_does_its_end(audit: AuditLog) -> None:
    assert audit.verify().broken_at is None
    fill(audit, 5)
    head = audit.head()
    whole, end = audit.verify(logged=[head]), audit.verify(last=2)
    assert (whole.count, whole.head, whole.broken_at) == (5, head, None)
    assert (end.count, end.head, end.broken_at) == (2, head, None)


def test_an_export_is_the_log_as_it_is_stored(audit: AuditLog, redis_client: Redis) -> None:
    fill(audit, 3)
    assert [line.encode() for line in audit.export()] == redis_client.lrange(AUDIT, 0, -1)


def test_a_changed_entry_is_found(audit: AuditLog, redis_client: Redis) -> None:
    fill(audit, 4)
    redis_client.lset(AUDIT, 1, redis_client.lindex(AUDIT, 1).replace(b"ann", b"bob"))
    found = audit.verify()
    assert (found.count, found.broken_at) == (2, 3)
    assert "changed" in found.reason
    assert audit.verify(last=2).broken_at == 3


def test_a_deleted_entry_is_found(audit: AuditLog, redis_client: Redis) -> None:
    fill(audit, 4)
    redis_client.lrem(AUDIT, 1, redis_client.lindex(AUDIT, 2))
    assert audit.verify().broken_at == 3


def test_a_log_without_its_end_is_found(audit: AuditLog, redis_client: Redis) -> None:
    fill(audit, 4)
    logged = audit.head()
    redis_client.rpop(AUDIT)
    assert audit.verify().broken_at == 3
    redis_client.set(HEAD, str(audit.entries()[0].head))
    assert audit.verify().broken_at is None, "a person who may write to Redis can also write the head"
    assert audit.verify(logged=[logged]).broken_at == 3


def test_a_deleted_log_is_found_by_a_logged_head(audit: AuditLog, redis_client: Redis) -> None:
    fill(audit, 2)
    logged = audit.head()
    redis_client.delete(AUDIT, HEAD)
    assert audit.verify(logged=[logged]).broken_at == 0
    audit.append(deed("another"))
    audit.append(deed("another"))
    assert audit.verify(logged=[logged]).broken_at == 2


def test_nothing_is_done_while_the_head_is_unreadable(audit: AuditLog, redis_client: Redis) -> None:
    fill(audit, 1)
    redis_client.set(HEAD, "1 lost")
    with pytest.raises(LedgerError, match="Nothing was done"):
        audit.append(deed())
    assert "is unreadable" in audit.verify().reason


def test_a_refused_change_leaves_no_entry(audit: AuditLog) -> None:
    assert audit.perform(deed(), lambda _: b"closed") == b"closed"
    assert (audit.entries(), audit.head().number) == ([], 0)


def test_an_entry_that_comes_second_follows_the_first(audit: AuditLog, redis_client: Redis) -> None:
    scripts, calls = Scripts(redis_client), []

    def run(args: AuditArgs) -> bytes:
        if not calls:
            audit.append(deed("first"))
        calls.append(args)
        return scripts.run("append_audit", "", "second", *args)  # type: ignore[no-any-return]

    assert audit.perform(deed("second"), run) == b"done"
    assert (len(calls), [entry.target for entry in audit.entries()]) == (2, ["second", "first"])
    assert audit.verify().broken_at is None


def test_a_change_whose_reply_was_lost_is_not_made_twice(audit: AuditLog, redis_client: Redis) -> None:
    scripts = Scripts(redis_client)

    def run(args: AuditArgs) -> object:
        scripts.run("append_audit", "", "dl-1", *args)
        return scripts.run("append_audit", "", "dl-1", *args)  # what the client does when the connection broke

    assert audit.perform(deed(), run, done=b"replayed") == b"replayed"
    assert audit.head().number == 1


def test_nothing_is_done_if_others_are_always_faster(audit: AuditLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.ledger.audit.TRIES", 3)
    with pytest.raises(AuditBusy, match="Nothing was done"):
        audit.perform(deed(), lambda _: b"head")


def test_many_at_once_make_one_chain(redis_url: str) -> None:
    def work(name: str) -> None:
        with Redis.from_url(redis_url) as client:
            log = AuditLog(client)
            for _ in range(20):
                log.append(Deed(Actor(name, "admin", "cli"), "letter.note", "dl-1"))

    threads = [threading.Thread(target=work, args=(f"person {number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    with Redis.from_url(redis_url) as client:
        found = AuditLog(client).verify()
        names = [json.loads(text)["by"] for text in AuditLog(client).export()]
    assert (found.count, found.broken_at) == (80, None)
    assert {name: names.count(name) for name in set(names)} == {f"person {number}": 20 for number in range(4)}


def test_one_notice_at_a_time_lets_a_worker_log_the_head(audit: AuditLog, ledger: Ledger) -> None:
    fill(audit, 3)
    notices = [notice for notice in ledger.pulse({}, worker="a", slots=1).notices if notice.kind == "audit"]
    assert [notice.parts for notice in notices] == [[str(audit.head())]]

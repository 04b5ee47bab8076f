"""Events from every input are split, ordered and validated as promised. The producers run in tests/producers."""

import json
from collections.abc import Iterator

import pytest

from sandbox.emulator.remote import EmulatorControl
from tests.brief_stack import BriefStack
from tests.integration.celery_worker.conftest import Nightly, cloud_event, new_logins
from tests.integration.command import Command
from tests.ledger_calls import list_letters
from tests.waiting import eventually
from worker.services import build_services
from worker.vault.vault import Vault, decode_key, new_key


@pytest.fixture(scope="module")
def working(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nightly]:
    """One running Nightly for all inputs; each test uses logins of its own."""
    with BriefStack(tmp_path_factory.mktemp("ways-in"), isolated=True) as stack:
        services = build_services(stack.settings())
        yield Nightly(stack, EmulatorControl(str(stack.emulator_url)), services, services.redis)
        services.redis.close()


def test_only_the_invalid_event_of_a_batch_is_kept_for_review(working: Nightly) -> None:
    good, other = new_logins(2)
    bad = cloud_event(other, on=True, minute=0) | {"time": "yesterday"}
    working.redis.xadd("account-events:stream", {"event": json.dumps([cloud_event(good, on=True, minute=0), bad])})
    eventually(lambda: working.flags().get(good) is True, describe="the call")
    assert other not in working.flags()
    expected = ("invalid_event", "time: must be an RFC 3339 time such as 2026-11-22T10:00:00Z")
    eventually(lambda: expected in working.letters(), describe="the letter")


def test_an_unreadable_message_is_listed_with_a_reason(working: Nightly) -> None:
    before = len(working.letters())
    for body in (b"\xff\xfe", b"", b"[]", b'"text"', b"{", b"[" * 5000, b"null"):
        working.redis.xadd("account-events:stream", {"event": body})
    working.redis.xadd("account-events:stream", {"evnet": "{}"})
    eventually(lambda: len(working.letters()) == before + 8, describe="eight letters")
    assert all(code in {"invalid_event", "unknown_instance"} and reason for code, reason in working.letters())
    eventually(lambda: working.redis.xlen("account-events:stream") == 0, describe="an empty stream")


def test_an_event_for_an_unconfigured_instance_waits_for_review(working: Nightly) -> None:
    (login,) = new_logins(1)
    event = cloud_event(login, on=True, minute=0)
    event["data"]["instance"] = "acme-us"
    working.send([event])
    expected = ("unknown_instance", "instance: is not one of the configured instances")
    eventually(lambda: expected in working.letters(), describe="the letter")
    assert login not in working.flags()


def test_publish_waits_for_the_result_of_each_event(working: Nightly, capfd: pytest.CaptureFixture[str]) -> None:
    good, dead, elsewhere = new_logins(3)
    working.emulator.faults({"knob": "invalid_login", "logins": [dead]})
    foreign_box = Vault([decode_key(new_key())]).public_keys[0].seal(elsewhere)
    newest = cloud_event(good, on=True, minute=3, name="evt-newest")
    lines = [
        newest,
        newest,
        cloud_event(good, on=False, minute=1),
        cloud_event(dead, on=True, minute=0),
        cloud_event("", on=True, minute=0) | {"data": {"sealedLoginId": foreign_box}},
    ]
    nightly, environment = Command(capfd, never_shown=good), dict(working.stack.environment)
    file = "\n".join([*map(json.dumps, lines), "no JSON"])
    done = nightly("publish", "--file", "-", "--wait", "--json", stdin=file, **environment)
    assert done.returncode == 1
    found = {line["line"]: line for line in map(json.loads, done.stdout.splitlines())}
    results = ["applied", "duplicate", "superseded", "dead_lettered", "rejected", "refused"]
    assert [found[number]["result"] for number in range(1, 7)] == results
    assert (found[1]["event_id"], found[1]["login"]) == ("evt-newest", working.reference(good))
    assert found[4]["reason"] == "INVALID_LOGIN"
    assert "LOGIN_KEYS lacks" in found[5]["reason"]
    letters = {letter.id for letter in list_letters(working.services.letters)}
    assert {found[4]["dead_letter_id"], found[5]["dead_letter_id"]} <= letters

    one = "publish", "linked", "--login-id", "-", "--wait"
    done = nightly(*one, "--event-id", "evt-again", stdin=good, **environment)
    assert (done.returncode, done.stdout) == (0, f"Event evt-again of login {working.reference(good)}: applied.\n")
    done = nightly(*one, stdin=dead, **environment)
    assert done.returncode == 1
    assert "dead-lettered as INVALID_LOGIN. Flinks has no such login" in done.stdout
    letter = done.stdout.splitlines()[-1].removeprefix("Next: nightly dead-letters show ")
    assert working.services.letters.get(letter).login == working.reference(dead)


def test_inactive_and_linked_delivered_in_reverse_order_and_twice_leave_the_login_on(working: Nightly) -> None:
    (login,) = new_logins(1)
    relink, churn, link = (
        cloud_event(login, on=on, minute=minute) for on, minute in ((True, 3), (False, 2), (True, 1))
    )
    before = working.tally()
    working.send([relink, churn, link, churn, relink])
    working.comes_to_rest()
    assert working.flags()[login] is True
    counted = {name: count - before.get(name, 0) for name, count in working.tally().items()}
    assert (counted["recorded"], counted["superseded"], counted["duplicate"]) == (5, 3, 1)

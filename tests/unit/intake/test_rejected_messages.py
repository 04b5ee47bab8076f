"""A rejected message is sealed, reported once, and has no loginId in its id."""

import json
from typing import cast

import pytest
from structlog.testing import capture_logs

from tests.restored_logging import restored_logging
from tests.unit.intake.harness import FAR, LOGIN, TIME, FakeLedger, FakeLetters, Harness, body_of, cloudevent
from worker import services
from worker.config.settings import Settings
from worker.errors import InvalidEvent
from worker.events.contract import MAX_BODY_BYTES, Requirements
from worker.intake.accept import REJECT_BYTES, Intake, Rejection
from worker.ledger import Ledger, Letters, Recorded
from worker.operations.rejected_messages import judge_body
from worker.services import build_intake
from worker.telemetry.logs import configure_logging
from worker.vault.vault import Vault


def test_a_rejected_event_keeps_its_id_source_and_account(harness: Harness) -> None:
    harness.intake.accept_bodies([body_of(cloudevent(subject="cust-42", time="yesterday"))])
    harness.celery(login_id=LOGIN, account_id="cust-43", task_id="1b5f3f6e-7d0a-4c55-9d4e-2f8a6c1e0b77")
    harness.celery(login_id=LOGIN, event_id="evt-3", task_id="task-3")
    found = [(message.event_id, message.event_source, message.account_id) for message in harness.letters.kept]
    assert found == [
        ("evt-1", "crm", "cust-42"),
        ("1b5f3f6e-7d0a-4c55-9d4e-2f8a6c1e0b77", "", "cust-43"),
        ("evt-3", "", ""),
    ]


def test_odd_values_of_a_rejected_event_are_bounded_and_printable(harness: Harness) -> None:
    odd = {"id": "evt\x1b[31m\u202e\ud800", "source": "x" * 257, "subject": 7}
    body = json.dumps(cloudevent(**odd, data={"loginId": "\x1b", "rest": [{"loginId": "y" * 300}] * 200}))
    harness.intake.accept_bodies([body.encode(), b"[1, 2]"])
    first, *others = [(message.event_id, message.event_source, message.account_id) for message in harness.letters.kept]
    assert first == ("evt?[31m??", "(longer than 256 characters)", "")
    assert others == [("", "", "")] * 2


def test_the_id_of_a_dead_letter_depends_only_on_its_bytes(harness: Harness) -> None:
    for body in (b"{", b"{", b"}"):
        harness.intake.accept_bodies([body])
    one, again, other = (message.id for message in harness.letters.kept)
    assert one == again != other
    assert one.startswith("iv-")


def test_a_redelivered_message_has_the_same_dead_letter(harness: Harness) -> None:
    for task_id in ("task-1", "task-1", "task-2"):
        harness.celery(login_id=LOGIN, task_id=task_id)
    one, again, other = (message.id for message in harness.letters.kept)
    assert one == again != other


def test_a_long_body_is_kept_whole(harness: Harness) -> None:
    body = b"{" + LOGIN.encode() + b" " * MAX_BODY_BYTES
    assert not harness.intake.accept_bodies([body])
    (message,), (kept,) = harness.letters.kept, harness.bodies()
    assert kept == body
    assert message.size == len(body)
    assert LOGIN.encode() not in message.sealed_body


def test_rejected_events_are_stored_in_groups(harness: Harness) -> None:
    batch = [cloudevent(id=f"evt-{number}", type="other") for number in range(450)]
    assert not harness.intake.accept_bodies([body_of(batch)])
    assert harness.letters.calls == [200, 200, 50]


def test_large_rejected_bodies_are_stored_in_small_groups(harness: Harness) -> None:
    assert not harness.intake.accept_bodies([b"{" + b" " * (REJECT_BYTES // 2)] * 5)
    assert harness.letters.calls == [2, 2, 1]


def test_with_a_full_review_list_a_message_is_only_counted_and_logged(harness: Harness) -> None:
    harness.letters.at_most = 1
    harness.intake.accept_bodies([b"{", b"["])
    assert [message.is_kept for message in harness.reported] == [True, False]


def test_a_message_that_may_hold_a_valid_event_is_kept_although_the_review_list_is_full(harness: Harness) -> None:
    harness.letters.at_most = 0
    harness.intake.reject([Rejection(InvalidEvent("event: it killed its reader"), "stream", b"{}", must_keep=True)])
    assert harness.bodies() == [b"{}"]


def test_an_oversized_entry_becomes_a_dead_letter_that_names_its_key(harness: Harness) -> None:
    assert harness.intake.reject_oversize(source="stream", size=2**28, key="account-events:stream:oversize:1-0")
    (message,) = harness.letters.kept
    assert (message.size, message.sealed_body) == (2**28, b"")
    assert message.reason.endswith("under account-events:stream:oversize:1-0")
    harness.letters.at_most = 0
    assert not harness.intake.reject_oversize(source="stream", size=2**28, key="account-events:stream:oversize:2-0")


def test_each_rejection_is_reported_once_without_its_body(harness: Harness) -> None:
    harness.intake.accept_bodies([b"{" + LOGIN.encode(), b"["])
    assert [(item.source, item.code, item.is_new_group) for item in harness.reported] == [
        ("stream", "invalid_event", True),
        ("stream", "invalid_event", False),
    ]
    assert [item.letter_id for item in harness.reported] == [message.id for message in harness.letters.kept]
    assert LOGIN not in repr(harness.reported)


def test_a_process_logs_each_rejection_and_reports_the_first_of_its_kind(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    reported: list[dict[str, str]] = []
    monkeypatch.setattr(services, "report_new_group", lambda **tags: reported.append(tags))
    parts = (cast("Ledger", FakeLedger()), cast("Letters", FakeLetters()))
    intake = build_intake(Settings.load(), *parts, vault)
    with capture_logs() as lines:
        intake.accept_bodies([b"{" + LOGIN.encode(), body_of(cloudevent(data={"loginId": LOGIN, "instance": "eu"}))])

    lines = [line for line in lines if "each" not in line]
    assert [(line["event"], line["log_level"], line["code"], line["event_id"]) for line in lines] == [
        ("event_received", "warning", "unknown_instance", "evt-1"),
        ("event_received", "warning", "invalid_event", None),
    ]
    assert {(line["result"], line["source"]) for line in lines} == {("rejected", "stream")}
    assert lines[1]["reason"] == "body: is not JSON"
    assert all(line["letter"].startswith("iv-") for line in lines)
    assert reported == [{"instance": "", "code": "unknown_instance", "wish": ""}]
    assert LOGIN not in repr(lines)


def test_a_process_logs_each_event_by_its_reference_and_without_its_login(
    vault: Vault, capsys: pytest.CaptureFixture[str]
) -> None:
    parts = (cast("Ledger", FakeLedger()), cast("Letters", FakeLetters()))
    intake = build_intake(Settings.load(), *parts, vault)
    other = "5e115eab-1111-4000-8000-00000c0ffee1"
    with restored_logging():
        configure_logging(log_format="json", log_level="INFO")
        intake.accept_bodies(
            [
                body_of(cloudevent(id=other, subject="cust-42")),
                body_of(cloudevent(id=LOGIN, subject=f"cust-{LOGIN.upper()}")),
                body_of(cloudevent(id=f"x-{LOGIN}", subject=LOGIN, data={"loginId": LOGIN, "instance": "eu"})),
                body_of(cloudevent(id="evt-3", time=FAR)),
            ]
        )
    written = capsys.readouterr().err
    lines = [json.loads(line) for line in written.splitlines()]
    assert [(line["event"], line["result"]) for line in lines] == [
        ("event_received", "recorded"),
        ("event_received", "recorded"),
        ("event_received", "rejected"),
        ("event_received", "rejected"),
    ]
    plain, masked, hidden, ahead = lines
    assert (hidden["event_id"][:7], "account_id" in hidden) == ("masked-", False)
    assert (plain["event_id"], plain["account_id"], plain["login"]) == (
        other,
        "cust-42",
        vault.reference("toolbox", LOGIN),
    )
    assert (plain["instance"], plain["wish"], ahead["event_id"]) == ("toolbox", "on", "evt-3")
    assert plain["record_ms"] >= 0
    assert [masked[name][:7] for name in ("event_id", "account_id")] == ["masked-", "masked-"]
    assert LOGIN[:13] not in written.lower()


def test_without_a_callback_a_rejection_is_still_kept(vault: Vault) -> None:
    ledger, letters = FakeLedger(), FakeLetters()
    parts = (cast("Ledger", ledger), cast("Letters", letters), vault)
    requirements = Requirements(max_ahead_seconds=3600, instances=frozenset())
    intake = Intake(*parts, requirements=requirements, default_instance="toolbox")
    assert not intake.accept_bodies([body_of(cloudevent())])
    assert [message.code for message in letters.kept] == ["unknown_instance"]


def test_lone_surrogates_are_kept_unchanged(harness: Harness) -> None:
    assert not harness.celery(login_id="\ud800", occurred_at=TIME)
    assert not harness.replay()
    assert len({message.id for message in harness.letters.kept}) == 1


def test_judging_says_what_accepting_would_do_and_does_nothing(harness: Harness) -> None:
    documents = [cloudevent(), cloudevent(time=FAR), cloudevent(type="account.lost")]
    judged = judge_body(harness.intake, body_of(documents))
    assert [wish.event_id for wish in judged.wishes] == ["evt-1"]
    assert [reason.field for reason in judged.reasons] == ["time", "type"]
    assert judged.reasons[0].rule == "lies more than 3600 s in the future"
    assert (harness.ledger.wishes, harness.letters.kept) == ([], [])


def test_recorded_events_of_a_rejected_message_are_logged_like_any_others(harness: Harness) -> None:
    logged: list[object] = []
    harness.intake._on_recorded = lambda wishes, results, seconds: logged.extend([*wishes, *results, seconds >= 0])
    wishes = judge_body(harness.intake, body_of(cloudevent())).wishes
    harness.intake.record(wishes, lambda _: [Recorded.RECORDED])
    assert logged == [*wishes, Recorded.RECORDED, True]

"""What is kept of an event that cannot be accepted: sealed, told once, and with no loginId in its id."""

from typing import cast

import pytest
from structlog.testing import capture_logs

from tests.unit.intake.desk import KWARGS, LOGIN, TIME, Desk, FakeLedger, FakeLetters, body_of, cloudevent
from worker import services
from worker.intake import KEEP_BYTES, Intake
from worker.ledger import Ledger, Letters
from worker.seal import Vault
from worker.services import build_intake
from worker.settings import Settings


@pytest.mark.parametrize(
    "text", [LOGIN, LOGIN.upper(), f"linked:{LOGIN}:1", LOGIN.replace("-", ""), f"x{LOGIN.replace('-', '_').upper()}x"]
)
def test_an_id_that_holds_the_login_is_masked_however_it_is_spelt(desk: Desk, text: str) -> None:
    assert desk.celery(**(KWARGS | {"event_id": text, "account_id": text}))
    assert desk.wish.event_id.startswith("masked-")
    assert desk.wish.account_id == desk.wish.event_id
    assert LOGIN[:8] not in desk.readable().lower()


def test_a_masked_id_stays_the_same_so_that_a_duplicate_is_one(desk: Desk) -> None:
    for event_id in (f"a-{LOGIN}", f"a-{LOGIN}", f"b-{LOGIN}"):
        desk.celery(**(KWARGS | {"event_id": event_id}))
    one, again, other = (wish.event_id for wish in desk.ledger.wishes)
    assert one == again != other


def test_an_opaque_login_in_another_case_is_masked_as_well(desk: Desk) -> None:
    assert desk.celery(login_id="StraßenToken", occurred_at=TIME, event_id="id-STRASSENTOKEN")
    assert desk.wish.event_id.startswith("masked-")


def test_a_letter_s_id_comes_from_the_bytes_alone(desk: Desk) -> None:
    for body in (b"{", b"{", b"}"):
        desk.intake.accept_bodies([body])
    one, again, other = (item[0] for item in desk.letters.parked)
    assert one == again != other
    assert one.startswith("iv-")


def test_a_message_that_is_delivered_again_has_the_same_letter(desk: Desk) -> None:
    for task_id in ("task-1", "task-1", "task-2"):
        desk.celery(login_id=LOGIN, task_id=task_id)
    one, again, other = (item[0] for item in desk.letters.parked)
    assert one == again != other


def test_a_long_body_is_kept_in_part_and_its_length_told(desk: Desk) -> None:
    body = b"{" + LOGIN.encode() + b" " * KEEP_BYTES
    assert not desk.intake.accept_bodies([body])
    (*_, fields), (kept,) = desk.letters.parked[0], desk.bodies()
    assert kept == body[:KEEP_BYTES]
    assert fields["body_bytes"] == str(len(body))
    assert LOGIN.encode() not in fields["sealed_body"]


def test_a_rejection_is_told_once_each_without_its_body(desk: Desk) -> None:
    desk.intake.accept_bodies([b"{" + LOGIN.encode(), b"["])
    assert [(item.source, item.code, item.is_new_group) for item in desk.told] == [
        ("stream", "invalid_event", True),
        ("stream", "invalid_event", False),
    ]
    assert [item.letter_id for item in desk.told] == [item[0] for item in desk.letters.parked]
    assert LOGIN not in repr(desk.told)


def test_a_process_logs_each_rejection_and_reports_the_first_of_its_kind(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    reported: list[dict[str, str]] = []
    monkeypatch.setattr(services, "report_new_group", lambda **tags: reported.append(tags))
    parts = (cast("Ledger", FakeLedger()), cast("Letters", FakeLetters()))
    intake = build_intake(Settings.load(), *parts, vault)
    with capture_logs() as lines:
        intake.accept_bodies([b"{" + LOGIN.encode(), body_of(cloudevent(data={"loginId": LOGIN, "instance": "eu"}))])

    assert [(line["event"], line["log_level"], line["code"], line["source"]) for line in lines] == [
        ("event_rejected", "warning", "invalid_event", "stream"),
        ("event_rejected", "warning", "unknown_instance", "stream"),
    ]
    assert lines[0]["reason"] == "body: is not JSON"
    assert all(line["letter"].startswith("iv-") for line in lines)
    assert reported == [{"instance": "", "code": "invalid_event", "wish": ""}]
    assert LOGIN not in repr(lines)


def test_without_anyone_to_tell_a_rejection_is_kept_all_the_same(vault: Vault) -> None:
    ledger, letters = FakeLedger(), FakeLetters()
    parts = (cast("Ledger", ledger), cast("Letters", letters), vault)
    intake = Intake(*parts, instances=frozenset(), default_instance="toolbox", max_ahead_seconds=3600)
    assert not intake.accept_bodies([body_of(cloudevent())])
    assert [code for _, _, code, _ in letters.parked] == ["unknown_instance"]


def test_lone_surrogates_survive_being_kept(desk: Desk) -> None:
    assert not desk.celery(login_id="\ud800", occurred_at=TIME)
    assert not desk.intake.accept_again("celery", desk.bodies()[0])
    assert len({item[0] for item in desk.letters.parked}) == 1

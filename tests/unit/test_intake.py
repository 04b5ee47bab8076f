"""Every event of a message ends in the ledger or on the review list, and nothing readable holds its loginId."""

import json
import random
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from tests.chaos.malformed import CANARY, malformed
from worker import services
from worker.intake import BODY_CONTEXT, KEEP_BYTES, Intake, Rejected
from worker.ledger import Lane, Ledger, Letters, Recorded, Wish
from worker.seal import Vault
from worker.services import build_intake
from worker.settings import Settings

LOGIN = "5e115eab-0000-4000-8000-00000c0ffee1"
TIME = "2026-11-22T10:00:00Z"
KWARGS = {"login_id": LOGIN, "occurred_at": TIME, "event_id": "evt-1"}
FAR = "2099-01-01T00:00:00Z"


class FakeLedger:
    """Records everything, but what is dated 2099 is ahead."""

    def __init__(self) -> None:
        self.wishes: list[Wish] = []
        self.replicas: list[int] = []

    def now_ms(self) -> int:
        return int(datetime(2026, 11, 22, 12, tzinfo=UTC).timestamp() * 1000)

    def record_whole(self, wishes: Sequence[Wish], *, furthest_ahead_seconds: float, replicas: int) -> list[Recorded]:
        self.replicas.append(replicas)
        return self.record(wishes, furthest_ahead_seconds=furthest_ahead_seconds)

    def record(self, wishes: Sequence[Wish], *, furthest_ahead_seconds: float) -> list[Recorded]:
        assert furthest_ahead_seconds == 3600
        ahead = datetime(2099, 1, 1, tzinfo=UTC).timestamp() * 1e6
        results = [Recorded.AHEAD if wish.occurred_us >= ahead else Recorded.RECORDED for wish in wishes]
        self.wishes += [wish for wish, result in zip(wishes, results, strict=True) if result is Recorded.RECORDED]
        return results


class FakeLetters:
    """Keeps what is parked."""

    def __init__(self) -> None:
        self.parked: list[tuple[str, str, str, dict[str, Any]]] = []

    def park(self, letter_id: str, *, instance: str, code: str, fields: dict[str, Any]) -> bool:
        self.parked.append((letter_id, instance, code, fields))
        return len(self.parked) == 1


class Desk:
    """An intake and what came of its messages."""

    def __init__(self, vault: Vault) -> None:
        self.vault, self.ledger, self.letters = vault, FakeLedger(), FakeLetters()
        self.told: list[Rejected] = []
        self.intake = Intake(
            cast("Ledger", self.ledger),
            cast("Letters", self.letters),
            vault,
            instances=frozenset({"toolbox", "acme-us"}),
            default_instance="toolbox",
            max_ahead_seconds=3600,
            on_rejected=self.told.append,
        )

    def celery(self, *args: object, task_id: str = "task-1", **kwargs: object) -> bool:
        return self.intake.accept_celery("account.linked", args, kwargs, task_id)

    @property
    def wish(self) -> Wish:
        (wish,) = self.ledger.wishes
        return wish

    @property
    def reasons(self) -> list[tuple[str, str]]:
        return [(code, fields["reason"]) for _, _, code, fields in self.letters.parked]

    def bodies(self) -> list[bytes]:
        return [self.vault.open(BODY_CONTEXT, fields["sealed_body"]) for *_, fields in self.letters.parked]

    def readable(self) -> str:
        fields = [
            {name: value for name, value in item[3].items() if name != "sealed_body"} for item in self.letters.parked
        ]
        return repr((self.ledger.wishes, [item[:3] for item in self.letters.parked], fields, self.told))


@pytest.fixture
def desk(vault: Vault) -> Desk:
    return Desk(vault)


def cloudevent(**changes: Any) -> dict[str, Any]:
    event = {"specversion": "1.0", "id": "evt-1", "source": "crm", "type": "account.linked", "time": TIME}
    return event | {"data": {"loginId": LOGIN}} | changes


def body_of(document: object) -> bytes:
    return json.dumps(document).encode()


def test_an_event_becomes_a_wish_under_its_login_s_reference(desk: Desk) -> None:
    assert desk.celery(**KWARGS, account_id="cust-42", instance="acme-us")

    wish = desk.wish
    assert wish.reference == desk.vault.reference("acme-us", LOGIN)
    assert desk.vault.open_login(wish.reference, wish.sealed) == LOGIN
    assert (wish.instance, wish.wants_active, wish.lane) == ("acme-us", True, Lane.LIVE)
    assert (wish.event_id, wish.account_id) == ("evt-1", "cust-42")
    assert wish.occurred_us == 1_795_341_600_000_000
    assert not desk.letters.parked


@pytest.mark.parametrize("kwargs", [{}, {"event_id": None}])
def test_the_event_id_defaults_to_the_task_s(desk: Desk, kwargs: dict[str, Any]) -> None:
    assert desk.celery(login_id=LOGIN, occurred_at=TIME, **kwargs)
    assert (desk.wish.event_id, desk.wish.account_id) == ("task-1", None)


@pytest.mark.parametrize("event_id", ["", 0, False])
def test_a_wrong_event_id_is_refused_rather_than_replaced(desk: Desk, event_id: object) -> None:
    assert not desk.celery(**(KWARGS | {"event_id": event_id}))
    assert desk.reasons[0][1].startswith("event_id: ")


@pytest.mark.parametrize(
    ("args", "kwargs", "code", "reason"),
    [
        ((), {"occurred_at": TIME}, "invalid_event", "login_id: is required"),
        ((LOGIN,), KWARGS, "invalid_event", "args: must be empty; send keyword arguments"),
        ((), KWARGS | {LOGIN: LOGIN}, "invalid_event", "(another field): is not a field of this event"),
        ((), KWARGS | {"instance": LOGIN}, "unknown_instance", "instance: is not one of the configured instances"),
        ((), KWARGS | {"login_id": UUID(LOGIN)}, "invalid_event", "login_id: must be a text"),
        (
            (),
            KWARGS | {"login_id": f"{LOGIN}\ud800"},
            "invalid_event",
            "login_id: holds a character that is not printable",
        ),
        ((), KWARGS | {"occurred_at": FAR}, "invalid_event", "occurred_at: lies more than 3600 s in the future"),
    ],
)
def test_a_celery_message_that_cannot_be_accepted_is_kept_for_a_person(
    desk: Desk, args: tuple[object, ...], kwargs: Mapping[str, object], code: str, reason: str
) -> None:
    assert not desk.celery(*args, **kwargs)

    assert desk.reasons == [(code, reason)]
    assert not desk.ledger.wishes
    kept = json.loads(desk.bodies()[0])
    assert (kept["type"], kept["args"]) == ("account.linked", list(args))
    assert LOGIN not in desk.readable()


def test_a_datetime_from_kombu_is_accepted_and_kept_readable_when_refused(desk: Desk) -> None:
    moment = datetime(2026, 11, 22, 10, tzinfo=UTC)
    assert desk.celery(**(KWARGS | {"occurred_at": moment}))
    assert not desk.celery(**(KWARGS | {"occurred_at": moment}), colour="red")
    assert json.loads(desk.bodies()[0])["kwargs"]["occurred_at"] == "2026-11-22 10:00:00+00:00"


def test_a_message_nested_too_deeply_to_be_written_is_still_kept(desk: Desk) -> None:
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    assert not desk.celery(**(KWARGS | {"account_id": deep}))
    assert not desk.intake.accept_again("celery", desk.bodies()[0])
    assert desk.reasons == [
        ("invalid_event", "account_id: must be a text"),
        ("invalid_event", "args: must be empty; send keyword arguments"),
    ]


def test_bodies_of_the_stream_are_recorded_together(desk: Desk) -> None:
    two = [cloudevent(), cloudevent(id="evt-2", type="account.inactive")]
    assert desk.intake.accept_bodies([body_of(cloudevent(id="evt-0")), body_of(two)])
    assert [(wish.event_id, wish.wants_active) for wish in desk.ledger.wishes] == [
        ("evt-0", True),
        ("evt-1", True),
        ("evt-2", False),
    ]


def test_no_body_is_no_work(desk: Desk) -> None:
    assert desk.intake.accept_bodies([])


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"\xff" + LOGIN.encode(), "body: is not JSON"),
        (b"[]", "body: is an empty array"),
        (body_of(LOGIN), "event: must be an object"),
        (body_of([[cloudevent()]]), "event: must be an object"),
        (body_of(cloudevent(time=FAR)), "time: lies more than 3600 s in the future"),
        (
            body_of(cloudevent(data={LOGIN: 1})),
            "data.loginId: is required; data.(another field): is not a field of this event",
        ),
    ],
)
def test_a_body_that_cannot_be_accepted_is_kept_for_a_person(desk: Desk, body: bytes, reason: str) -> None:
    assert not desk.intake.accept_bodies([body])
    assert desk.reasons == [("invalid_event", reason)]
    assert not desk.ledger.wishes
    assert LOGIN not in desk.readable()


def test_of_a_batch_only_the_bad_events_are_refused_each_with_its_own_part(desk: Desk) -> None:
    bad, late = cloudevent(id="bad", data={"instance": "nowhere", "loginId": "é"}), cloudevent(id="late", time=FAR)
    assert not desk.intake.accept_bodies([b"{", body_of([cloudevent(), bad, late])])

    assert [wish.event_id for wish in desk.ledger.wishes] == ["evt-1"]
    assert [code for code, _ in desk.reasons] == ["invalid_event", "unknown_instance", "invalid_event"]
    assert desk.bodies()[0] == b"{"
    assert [json.loads(body) for body in desk.bodies()[1:]] == [bad, late]


def test_one_event_of_many_that_is_ahead_is_told_by_the_answer(desk: Desk) -> None:
    assert not desk.intake.accept_bodies([body_of([cloudevent(), cloudevent(time=FAR)])])
    assert len(desk.ledger.wishes) == 1


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


@pytest.mark.parametrize("instances", [frozenset({"toolbox"}), frozenset({"toolbox", "eu"})])
def test_a_rejected_celery_message_is_taken_in_again_as_it_came(vault: Vault, instances: frozenset[str]) -> None:
    desk = Desk(vault)
    assert not desk.celery(login_id=LOGIN, occurred_at=TIME, instance="eu", task_id="task-9")
    desk.intake._instances = instances

    assert desk.intake.accept_again("celery", desk.bodies()[0]) is ("eu" in instances)
    assert [wish.event_id for wish in desk.ledger.wishes] == ["task-9"] * ("eu" in instances)
    assert len({item[0] for item in desk.letters.parked}) == 1, "what is still invalid keeps its letter"


def test_a_rejected_part_of_a_batch_is_taken_in_again_alone(desk: Desk) -> None:
    bad = cloudevent(id="evt-7", data={"loginId": "é\u2028", "instance": "toolbox"})
    assert not desk.intake.accept_bodies([body_of([cloudevent(), bad])])
    assert not desk.intake.accept_again("stream", desk.bodies()[0])
    assert len({item[0] for item in desk.letters.parked}) == 1
    assert len(desk.ledger.wishes) == 1


def test_lone_surrogates_survive_being_kept(desk: Desk) -> None:
    assert not desk.celery(login_id="\ud800", occurred_at=TIME)
    assert not desk.intake.accept_again("celery", desk.bodies()[0])
    assert len({item[0] for item in desk.letters.parked}) == 1


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just(LOGIN),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from([*cloudevent(), "x"]), inner, max_size=6)
    ),
    max_leaves=12,
)


@given(st.one_of(st.binary(max_size=30), _JSON.map(body_of)))
def test_nothing_that_comes_stops_the_intake(body: bytes) -> None:
    desk = Desk(Vault([bytes(32)]))
    is_whole = desk.intake.accept_bodies([body, body_of(cloudevent(id="good"))])

    assert [wish.event_id for wish in desk.ledger.wishes][-1:] == ["good"]
    assert is_whole is not bool(desk.letters.parked)
    assert LOGIN not in desk.readable()


def test_every_kind_of_malformed_input_ends_as_wishes_and_letters_and_no_reason_quotes_it(vault: Vault) -> None:
    kinds = set()
    for item in malformed(random.Random(7), 400):
        desk = Desk(vault)
        if item.body is not None:
            desk.intake.accept_bodies([item.body])
        elif item.text is not None:
            args, kwargs, _ = json.loads(item.text)
            desk.celery(*args, **kwargs)
        else:
            continue
        kinds.add(item.kind)
        assert len(desk.ledger.wishes) + len(desk.letters.parked) == item.units, item.kind
        assert CANARY not in repr((desk.reasons, desk.told)), item.kind
    assert len(kinds) == 17

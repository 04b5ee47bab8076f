"""A body of the stream, one event or several, is split and recorded together."""

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.chaos.malformed import CANARY, malformed
from tests.unit.intake.harness import FAR, LOGIN, Harness, body_of, cloudevent
from worker.vault.vault import Vault


def test_bodies_of_the_stream_are_recorded_together(harness: Harness) -> None:
    two = [cloudevent(), cloudevent(id="evt-2", type="account.inactive")]
    assert harness.intake.accept_bodies([body_of(cloudevent(id="evt-0")), body_of(two)])
    assert [(wish.event_id, wish.wants_active) for wish in harness.ledger.wishes] == [
        ("evt-0", True),
        ("evt-1", True),
        ("evt-2", False),
    ]


def test_no_bodies_are_accepted_without_work(harness: Harness) -> None:
    assert harness.intake.accept_bodies([])


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
            "data.(another field): is not a field of this event",
        ),
    ],
)
def test_a_rejected_body_is_kept_for_review(harness: Harness, body: bytes, reason: str) -> None:
    assert not harness.intake.accept_bodies([body])
    assert harness.reasons == [("invalid_event", reason)]
    assert not harness.ledger.wishes
    assert LOGIN not in harness.readable()


def test_only_the_invalid_events_of_a_batch_are_rejected_each_with_its_own_part(harness: Harness) -> None:
    bad, late = cloudevent(id="bad", data={"instance": "nowhere", "loginId": "é"}), cloudevent(id="late", time=FAR)
    assert not harness.intake.accept_bodies([b"{", body_of([cloudevent(), bad, late])])

    assert [wish.event_id for wish in harness.ledger.wishes] == ["evt-1"]
    assert [code for code, _ in harness.reasons] == ["unknown_instance", "invalid_event", "invalid_event"]
    assert [json.loads(body) for body in harness.bodies()[:2]] == [bad, late]
    assert harness.bodies()[2] == b"{"


def test_the_result_reports_an_event_ahead_of_time(harness: Harness) -> None:
    assert not harness.intake.accept_bodies([body_of([cloudevent(), cloudevent(time=FAR)])])
    assert len(harness.ledger.wishes) == 1


def test_a_rejected_part_of_a_batch_is_replayed_alone(harness: Harness) -> None:
    bad = cloudevent(id="evt-7", data={"loginId": "é\u2028", "instance": "toolbox"})
    assert not harness.intake.accept_bodies([body_of([cloudevent(), bad])])
    assert not harness.replay()
    assert len({message.id for message in harness.letters.kept}) == 1
    assert len(harness.ledger.wishes) == 1


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just(LOGIN),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from([*cloudevent(), "x"]), inner, max_size=6)
    ),
    max_leaves=12,
)


@given(st.one_of(st.binary(max_size=30), _JSON.map(body_of)))
def test_no_input_stops_the_intake(body: bytes) -> None:
    harness = Harness(Vault([bytes(32)]))
    is_whole = harness.intake.accept_bodies([body, body_of(cloudevent(id="good"))])

    assert [wish.event_id for wish in harness.ledger.wishes][-1:] == ["good"]
    assert is_whole is not bool(harness.letters.kept)
    assert LOGIN not in harness.readable()


def test_every_malformed_input_becomes_wishes_and_dead_letters_and_no_reason_quotes_it(vault: Vault) -> None:
    kinds = set()
    for item in malformed(random.Random(7), 400):
        harness = Harness(vault)
        if item.body is not None:
            harness.intake.accept_bodies([item.body])
        elif item.text is not None:
            args, kwargs, _ = json.loads(item.text)
            harness.celery(*args, **kwargs)
        else:
            continue
        kinds.add(item.kind)
        assert len(harness.ledger.wishes) + len(harness.letters.kept) == item.units, item.kind
        assert CANARY not in repr((harness.reasons, harness.reported)), item.kind
    assert len(kinds) == 17

"""Intake opens a sealed loginId; an event that cannot be opened, or must not be in clear, is kept for review."""

import pytest

from tests.unit.intake.desk import FAR, LOGIN, TIME, Desk, body_of, cloudevent
from worker.ledger import Wish
from worker.vault.vault import Vault

OLD, NEW, LOST = bytes(range(32)), bytes(range(1, 33)), bytes(range(2, 34))
GUID = "11111111-2222-4333-8444-555555555555"


def sealed(vault: Vault, login_id: str = LOGIN, *, key: int = 0) -> str:
    return vault.public_keys[key].seal(login_id)


def test_a_sealed_login_is_the_same_login_as_in_clear(desk: Desk, vault: Vault) -> None:
    assert desk.intake.accept_bodies([body_of(cloudevent())])
    assert desk.intake.accept_bodies(
        [body_of(cloudevent(data={"sealedLoginId": sealed(vault), "instance": "toolbox"}))]
    )
    assert desk.celery(sealed_login_id=sealed(vault), occurred_at=TIME)

    opened = {(wish.reference, vault.open_login(wish.reference, wish.sealed)) for wish in desk.ledger.wishes}
    assert opened == {(vault.reference("toolbox", LOGIN), LOGIN)}
    assert len(desk.ledger.wishes) == 3


def test_an_event_sealed_to_an_older_key_is_opened() -> None:
    desk = Desk(Vault([NEW, OLD]))
    assert desk.celery(sealed_login_id=sealed(Vault([OLD])), occurred_at=TIME)


def test_an_id_made_of_the_sealed_login_is_masked(desk: Desk, vault: Vault) -> None:
    event = cloudevent(id=f"link-{LOGIN}", subject=LOGIN.upper(), data={"sealedLoginId": sealed(vault)})
    assert desk.intake.accept_bodies([body_of(event)])
    wish: Wish = desk.wish
    assert wish.event_id.startswith("masked-")
    assert (wish.account_id or "").startswith("masked-")


def test_an_event_sealed_to_a_missing_key_is_kept_until_workers_have_the_key() -> None:
    desk, lost = Desk(Vault([NEW, OLD])), Vault([LOST])
    desk.letters.at_most = 0
    event = cloudevent(id="evt-7", data={"sealedLoginId": sealed(lost)})
    assert not desk.intake.accept_bodies([body_of(event)])

    (letter,) = desk.letters.parked
    key_id = lost.public_keys[0].id
    assert (letter.code, letter.event_id) == ("unknown_key", "evt-7")
    assert letter.reason == f"sealedLoginId: is sealed to key {key_id}, which LOGIN_KEYS lacks"
    desk.intake._vault = Vault([LOST, NEW, OLD])
    assert desk.intake.accept_again("stream", desk.bodies()[0])
    assert desk.wish.reference == desk.vault.reference("toolbox", LOGIN)


@pytest.mark.parametrize(("event_id", "is_shown"), [("evt-7", True), (GUID, False), (f"e-{GUID.upper()}", False)])
def test_without_the_login_an_id_with_any_guid_is_masked(event_id: str, is_shown: bool) -> None:  # noqa: FBT001
    desk = Desk(Vault([NEW]))
    assert not desk.celery(sealed_login_id=sealed(Vault([LOST])), occurred_at=TIME, event_id=event_id)
    assert (desk.letters.parked[0].event_id == event_id) is is_shown
    assert desk.letters.parked[0].event_id.startswith("masked-") is not is_shown


@pytest.mark.parametrize(
    ("login_id", "reason"),
    [
        ("a\nb", "sealedLoginId, opened: holds a character that is not printable"),
        (" a", "sealedLoginId, opened: begins or ends with a space"),
        ("x" * 257, "sealedLoginId, opened: string should have at most 256 characters"),
    ],
)
def test_an_unsealed_login_is_validated_by_the_same_rule(desk: Desk, vault: Vault, login_id: str, reason: str) -> None:
    assert not desk.celery(sealed_login_id=sealed(vault, login_id), occurred_at=TIME)
    assert desk.reasons == [("invalid_event", reason)]


def test_an_altered_sealed_login_is_rejected_with_its_reason(desk: Desk, vault: Vault) -> None:
    text = sealed(vault)
    altered = text[:30] + ("A" if text[30] != "A" else "B") + text[31:]
    assert not desk.intake.accept_bodies([body_of(cloudevent(data={"sealedLoginId": altered}))])
    reason = "sealedLoginId: cannot be opened; it was altered, or is not sealed to the key that it names"
    assert desk.reasons == [("invalid_event", reason)]


def test_where_sealing_is_required_a_login_in_clear_is_kept_for_review(vault: Vault) -> None:
    desk = Desk(vault, require_sealed=True)
    assert not desk.intake.accept_bodies([body_of(cloudevent())])
    assert not desk.celery(login_id=LOGIN, occurred_at=TIME, event_id=f"e-{LOGIN}")
    reason = "loginId: is not sealed, and REQUIRE_SEALED is set here; seal it"
    assert desk.reasons == [("invalid_event", reason)] * 2
    assert desk.letters.parked[0].event_id == "evt-1"
    assert desk.letters.parked[1].event_id.startswith("masked-")
    assert LOGIN not in desk.readable()
    assert desk.celery(sealed_login_id=sealed(vault), occurred_at=TIME)


def test_a_rejection_after_unsealing_names_its_event(desk: Desk, vault: Vault) -> None:
    data = {"sealedLoginId": sealed(vault)}
    late, elsewhere = cloudevent(time=FAR, id="late", data=data), cloudevent(id="else", data={**data, "instance": "eu"})
    assert not desk.intake.accept_bodies([body_of([late, elsewhere])])
    assert {(letter.code, letter.event_id) for letter in desk.letters.parked} == {
        ("invalid_event", "late"),
        ("unknown_instance", "else"),
    }

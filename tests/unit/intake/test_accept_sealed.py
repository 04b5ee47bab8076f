"""Intake opens a sealed loginId; an event that cannot be opened, or must not be in clear, is kept for review."""

import pytest

from tests.unit.intake.harness import FAR, LOGIN, TIME, Harness, body_of, cloudevent
from worker.ledger import Wish
from worker.vault.vault import Vault

OLD, NEW, LOST = bytes(range(32)), bytes(range(1, 33)), bytes(range(2, 34))
GUID = "11111111-2222-4333-8444-555555555555"


def sealed(vault: Vault, login_id: str = LOGIN, *, key: int = 0) -> str:
    return vault.public_keys[key].seal(login_id)


def test_a_sealed_login_is_the_same_login_as_in_clear(harness: Harness, vault: Vault) -> None:
    assert harness.intake.accept_bodies([body_of(cloudevent())])
    assert harness.intake.accept_bodies(
        [body_of(cloudevent(data={"sealedLoginId": sealed(vault), "instance": "toolbox"}))]
    )
    assert harness.celery(sealed_login_id=sealed(vault), occurred_at=TIME)

    opened = {(wish.reference, vault.open_login(wish.reference, wish.sealed)) for wish in harness.ledger.wishes}
    assert opened == {(vault.reference("toolbox", LOGIN), LOGIN)}
    assert len(harness.ledger.wishes) == 3


def test_an_event_sealed_to_an_older_key_is_opened() -> None:
    harness = Harness(Vault([NEW, OLD]))
    assert harness.celery(sealed_login_id=sealed(Vault([OLD])), occurred_at=TIME)


def test_an_id_made_of_the_sealed_login_is_masked(harness: Harness, vault: Vault) -> None:
    event = cloudevent(id=f"link-{LOGIN}", subject=LOGIN.upper(), data={"sealedLoginId": sealed(vault)})
    assert harness.intake.accept_bodies([body_of(event)])
    wish: Wish = harness.wish
    assert wish.event_id.startswith("masked-")
    assert (wish.account_id or "").startswith("masked-")


def test_an_event_sealed_to_a_missing_key_is_kept_until_workers_have_the_key() -> None:
    harness, lost = Harness(Vault([NEW, OLD])), Vault([LOST])
    harness.letters.at_most = 0
    event = cloudevent(id="evt-7", data={"sealedLoginId": sealed(lost)})
    assert not harness.intake.accept_bodies([body_of(event)])

    (letter,) = harness.letters.kept
    key_id = lost.public_keys[0].id
    assert (letter.code, letter.event_id) == ("unknown_key", "evt-7")
    assert letter.reason == f"sealedLoginId: is sealed to key {key_id}, which LOGIN_KEYS lacks"
    harness.intake._vault = Vault([LOST, NEW, OLD])
    assert harness.replay()
    assert harness.wish.reference == harness.vault.reference("toolbox", LOGIN)


@pytest.mark.parametrize(("event_id", "is_shown"), [("evt-7", True), (GUID, False), (f"e-{GUID.upper()}", False)])
def test_without_the_login_an_id_with_any_guid_is_masked(event_id: str, is_shown: bool) -> None:  # noqa: FBT001
    harness = Harness(Vault([NEW]))
    assert not harness.celery(sealed_login_id=sealed(Vault([LOST])), occurred_at=TIME, event_id=event_id)
    assert (harness.letters.kept[0].event_id == event_id) is is_shown
    assert harness.letters.kept[0].event_id.startswith("masked-") is not is_shown


@pytest.mark.parametrize(
    ("login_id", "reason"),
    [
        ("a\nb", "sealedLoginId, opened: holds a character that is not printable"),
        (" a", "sealedLoginId, opened: begins or ends with a space"),
        ("x" * 257, "sealedLoginId, opened: string should have at most 256 characters"),
    ],
)
def test_an_unsealed_login_is_validated_by_the_same_rule(
    harness: Harness, vault: Vault, login_id: str, reason: str
) -> None:
    assert not harness.celery(sealed_login_id=sealed(vault, login_id), occurred_at=TIME)
    assert harness.reasons == [("invalid_event", reason)]


def test_an_altered_sealed_login_is_rejected_with_its_reason(harness: Harness, vault: Vault) -> None:
    text = sealed(vault)
    altered = text[:30] + ("A" if text[30] != "A" else "B") + text[31:]
    assert not harness.intake.accept_bodies([body_of(cloudevent(data={"sealedLoginId": altered}))])
    reason = "sealedLoginId: cannot be opened; it was altered, or is not sealed to the key that it names"
    assert harness.reasons == [("invalid_event", reason)]


def test_where_sealing_is_required_a_login_in_clear_is_kept_for_review(vault: Vault) -> None:
    harness = Harness(vault, require_sealed=True)
    assert not harness.intake.accept_bodies([body_of(cloudevent())])
    assert not harness.celery(login_id=LOGIN, occurred_at=TIME, event_id=f"e-{LOGIN}")
    reason = "loginId: must be sealed to the key of `nightly keys public`, as REQUIRE_SEALED is set"
    assert harness.reasons == [("invalid_event", reason)] * 2
    assert harness.letters.kept[0].event_id == "evt-1"
    assert harness.letters.kept[1].event_id.startswith("masked-")
    assert LOGIN not in harness.readable()
    assert harness.celery(sealed_login_id=sealed(vault), occurred_at=TIME)


def test_a_rejection_after_unsealing_names_its_event(harness: Harness, vault: Vault) -> None:
    data = {"sealedLoginId": sealed(vault)}
    late, elsewhere = cloudevent(time=FAR, id="late", data=data), cloudevent(id="else", data={**data, "instance": "eu"})
    assert not harness.intake.accept_bodies([body_of([late, elsewhere])])
    assert {(letter.code, letter.event_id) for letter in harness.letters.kept} == {
        ("invalid_event", "late"),
        ("unknown_instance", "else"),
    }

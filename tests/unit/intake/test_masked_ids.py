"""An event id, source or account id that holds the loginId, in any spelling, is masked."""

import pytest

from tests.spellings import ENCODINGS
from tests.unit.intake.harness import KWARGS, LOGIN, TIME, Harness, body_of, cloudevent
from worker.vault.vault import Vault


@pytest.mark.parametrize(
    "text", [LOGIN, LOGIN.upper(), f"linked:{LOGIN}:1", LOGIN.replace("-", ""), f"x{LOGIN.replace('-', '_').upper()}x"]
)
def test_an_id_that_holds_the_login_is_masked_in_every_spelling(harness: Harness, text: str) -> None:
    assert harness.celery(**(KWARGS | {"event_id": text, "account_id": text}))
    assert harness.wish.event_id.startswith("masked-")
    assert harness.wish.account_id == harness.wish.event_id
    assert LOGIN[:8] not in harness.readable().lower()


@pytest.mark.parametrize("login", [LOGIN, "jo+anne@bank:42"])
@pytest.mark.parametrize("encoding", sorted(ENCODINGS))
def test_an_id_that_holds_the_login_in_another_encoding_is_masked(harness: Harness, login: str, encoding: str) -> None:
    """Percent-encoded or in base64, it was stored and shown."""
    spelt = ENCODINGS[encoding](login)
    assert harness.celery(login_id=login, occurred_at=TIME, event_id=f"link-{spelt}", account_id=f"acct/{spelt}")
    assert harness.wish.event_id.startswith("masked-")
    assert harness.wish.account_id is not None
    assert harness.wish.account_id.startswith("masked-")


def test_an_id_that_looks_like_a_token_is_masked_and_ordinary_ones_are_not(harness: Harness) -> None:
    token = "kQ3vZ8sXb1TnR5yWm2LhC7dJf0GpUaEe"
    assert harness.celery(login_id=LOGIN, occurred_at=TIME, event_id=f"link-{token}", account_id="cust-42")
    assert harness.wish.event_id.startswith("masked-")
    assert harness.wish.account_id == "cust-42"


def test_a_duplicate_gets_the_same_masked_id(harness: Harness) -> None:
    for event_id in (f"a-{LOGIN}", f"a-{LOGIN}", f"b-{LOGIN}"):
        harness.celery(**(KWARGS | {"event_id": event_id}))
    one, again, other = (wish.event_id for wish in harness.ledger.wishes)
    assert one == again != other


def test_an_opaque_login_is_masked_in_any_case(harness: Harness) -> None:
    assert harness.celery(login_id="StraßenToken", occurred_at=TIME, event_id="id-STRASSENTOKEN")
    assert harness.wish.event_id.startswith("masked-")


@pytest.mark.parametrize(
    "login",
    [{"data": {"loginID": LOGIN}}, {"data": {"loginId": [LOGIN]}}, {"data": LOGIN}, {"data": {"card": LOGIN}}],
    ids=["misspelt", "in an array", "as data", "under another name"],
)
def test_the_login_of_a_rejected_event_is_masked_in_its_id_source_and_account(
    harness: Harness, login: dict[str, object]
) -> None:
    spelt = f"x-{LOGIN.upper()}"
    harness.intake.accept_bodies([body_of(cloudevent(id=spelt, source=spelt, subject=spelt, time="now", **login))])
    (message,) = harness.letters.kept
    assert {message.event_id, message.event_source, message.account_id} == {message.event_id}
    assert message.event_id.startswith("masked-")


def test_a_sealed_login_is_masked_in_the_id_of_a_rejected_event(harness: Harness) -> None:
    sealed = harness.vault.public_keys[0].seal("jo+anne@bank:42")
    foreign = Vault([b"f" * 32]).public_keys[0].seal("another")
    for event_id, box in (("link-jo+anne@bank:42", sealed), ("evt-2", sealed), (f"x-{LOGIN}", foreign)):
        document = cloudevent(id=event_id, time="yesterday", data={"sealedLoginId": box})
        harness.intake.accept_bodies([body_of(document)])
    first, second, third = (message.event_id for message in harness.letters.kept)
    assert (first[:7], second, third[:7]) == ("masked-", "evt-2", "masked-")

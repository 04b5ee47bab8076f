"""Seals are counted by key, and a key that was used often gives notice once."""

import pytest
from redis import Redis

from tests.integration.ledger.conftest import INSTANCE, Clock, Start
from worker.backfill.feeder import Feeder
from worker.intake.accept import body_context
from worker.ledger import Ledger, Letters, Message, Wish
from worker.ledger.queries import Views
from worker.vault.vault import Vault

KEYS = [bytes([1]) * 32, bytes([2]) * 32]
SEALS = "nightly:seals"


def sealed_wish(vault: Vault, login: str, occurred_us: int) -> Wish:
    reference = vault.reference(INSTANCE, login)
    return Wish(
        reference,
        INSTANCE,
        vault.seal_login(reference, login),
        occurred_us,
        wants_active=True,
        event_id=f"evt-{occurred_us}",
    )


@pytest.fixture
def vault() -> Vault:
    return Vault(KEYS)


def test_the_seals_of_events_rows_chunks_and_letters_are_counted_under_the_newest_key(
    ledger: Ledger, vault: Vault, redis_client: Redis, clock: Clock, start: Start, feeder: Feeder
) -> None:
    views, (newest, _) = Views(redis_client), vault.key_ids
    ledger.record([sealed_wish(vault, f"login-{at}", 1_000_000) for at in range(3)])
    assert views.seals() == {newest: 3}

    start([f"row-{at}" for at in range(4)])
    assert views.seals() == {newest: 4}, "one for a chunk"
    feeder.feed()
    assert views.seals() == {newest: 8}, "one for each row"

    bodies = [
        Message(f"iv-{at}", "invalid_event", "", "stream", 1, vault.seal(body_context("x"), b"x")) for at in (1, 2)
    ]
    stays_elsewhere = Message("iv-3", "invalid_event", "", "stream", 1)
    Letters(redis_client, now_ms=clock).keep_rejected([bodies[0], stays_elsewhere, bodies[1]])
    assert views.seals() == {newest: 10}

    ledger.record([sealed_wish(Vault(KEYS[::-1]), "login-1", 2_000_000)])
    assert views.seals() == {newest: 10, vault.key_ids[1]: 1}


def test_a_key_at_a_quarter_of_its_limit_gives_notice_once(ledger: Ledger, vault: Vault, redis_client: Redis) -> None:
    newest = vault.key_ids[0]
    redis_client.hset(SEALS, newest, 2**30 - 2)
    for round_ in range(3):
        ledger.record([sealed_wish(vault, f"login-{at}", 1_000_000 + round_) for at in range(2)])
    (notice,) = ledger.pulse({}, worker="a", slots=2).notices
    assert (notice.kind, notice.parts) == ("seals", [newest, str(2**30)])

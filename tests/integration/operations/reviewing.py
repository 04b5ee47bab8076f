"""Dead letters of logins and of rejected messages on a real Redis, and everything that may act on them."""

import json
from typing import Any

from redis import Redis

from tests import ledger_calls
from tests.integration.ledger.conftest import Clock
from worker.events.contract import Requirements
from worker.intake.accept import Intake
from worker.ledger import Claim, Ledger, Letters, Wish
from worker.ledger.audit import Actor, AuditLog
from worker.ledger.dead_letters import Letter
from worker.operations.letter_actions import LetterActions
from worker.vault.vault import Vault

INSTANCE = "toolbox"
ANN, BOB = Actor("ann", "operator", "page", "192.0.2.7"), Actor("bob", "operator", "api")
LOGIN, RIGHT = "0f8fad5b-d9cb-469f-a165-70867728950e", "0f8fad5b-d9cb-469f-a165-70867728950f"
FIRST_US = 1_600_000_000_000_000


class Review:
    """A ledger with a clock, and the actions of people on it."""

    def __init__(self, client: Redis, vault: Vault) -> None:
        self.redis, self.vault, self.clock = client, vault, Clock()
        client.hset(f"nightly:configs:{INSTANCE}", "proven-one", "proven")
        self.ledger, self.letters = Ledger(client, now_ms=self.clock), Letters(client, now_ms=self.clock)
        requirements = Requirements(max_ahead_seconds=3600, instances=frozenset({INSTANCE}))
        self.intake = Intake(self.ledger, self.letters, vault, requirements=requirements, default_instance=INSTANCE)
        self.actions = LetterActions(client, vault=vault, intake=self.intake, now_ms=self.clock)
        self.without_keys = LetterActions(client, now_ms=self.clock)
        self.audit = AuditLog(client, now_ms=self.clock)

    def reference(self, login_id: str = LOGIN) -> str:
        return self.vault.reference(INSTANCE, login_id)

    def wish(self, login_id: str = LOGIN, *, on: bool = True, minute: int = 0, event_id: str = "evt-1") -> None:
        reference, occurred_us = self.reference(login_id), FIRST_US + minute * 60_000_000
        sealed = self.vault.seal_login(reference, login_id)
        self.ledger.record([Wish(reference, INSTANCE, sealed, occurred_us, on, event_id, "cust-42")])

    def claim(self) -> Claim:
        self.clock.ms += 1000
        terms: dict[str, Any] = {"at_most": 1, "owner": "owner", "worker": "w", "lease_seconds": 15}
        terms |= {"settle_seconds": 0, "calls_per_second": 50, "max_in_flight": 64, "fingerprint": "proven-one"}
        (claim,) = ledger_calls.claim(self.ledger, INSTANCE, **terms).claims
        return claim

    def settle(self, claim: Claim, outcome: str, **fields: Any) -> None:
        terms: dict[str, Any] = {"owner": "owner", "fingerprint": "proven-one", "calls_per_second": 50}
        ledger_calls.settle(self.ledger, INSTANCE, [ledger_calls.ended(claim, outcome, **fields)], **terms)

    def dead(self, login_id: str = LOGIN, *, code: str = "INVALID_LOGIN", **about: Any) -> Letter:
        """Return the open letter of a login whose wish Flinks refuses."""
        self.wish(login_id, **about)
        self.settle(self.claim(), "dead", code=code, attempt='[1,1,true,0.1,"dead"]')
        (letter,) = [each for each in ledger_calls.list_letters(self.letters) if each.login == self.reference(login_id)]
        return letter

    def rejected(self, *documents: dict[str, Any]) -> Letter:
        """Return the open letter of a stream entry with these events."""
        body = json.dumps(documents[0] if len(documents) == 1 else documents).encode()
        assert not self.intake.accept_bodies([body])
        (letter,) = [each for each in ledger_calls.list_letters(self.letters) if each.kind == "message"]
        return letter

    def tally(self) -> dict[str, int]:
        return {name.decode(): int(value) for name, value in self.redis.hgetall(f"nightly:tally:{INSTANCE}").items()}

    def everything(self) -> dict[bytes, Any]:
        """Return what Redis holds."""
        readers = {
            b"string": self.redis.get,
            b"hash": self.redis.hgetall,
            b"list": lambda key: self.redis.lrange(key, 0, -1),
            b"set": self.redis.smembers,
            b"zset": lambda key: self.redis.zrange(key, 0, -1, withscores=True),
        }
        return {key: readers[self.redis.type(key)](key) for key in self.redis.scan_iter()}


def event(login_id: str = LOGIN, **changes: Any) -> dict[str, Any]:
    document = {"specversion": "1.0", "id": "evt-9", "source": "crm", "type": "account.linked"}
    document |= {"time": "2020-11-22T10:00:00Z", "subject": "cust-42", "data": {"loginId": login_id}}
    return document | changes

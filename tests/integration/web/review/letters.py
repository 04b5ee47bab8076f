"""Real dead letters for tests of pages: a login whose call failed for good, and a message that was rejected."""

import json
import re
from collections.abc import Mapping
from typing import Any

from redis import Redis

from tests import ledger_calls
from tests.review_page import Page, signed_in
from worker.intake.accept import body_context
from worker.ledger import Kept, Ledger, Letters, Message, Settlement, Wish
from worker.ledger.audit import AuditLog
from worker.ledger.history import attempt_text
from worker.vault.vault import Vault

INSTANCE = "toolbox"
LOGIN_ID = "5b1f3d1e-8a34-4c62-9d2e-000000000001"
MESSAGE = "No login matches the id ***"
TERMS: dict[str, Any] = {
    "at_most": 10,
    "owner": "owner",
    "worker": "worker",
    "lease_seconds": 15,
    "settle_seconds": 0,
    "calls_per_second": 1000,
    "max_in_flight": 64,
    "fingerprint": "one",
}


def file_login(
    client: Redis,
    vault: Vault,
    *,
    login_id: str = LOGIN_ID,
    is_on: bool = False,
    code: str = "INVALID_LOGIN",
    **changes: Any,
) -> str:
    """Record an event, fail its call for good, and return the reference of its login. Its letter is the newest one."""
    client.hset(f"nightly:configs:{INSTANCE}", "one", "proven")
    ledger, reference = Ledger(client), vault.reference(INSTANCE, login_id)
    sealed = vault.seal_login(reference, login_id)
    about: dict[str, Any] = {"event_id": "evt-1", "account_id": "cust-42"} | changes
    ledger.record([Wish(reference, INSTANCE, sealed, 1_600_000_000_000_000, is_on, **about)])
    (claim,) = ledger_calls.claim(ledger, INSTANCE, **TERMS).claims
    attempt = attempt_text(
        at=1_700_000_000_000, outcome="dead", code=code, http_status=400, message=MESSAGE, wish=is_on
    )
    failed = Settlement(claim, "dead", code=code, http_status=400, message=MESSAGE, attempt=attempt)
    ledger_calls.settle(
        ledger, INSTANCE, [failed], owner="owner", fingerprint="one", worker="worker", calls_per_second=1000
    )
    return reference


def newest_letter(client: Redis) -> str:
    """Return the id of the open letter that was filed last."""
    (letter_id,) = client.zrevrange("nightly:letters:open", 0, 0)
    return str(letter_id.decode())


def file_message(client: Redis, vault: Vault, event: Mapping[str, Any], letter_id: str = "iv-1", **about: Any) -> str:
    """Keep a rejected message; returns the id of its letter."""
    body = json.dumps(event).encode()
    fields: dict[str, Any] = {"reason": "time: is missing", "source": "stream", "size": len(body)} | about
    sealed = vault.seal(body_context(letter_id), body)
    message = Message(letter_id, "invalid_event", sealed_body=sealed, **fields)
    assert Letters(client).keep_rejected([message]) in ([Kept.FIRST], [Kept.KEPT])
    return letter_id


def an_event(**changes: Any) -> dict[str, Any]:
    """Return a valid CloudEvent."""
    event = {
        "specversion": "1.0",
        "id": "evt-9",
        "source": "/billing",
        "type": "account.linked",
        "time": "2026-11-22T10:00:00Z",
        "data": {"loginId": LOGIN_ID, "instance": INSTANCE},
    }
    return event | changes


_VERSION = re.compile(r'name="version" value="(\d+)"')


class Opened:
    """A letter of a login in the browser of a person."""

    def __init__(self, client: Redis, vault: Vault, role: str = "operator", **about: Any) -> None:
        self.reference = file_login(client, vault, **about)
        self.letter_id = newest_letter(client)
        self.page: Page = signed_in(client, role, vault=vault)
        self.text = self.page.get(f"/letters/{self.letter_id}").text
        self._letters, self.audit = Letters(client), AuditLog(client)

    def act(self, verb: str, **fields: str) -> Any:
        """Send a form of the page with the version that it has."""
        version = _VERSION.search(self.text)
        fields = {"version": version[1] if version else "", "next": "/letters?code=INVALID_LOGIN"} | fields
        return self.page.send(f"/letters/{self.letter_id}/{verb}", **fields)

    @property
    def letter(self) -> Any:
        """Return the letter as it is now."""
        return self._letters.get(self.letter_id)

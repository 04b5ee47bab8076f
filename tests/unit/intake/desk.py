"""An intake over a ledger and letters that remember."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, cast

from worker.intake import BODY_CONTEXT, Intake, Rejected
from worker.ledger import Ledger, Letters, Recorded, Wish
from worker.seal import Vault

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


def cloudevent(**changes: Any) -> dict[str, Any]:
    event = {"specversion": "1.0", "id": "evt-1", "source": "crm", "type": "account.linked", "time": TIME}
    return event | {"data": {"loginId": LOGIN}} | changes


def body_of(document: object) -> bytes:
    return json.dumps(document).encode()

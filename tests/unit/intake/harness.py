"""An intake over a ledger and dead letters in memory."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, cast

from worker.events.contract import Requirements
from worker.intake.accept import Intake, Rejected, body_context
from worker.intake.messages import CeleryMessage
from worker.ledger import Kept, Ledger, Letters, Message, Recorded, Wish
from worker.operations.rejected_messages import FieldReason, judge_body
from worker.vault.vault import Vault

LOGIN = "5e115eab-0000-4000-8000-00000c0ffee1"
TIME = "2026-11-22T10:00:00Z"
KWARGS = {"login_id": LOGIN, "occurred_at": TIME, "event_id": "evt-1"}
FAR = "2099-01-01T00:00:00Z"


class FakeLedger:
    """Records every wish, except those dated 2099, which are ahead of time."""

    def __init__(self) -> None:
        self.wishes: list[Wish] = []
        self.replicas: list[int] = []

    def record(self, wishes: Sequence[Wish], *, furthest_ahead_seconds: float, replicas: int) -> list[Recorded]:
        self.replicas.append(replicas)
        assert furthest_ahead_seconds == 3600
        results = [Recorded.AHEAD if _is_ahead(wish) else Recorded.RECORDED for wish in wishes]
        self.wishes += [wish for wish, result in zip(wishes, results, strict=True) if result is Recorded.RECORDED]
        return results

    def now_ms(self) -> int:
        return int(datetime(2026, 11, 22, 10, tzinfo=UTC).timestamp() * 1000)


def _is_ahead(wish: Wish) -> bool:
    return wish.occurred_us >= datetime(2099, 1, 1, tzinfo=UTC).timestamp() * 1e6


class FakeLetters:
    """Keeps rejected messages, up to a limit."""

    def __init__(self) -> None:
        self.kept: list[Message] = []
        self.calls: list[int] = []
        self.at_most = 100_000

    def keep_rejected(self, messages: Sequence[Message], *, replicas: int) -> list[Kept]:
        assert replicas == 0
        self.calls.append(len(messages))
        return [self._keep(message) for message in messages]

    def _keep(self, message: Message) -> Kept:
        if len(self.kept) >= self.at_most and not message.must_keep:
            return Kept.UNKEPT
        self.kept.append(message)
        return Kept.FIRST if len(self.kept) == 1 else Kept.KEPT


class Harness:
    """An intake and the results of its messages."""

    def __init__(self, vault: Vault, *, require_sealed: bool = False) -> None:
        self.vault, self.ledger, self.letters = vault, FakeLedger(), FakeLetters()
        self.reported: list[Rejected] = []
        self.why: list[FieldReason] = []
        self.intake = Intake(
            cast("Ledger", self.ledger),
            cast("Letters", self.letters),
            vault,
            requirements=Requirements(
                max_ahead_seconds=3600, instances=frozenset({"toolbox", "acme-us"}), require_sealed=require_sealed
            ),
            default_instance="toolbox",
            on_rejected=self.reported.append,
        )

    def celery(self, *args: object, task_id: str = "task-1", **kwargs: object) -> bool:
        return self.intake.accept_messages([CeleryMessage("account.linked", args, kwargs, task_id)])

    def replay(self) -> bool:
        """Judge the first kept body again, and record its events; returns whether all are valid."""
        judged = judge_body(self.intake, self.bodies()[0])
        self.ledger.wishes += judged.wishes
        self.why = judged.reasons
        return not judged.invalid

    @property
    def wish(self) -> Wish:
        (wish,) = self.ledger.wishes
        return wish

    @property
    def reasons(self) -> list[tuple[str, str]]:
        return [(message.code, message.reason) for message in self.letters.kept]

    def bodies(self) -> list[bytes]:
        return [self.vault.open(body_context(message.id), message.sealed_body) for message in self.letters.kept]

    def readable(self) -> str:
        return repr((self.ledger.wishes, self.letters.kept, self.reported))  # their repr shows no sealed value


def cloudevent(**changes: Any) -> dict[str, Any]:
    event = {"specversion": "1.0", "id": "evt-1", "source": "crm", "type": "account.linked", "time": TIME}
    return event | {"data": {"loginId": LOGIN}} | changes


def body_of(document: object) -> bytes:
    return json.dumps(document).encode()

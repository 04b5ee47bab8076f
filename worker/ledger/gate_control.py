"""Opens and closes the gate of an instance by hand. Each change is an entry in the audit log."""

from collections.abc import Callable

from worker.config.gate_thresholds import DEFAULT_RULES, GateRules
from worker.errors import OutOfDate
from worker.ledger.audit import Actor, AuditLog, Deed
from worker.ledger.scripts import Scripts
from worker.redis_client.connect import BytesRedis
from worker.telemetry.scrub import scrub_text


class GateKeeper:
    """Opens and closes gates for a person; the scripts do it for all other causes.

    `version` is the `changed_at` of the gate that the person saw (`Views.gate`), 0 for one that never changed. If the
    gate has changed since, nothing is done and OutOfDate is raised. Both methods also raise AuditBusy.
    """

    def __init__(
        self, client: BytesRedis, rules: GateRules = DEFAULT_RULES, *, now_ms: Callable[[], int] | None = None
    ) -> None:
        self._scripts = Scripts(client)
        self._audit = AuditLog(client, now_ms=now_ms)
        self._rules = rules
        self._now_ms = now_ms

    def open(self, instance: str, *, by: Actor, reason: str = "", version: int | None = None) -> None:
        """Open the gate, forget which configurations were refused (each may try one call again), and end a pause.

        After a storm it confirms that those logins are invalid; only a run four times as long closes the gate again.
        """
        self._turn(instance, "open", Deed(by, "gate.open", instance, reason), version)

    def close(self, instance: str, *, by: Actor, reason: str, version: int | None = None) -> None:
        """Close the gate: no call is made until a person opens it. Events are still recorded."""
        self._turn(instance, "closed", Deed(by, "gate.close", instance, reason), version)

    def _turn(self, instance: str, state: str, deed: Deed, version: int | None) -> None:
        now, seen = self._now_ms() if self._now_ms else "", "" if version is None else version
        args = (now, instance, state, deed.by.name, scrub_text(deed.why), self._rules.storm_logins, seen)
        if self._audit.perform(deed, lambda audit: self._scripts.run("set_gate", *args, *audit)) == b"changed":
            raise OutOfDate(f"The gate of {instance} has changed since you looked at it. Nothing was done.")

"""Opens and closes the gate of an instance by hand."""

from collections.abc import Callable

from worker.config.gate_thresholds import DEFAULT_RULES, GateRules
from worker.ledger.scripts import Scripts
from worker.redis_client.connect import BytesRedis


class GateKeeper:
    """Opens and closes gates for a person; the scripts do it for all other causes."""

    def __init__(
        self, client: BytesRedis, rules: GateRules = DEFAULT_RULES, *, now_ms: Callable[[], int] | None = None
    ) -> None:
        self._scripts = Scripts(client)
        self._rules = rules
        self._now_ms = now_ms

    def open(self, instance: str, *, by: str) -> None:
        """Open the gate, forget which configurations were refused (each may try one call again), and end a pause.

        After a storm it confirms that those logins are invalid; only a run four times as long closes the gate again.
        """
        self._turn(instance, "open", by, "")

    def close(self, instance: str, *, by: str, reason: str) -> None:
        """Close the gate: no call is made until a person opens it. Events are still recorded."""
        self._turn(instance, "closed", by, reason)

    def _turn(self, instance: str, state: str, by: str, why: str) -> None:
        now = self._now_ms() if self._now_ms else ""
        self._scripts.run("set_gate", now, instance, state, by, why, self._rules.storm_logins)

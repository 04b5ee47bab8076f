"""What a person may do to an instance's gate: close it, or open it again."""

from collections.abc import Callable

from worker.config.gate_thresholds import DEFAULT_RULES, GateRules
from worker.ledger.scripts import Scripts
from worker.redis_client.connect import BytesRedis


class GateKeeper:
    """Opens and closes gates by hand; the scripts do the rest."""

    def __init__(
        self, client: BytesRedis, rules: GateRules = DEFAULT_RULES, *, now_ms: Callable[[], int] | None = None
    ) -> None:
        self._scripts = Scripts(client)
        self._rules = rules
        self._now_ms = now_ms

    def open(self, instance: str, *, by: str) -> None:
        """Open the gate, forget which configurations were refused (each may try one call again), and end a pause.

        After a storm it confirms that those logins are refused rightly; a run four times as long closes it again.
        """
        self._turn(instance, "open", by, "")

    def close(self, instance: str, *, by: str, reason: str) -> None:
        """Close the gate: no call is made until it is opened by hand. Events are recorded as ever."""
        self._turn(instance, "closed", by, reason)

    def _turn(self, instance: str, state: str, by: str, why: str) -> None:
        now = self._now_ms() if self._now_ms else ""
        self._scripts.run("set_gate", now, instance, state, by, why, self._rules.storm_logins)

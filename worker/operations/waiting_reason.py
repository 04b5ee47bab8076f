"""Says why the newest wish of a login is not applied yet. Does no I/O."""

from collections.abc import Mapping, Sequence
from typing import Any

from worker.operations.advice import gate_advice, gate_reason
from worker.words import ago, plain, span, when


def waiting_reason(
    login: Mapping[str, Any], gate: Mapping[str, Any], workers: Sequence[Any], now_ms: int, *, on_page: bool = False
) -> str:
    """Return why the newest wish is not applied yet, in one sentence; empty if nothing waits.

    `login` and `gate` are those of `Views`; `workers` are the live ones; `on_page` is as for `gate_advice`.
    """
    if login["state"] == "in_flight":
        return f"a worker calls Flinks right now; its lease ends {ago(login['lease_until'], now_ms)}"
    if login["state"] != "waiting" or login["due_at"] is None:
        return ""
    if gate["state"] != "open":
        name = plain(login["instance"])
        return f"the gate of {name} is closed. {gate_reason(gate)}. {gate_advice(name, gate, on_page=on_page)}"
    return _not_due_yet(login, now_ms) if login["due_at"] > now_ms else _due(login["due_at"], workers, now_ms)


def _not_due_yet(login: Mapping[str, Any], now_ms: int) -> str:
    code, due_at = plain(login["last_code"]), login["due_at"]
    moment = f"{ago(due_at, now_ms)}, at {when(due_at)} UTC"
    if (login["rests_until"] or 0) > now_ms:
        return f"a call without an answer ({code}) may still take effect; the wish is asserted again {moment}"
    failures = f", attempt {login['failures']}" if login["failures"] else ""
    return f"the last answer was {code}{failures}; the next attempt is {moment}"


def _due(due_at: int, workers: Sequence[Any], now_ms: int) -> str:
    waiting = f"due for {span((now_ms - due_at) / 1000)}"
    return f"{waiting}, queued" if workers else f"{waiting}, and no worker is alive. Start: celery -A worker worker"

"""The typed client of the control API, for tests and the demo."""

from collections.abc import Iterable, Mapping
from contextlib import closing
from http import HTTPStatus
from http.client import HTTPConnection
from typing import Any, Self
from urllib.parse import urlsplit

from pydantic import TypeAdapter
from pydantic_core import from_json, to_json

from sandbox.emulator.calls import Call, CallPage, Stats
from sandbox.emulator.faults import FaultReport
from sandbox.emulator.knobs import Knob
from sandbox.emulator.state import State

_STATE: TypeAdapter[State] = TypeAdapter(State)
_STATS = TypeAdapter(Stats)
_PAGE = TypeAdapter(CallPage)
_FAULTS = TypeAdapter(list[FaultReport])


class EmulatorRefused(Exception):
    """The emulator refused a control request; the text gives the reason and the valid names."""


class EmulatorControl:
    """The control API at `base_url`, for example "http://127.0.0.1:8080"."""

    def __init__(self, base_url: str, *, timeout_seconds: float = 30) -> None:
        self.base_url = base_url
        self._address = urlsplit(base_url).netloc
        self._timeout_seconds = timeout_seconds

    def __enter__(self) -> Self:
        """Support `with` like other clients, though there is nothing to close."""
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def faults(self, *faults: Knob | Mapping[str, Any]) -> list[FaultReport]:
        """Set exactly these faults (none: remove all) and return them with their numbers."""
        return _FAULTS.validate_json(self._ask("PUT", "/faults", [_plain(fault) for fault in faults]))

    def add_faults(self, *faults: Knob | Mapping[str, Any]) -> list[FaultReport]:
        """Set further faults; return all."""
        return _FAULTS.validate_json(self._ask("POST", "/faults", [_plain(fault) for fault in faults]))

    def lift_fault(self, number: int) -> None:
        """Remove one fault."""
        self._ask("DELETE", f"/faults/{number}")

    def fault_reports(self) -> list[FaultReport]:
        """Return all faults and how often each fired."""
        return _FAULTS.validate_json(self._ask("GET", "/faults"))

    def state(self) -> State:
        """Return every flag ever written: customer id -> loginId -> Flag."""
        return _STATE.validate_json(self._ask("GET", "/state"))

    def stats(self) -> Stats:
        """Return every counter since the last reset."""
        return _STATS.validate_json(self._ask("GET", "/stats"))

    def calls(self, since: int = 0) -> list[Call]:
        """Return every kept call whose seq is above `since`, in order, page by page."""
        calls: list[Call] = []
        next_since: int | None = since
        while next_since is not None:
            page = _PAGE.validate_json(self._ask("GET", f"/calls?since={next_since}"))
            calls += page.calls
            next_since = page.next_since
        return calls

    def unknown_logins(self, *login_ids: str, customer_id: str | None = None) -> None:
        """Make exactly these logins unknown, for one customer or all."""
        self._ask("PUT", "/logins", {"unknown": list(login_ids), "customer_id": customer_id})

    def known_logins(self, login_ids: Iterable[str] | None, customer_id: str | None = None) -> None:
        """Make only these logins known; None: every login that is not unknown."""
        known = None if login_ids is None else list(login_ids)
        self._ask("PUT", "/logins", {"known": known, "customer_id": customer_id})

    def invalid_login_status(self, status: int) -> None:
        """Answer unknown logins with 400 or 401."""
        self._ask("PUT", "/logins", {"invalid_login_status": status})

    def accept_keys(self, *keys: str, customer_id: str | None = None) -> None:
        """Accept only these keys from now on; without arguments, any key."""
        self._ask("PUT", "/keys", {"keys": list(keys) or None, "customer_id": customer_id})

    def nightly_status(
        self,
        *cards: Mapping[str, str | None],
        customer_id: str | None = None,
        message: str | None = None,
        flinks_code: str | None = None,
    ) -> None:
        """Make GetNightlyRefreshStatus list these cards; a card needs only its LoginId."""
        order = {"cards": cards, "customer_id": customer_id, "message": message, "flinks_code": flinks_code}
        self._ask("PUT", "/nightly-status", order)

    def reset(self) -> None:
        """Forget everything since the start."""
        self._ask("POST", "/reset")

    def _ask(self, method: str, path: str, body: object = None) -> bytes:
        # One connection per request: there is nothing to close, and a restart of the emulator breaks none.
        with closing(HTTPConnection(self._address, timeout=self._timeout_seconds)) as connection:
            content = None if body is None else to_json(body)
            connection.request(method, f"/_emulator{path}", body=content, headers={"Connection": "close"})
            answer = connection.getresponse()
            received = answer.read()
        if answer.status < HTTPStatus.BAD_REQUEST:
            return received
        raise EmulatorRefused("; ".join(from_json(received)["errors"]))


def _plain(fault: Knob | Mapping[str, Any]) -> dict[str, Any]:
    return fault.model_dump(mode="json", exclude_unset=True) if isinstance(fault, Knob) else dict(fault)

"""`nightly emulator`: shows the emulated Flinks that `nightly run` started, and makes it fail.

The emulator knows loginIds; the output has references instead, except for a loginId that was given.
"""

from collections.abc import Collection
from datetime import UTC, datetime
from http.client import HTTPException
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer
from rich.text import Text

from sandbox.emulator.error_table import ERRORS
from sandbox.emulator.faults import FaultReport
from sandbox.emulator.knobs import KNOBS, ErrorAnswer
from sandbox.emulator.remote import EmulatorControl
from worker.cli.context import misuse
from worker.cli.output import NAME, console, listing, number, pairs, print_json, when
from worker.config.settings import Settings
from worker.config.validators import LOOPBACK_HOSTS
from worker.errors import EmbeddedStackError
from worker.flinks import protocol

SHOWN_LOGINS = 20
ALL_LOGINS = "all logins"
NO_EMULATOR = "start one with `nightly run`, in this folder"
CODES = (
    protocol.REJECTED_CODES
    | protocol.THROTTLED_CODES
    | protocol.TRANSIENT_CODES
    | protocol.END_USER_CODES
    | protocol.HALT_CODES
    | {protocol.RETRY_LATER}
)
OTHERS = sorted((KNOBS.keys() - ERRORS.keys()) | {"error_in_200", "unknown_code"})
"""The faults that are not just a FlinksCode."""
app = typer.Typer(
    help="Show the emulated Flinks of `nightly run`, and make it fail.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)
Logins = Annotated[list[str] | None, typer.Option("--login", help="A loginId; repeatable. [all logins]")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object.")]


class Emulated:
    """The emulator at FLINKS_BASE_URL, and names for its logins; raises EmbeddedStackError if there is none."""

    def __init__(self, given: Collection[str] = ()) -> None:
        settings = Settings.load()
        host = urlsplit(settings.flinks_base_url).hostname
        if not settings.sandbox or settings.login_keys is None or host not in LOOPBACK_HOSTS:
            raise EmbeddedStackError(f"No emulated Flinks is in the settings: {NO_EMULATOR}.")
        self.url, self._vault, self._given = settings.flinks_base_url, settings.vault(), frozenset(given)
        self._instances = {instance.customer_id.lower(): name for name, instance in settings.instances().items()}
        self._default = settings.flinks_instance
        self.control = EmulatorControl(self.url, timeout_seconds=5)
        try:
            self.faults = self.control.fault_reports()
        except (OSError, HTTPException):
            raise EmbeddedStackError(f"No emulated Flinks answers at {self.url}: {NO_EMULATOR}.") from None

    def instance(self, customer_id: str) -> str:
        """Return the instance of a customer."""
        return self._instances.get(customer_id, self._default)

    def name(self, login_id: str, customer_id: str = "") -> str:
        """Return the login's reference, or the loginId itself if it was given in this command."""
        return login_id if login_id in self._given else self._vault.reference(self.instance(customer_id), login_id)

    def describe(self, report: FaultReport) -> dict[str, Any]:
        """Return a fault as `--json` shows it."""
        fault = report.fault
        code = (fault.code or ERRORS[fault.knob][1]) if isinstance(fault, ErrorAnswer) else None
        return {
            "id": report.id,
            "fault": code or fault.knob,
            "logins": None if fault.logins is None else sorted(self.name(login) for login in fault.logins),
            "share": fault.probability,
            "calls_affected": report.fired,
        }

    def flags(self) -> list[dict[str, Any]]:
        """Return the flag of each login as `--json` shows it, the newest first; with given logins, only theirs."""
        found = [
            {
                "login": self.name(login_id, customer_id),
                "instance": self.instance(customer_id),
                "flag": "on" if flag.is_activated else "off",
                "writes": flag.writes,
                "written_at": _iso(flag.written_at),
            }
            for customer_id, logins in self.control.state().items()
            for login_id, flag in logins.items()
            if not self._given or login_id in self._given
        ]
        return sorted(found, key=lambda flag: str(flag["written_at"]), reverse=True)


@app.command(epilog="Examples: `nightly emulator show`, `nightly emulator show --login demo-1`")
def show(*, login: Logins = None, as_json: Json = False) -> None:
    """Show the faults that are set, the calls counted, and the flag of each login."""
    emulated = Emulated(login or ())
    stats = emulated.control.stats()
    faults, flags = [emulated.describe(report) for report in emulated.faults], emulated.flags()
    if as_json:
        counts = {"calls": stats.load.calls, "calls_by_status": stats.by_status, "overlaps": stats.overlaps}
        print_json([{"address": emulated.url, **counts, "faults": faults, "logins": flags}])
        return
    screen = console()
    statuses = ", ".join(f"{count:,} with {status}" for status, count in sorted(stats.by_status.items()))
    rows = [("address", emulated.url), ("calls", f"{number(stats.load.calls)}: {statuses}" if statuses else "none yet")]
    screen.print(Text("Emulated Flinks", NAME))
    screen.print(pairs(rows), soft_wrap=True)
    screen.print()
    for fault in faults:
        screen.print(f"  {_sentence(fault)}; calls so far: {number(fault['calls_affected'])}", soft_wrap=True)
    if not faults:
        screen.print("  No fault is set: every call succeeds.")
    if flags:
        table = listing("Login", "Instance", "Flag", "Writes", "Last (UTC)", right=("Writes",))
        for flag in flags[:SHOWN_LOGINS]:
            at_ms = datetime.fromisoformat(flag["written_at"]).timestamp() * 1000
            table.add_row(flag["login"], flag["instance"], flag["flag"], number(flag["writes"]), when(at_ms))
        screen.print()
        screen.print(table)
    if len(flags) > SHOWN_LOGINS:
        screen.print(f"... and {number(len(flags) - SHOWN_LOGINS)} logins more; --json lists all.")


@app.command(
    epilog="Examples: `nightly emulator fault INVALID_LOGIN --login demo-1`, `nightly emulator fault outage`, "
    "`nightly emulator fault RETRY_LATER --share 0.1`"
)
def fault(
    name: Annotated[str, typer.Argument(help="A FlinksCode, or another fault. A wrong name lists all.")],
    *,
    login: Logins = None,
    share: Annotated[float, typer.Option(help="Share of the calls, 0.1 for a tenth.", min=0, max=1)] = 1,
) -> None:
    """Make calls fail from now on, until `nightly emulator clear`. Of several faults, the first that applies wins."""
    parameters = parameters_of(name)
    if parameters is None:
        misuse(f"there is no fault {name!r}. FlinksCodes: {', '.join(sorted(CODES))}. Others: {', '.join(OTHERS)}")
    emulated = Emulated(login or ())
    added = emulated.control.add_faults({**parameters, "logins": login or None, "probability": share})[-1]
    console().print(f"{_sentence(emulated.describe(added))}, until `nightly emulator clear`.", soft_wrap=True)


@app.command(epilog="Example: `nightly emulator clear`")
def clear() -> None:
    """Remove every fault. Flags and counted calls stay."""
    emulated = Emulated()
    emulated.control.faults()
    console().print(f"Faults removed: {number(len(emulated.faults))}.")


def parameters_of(name: str) -> dict[str, Any] | None:
    """Return the fault of that name for the control API; None if there is none."""
    if name == "latency":
        return {"knob": name, "milliseconds": 1000}
    if name in KNOBS:
        return {"knob": name}
    code = name.upper()
    if code not in CODES:
        return None
    knob = next((knob for knob, (_, known, _) in ERRORS.items() if known == code), None)
    if knob is not None:
        return {"knob": knob}
    status = 202 if code in protocol.TAKEN_ON_CODES else 401  # the status of most codes that Flinks documents
    return {"knob": "flinks_error", "code": code, "status": status, "message": "A fault of the emulator."}


def _sentence(fault: dict[str, Any]) -> str:
    logins = ALL_LOGINS if fault["logins"] is None else ", ".join(fault["logins"])
    share = "all calls" if fault["share"] == 1 else f"{fault['share']:.0%} of the calls"
    return f"Fault {fault['id']}: {fault['fault']} for {share} of {logins}"


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

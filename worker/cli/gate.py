"""`nightly gate`: shows, closes and opens the gate of an instance. While it is closed, events wait for their calls."""

from typing import Annotated, Any

import typer
from rich.text import Text

from worker.cli.context import known_instances, operator, settings_and_client
from worker.cli.known import complete_instance, known_instance
from worker.cli.output import BAD, GOOD, console, listing, plain, print_json, when
from worker.ledger.gate_control import GateKeeper
from worker.ledger.queries import Views
from worker.operations.advice import gate_advice, gate_reason
from worker.operations.state_documents import Gate

app = typer.Typer(
    help="Show, close and open the gate of an instance. While it is closed, no call is made.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)
SHOWN_CHANGES = 20
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]
InstanceName = Annotated[
    str | None, typer.Argument(help="Flinks instance. [FLINKS_INSTANCE]", autocompletion=complete_instance)
]


@app.command(epilog="Example: `nightly gate show --json`")
def show(
    instance: Annotated[
        str | None, typer.Argument(help="Flinks instance. [all]", autocompletion=complete_instance)
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Show each gate: open or closed, why, and since when; for a named instance also the latest changes.

    Exit code 1 if a closed gate needs a person. In an outage it opens by itself, so it needs one only after 15 minutes.
    Half open: one call is in flight to test whether the outage is over.
    """
    settings, client = settings_and_client()
    views, names = Views(client), known_instances(settings, client)
    if instance is not None:
        names = [known_instance(settings, client, instance)]
    gates = {name: views.gate(name) for name in names}
    if as_json:
        changes = {name: views.gate_changes(name) if instance else None for name in names}
        print_json(Gate.of(gate, instance=name, changes=changes[name]) for name, gate in gates.items())
    else:
        table = listing("Instance", "Gate", "Since (UTC)", "Why, and what to do", fold=["Why, and what to do"])
        for name, gate in gates.items():
            is_closed = gate["state"] != "open"
            state = Text(gate["state"].replace("_", " ").upper(), BAD) if is_closed else Text("open", GOOD)
            why = f"{gate_reason(gate)}. {gate_advice(name, gate)}" if is_closed else gate.get("cause", "never closed")
            table.add_row(plain(name), state, when(gate["changed_at"]), plain(why))
        console().print(table)
        if instance is not None:
            _print_changes(views.gate_changes(instance, at_most=SHOWN_CHANGES))
    if any(gate["needs_action"] for gate in gates.values()):
        raise typer.Exit(1)


@app.command(epilog='Example: `nightly gate close --reason "Flinks maintenance until 14:00"`')
def close(
    instance: InstanceName = None,
    *,
    reason: Annotated[str, typer.Option(help="The reason; `gate show` prints it.")],
    as_json: AsJson = False,
) -> None:
    """Close the gate: no more calls until a person opens it. Events are still recorded."""
    name, gate, views = _one(instance)
    gate.close(name, by=operator(), reason=reason)
    result = f"is closed. Calls in flight end, events wait. Later: nightly gate open {plain(name)}"
    _print_result(name, views, result, as_json=as_json)


@app.command("open", epilog="Example: `nightly gate open toolbox`")
def open_(instance: InstanceName = None, *, as_json: AsJson = False) -> None:
    """Open the gate. A refused configuration may make one call; if that is refused too, the gate closes again."""
    name, gate, views = _one(instance)
    gate.open(name, by=operator())
    result = "is open. Workers make one call first; nightly status shows the result."
    _print_result(name, views, result, as_json=as_json)


def _print_result(name: str, views: Views, result: str, *, as_json: bool) -> None:
    if as_json:
        print_json([Gate.of(views.gate(name), instance=name)])
    else:
        console().print(f"The gate of {plain(name)} {result}")


def _print_changes(changes: list[dict[str, Any]]) -> None:
    table = listing("At (UTC)", "State", "By", "Why", fold=["Why"])
    for change in changes:
        why = " ".join(str(change[name]) for name in ("code", "http_status", "detail") if change.get(name))
        table.add_row(
            when(change["at"]), plain(change["state"]), plain(change.get("by") or change["cause"]), plain(why)
        )
    console().print(table if changes else "This gate never changed.")


def _one(instance: str | None) -> tuple[str, GateKeeper, Views]:
    settings, client = settings_and_client(to_change=True)
    name = known_instance(settings, client, instance or settings.flinks_instance)
    return name, GateKeeper(client, settings.gate_rules), Views(client)

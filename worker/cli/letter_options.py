"""The options that select dead letters, the same for each command, and the filter that they make."""

from typing import Annotated, Literal

import typer

from worker.cli.context import misuse
from worker.cli.known import check_filters, complete_code, complete_instance
from worker.config.settings import Settings
from worker.errors import InvalidFilter
from worker.ledger.letter_filter import LetterFilter
from worker.ledger.queries import Views
from worker.redis_client.connect import BytesRedis

State = Literal["open", "snoozed", "closed", "replayed", "resolved", "superseded", "corrected", "any"]
WishOf = Literal["on", "off", "none"]

Code = Annotated[str | None, typer.Option(help="This code, such as INVALID_LOGIN.", autocompletion=complete_code)]
Instance = Annotated[str | None, typer.Option(help="This Flinks instance.", autocompletion=complete_instance)]
Wish = Annotated[WishOf | None, typer.Option(help="This wish; none: rejected messages.")]
Source = Annotated[
    str | None, typer.Option(metavar="SOURCE", help="From `live` events, from any `backfill`, or from one, by its id.")
]
Owner = Annotated[str | None, typer.Option(metavar="NAME", help="Of this owner; - for letters without one.")]
InState = Annotated[State, typer.Option("--state", help="In this state; open ones that are snoozed are not `open`.")]
OlderThan = Annotated[
    str | None, typer.Option("--older-than", metavar="AGE", help="Filed before this age (90m, 24h, 7d) or time.")
]
NewerThan = Annotated[str | None, typer.Option("--newer-than", metavar="AGE", help="Filed since this age or time.")]
Attempts = Annotated[int | None, typer.Option(help="At least so many attempts.", min=1)]
Suspects = Annotated[bool, typer.Option("--suspects", help="Of a storm: a run of refusals that closed the gate.")]
NewerEvent = Annotated[bool, typer.Option("--newer-event", help="Of logins that have a newer event.")]
_OPTIONS = {"filed_after": "--newer-than", "filed_before": "--older-than"}


def letter_filter(
    settings: Settings,
    client: BytesRedis,
    *,
    code: str | None = None,
    instance: str | None = None,
    older_than: str | None = None,
    newer_than: str | None = None,
    attempts: int | None = None,
    suspects: bool = False,
    state: str = "open",
    newer_event: bool = False,
    **texts: str | None,
) -> LetterFilter:
    """Return the filter of these options, or exit with code 2. `texts`: wish, source, owner."""
    check_filters(settings, client, code=code if state in {"open", "snoozed"} else None, instance=instance)
    query = texts | {
        "code": code,
        "instance": instance,
        "filed_before": older_than,
        "filed_after": newer_than,
        "attempts_at_least": attempts and str(attempts),
        "only_suspects": suspects and "1",
        "newer_event": newer_event and "1",
        "state": state,
    }
    given = {name: value for name, value in query.items() if isinstance(value, str)}
    try:
        return LetterFilter.from_query(given, now_ms=Views(client).now_ms())
    except InvalidFilter as error:
        text = str(error)
        misuse(next((text.replace(name, option) for name, option in _OPTIONS.items() if name in text), text))

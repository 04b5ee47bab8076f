"""What handlers read from a request: the parts of the process, the person who acts, and the fields of a form."""

from datetime import UTC, datetime

from starlette.requests import Request

from worker.errors import NightlyError
from worker.ledger.audit import Actor
from worker.web.review.parts import Parts

LONGEST_NUMBER, LONGEST_TEXT = 15, 2000
"""Characters."""


class BadField(NightlyError):
    """A field of a form cannot be read. The message names the field, never its value."""


def parts_of(request: Request) -> Parts:
    """Return what the handlers work with."""
    parts: Parts = request.app.state.parts
    return parts


def actor_of(request: Request) -> Actor:
    """Return the person who acts, as the audit log names people."""
    actor: Actor = request.state.user.actor
    return actor


def sees_addresses(request: Request) -> bool:
    """Return whether the person may see from where colleagues acted: it is in the audit log, too."""
    return bool(request.state.user.may("operator"))


def text_of(request: Request, name: str) -> str:
    """Return a field of the form without white space around it; empty if it is missing."""
    return str(request.state.form.get(name, "")).strip()


def needed_text_of(request: Request, name: str, label: str) -> str:
    """Return a field that the form must have, `label` on the page; raises BadField if it is empty or too long."""
    text = text_of(request, name)
    if not text:
        raise BadField(f"{label} is empty. Nothing was done: go back, and fill it in.")
    if len(text) > LONGEST_TEXT:
        raise BadField(f"{label} has more than {LONGEST_TEXT:,} characters. Nothing was done.")
    return text


def number_in_address(request: Request, name: str) -> int | None:
    """Return a whole number of the query; None if it has none, or something else there."""
    text = request.query_params.get(name, "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= LONGEST_NUMBER else None


def number_of(request: Request, name: str) -> int | None:
    """Return a whole number of the form (None: the form has none); raises BadField."""
    text = text_of(request, name)
    if not text:
        return None
    if text.isascii() and text.isdecimal() and len(text) <= LONGEST_NUMBER:
        return int(text)
    raise BadField(f"The field {name} of the form is not a number. Nothing was done; open the page again.")


def rate_of(request: Request, name: str) -> float | None:
    """Return a rate of the form (None: it is empty); raises BadField."""
    text = text_of(request, name)
    try:
        return float(text) if text else None
    except ValueError:
        raise BadField("The rate is not a number, such as 20 or 0.5. Nothing was done.") from None


def moment_of(request: Request, name: str) -> int:
    """Return a date and time of the form, UTC if it names no zone, in milliseconds since 1970; raises BadField."""
    try:
        moment = datetime.fromisoformat(text_of(request, name))
        return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError):
        raise BadField("Give a date and a time, such as 2026-11-30 08:00. Nothing was done.") from None

"""Reads from a request who acts, and the fields of a form that an action needs."""

from starlette.requests import Request

from worker.errors import NightlyError
from worker.ledger.audit import Actor
from worker.web.review.identity import Person

TEXT_AT_MOST = 2000


def actor(request: Request) -> Actor:
    """Return the person who sent the request, as the audit log names people."""
    person: Person = request.state.user
    return Actor(person.name, person.role, person.via, person.address)


def text_of(request: Request, field: str, label: str) -> str:
    """Return a text that the form must have; raises NightlyError if it is empty or too long."""
    text = str(request.state.form.get(field, "")).strip()
    if not text:
        raise NightlyError(f"{label} is empty. Nothing was done: go back, and fill it in.")
    if len(text) > TEXT_AT_MOST:
        raise NightlyError(f"{label} has more than {TEXT_AT_MOST:,} characters. Nothing was done.")
    return text

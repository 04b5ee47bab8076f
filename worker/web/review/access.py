"""Finds out who a request is from. Blocks on Redis: run it in a thread."""

from collections.abc import Mapping
from dataclasses import dataclass

from starlette.requests import Request

from worker.ledger.sessions import SessionRecord, Sessions
from worker.web.review.cookies import SESSION, VISIT, Signing, new_id
from worker.web.review.identity import Person
from worker.web.review.password_sign_in import PasswordSignIn
from worker.web.review.users import User


@dataclass
class Access:
    """The ways in of one process, by the settings."""

    users: Mapping[str, User]
    signing: Signing
    sessions: Sessions
    passwords: PasswordSignIn
    others: tuple[str, ...] = ()
    """Ways in beside REVIEW_USERS."""

    @property
    def is_closed(self) -> bool:
        """Whether the settings let nobody in."""
        return not self.users and not self.others

    def identify(self, request: Request) -> Person | None:
        """Return the person, and set `session` (its secret id, or None) and `browser` in the request's state.

        Raises redis.RedisError.
        """
        state = request.state
        state.browser = self.signing.text_of(VISIT, request.cookies.get(VISIT, ""))
        state.session = session_id = self.signing.text_of(SESSION, request.cookies.get(SESSION, ""))
        if session_id is None:
            return None
        # Parts of a page that renew themselves would keep an abandoned session open.
        record = self.sessions.use(session_id, renews="hx-request" not in request.headers)
        person = self._person(record, request) if record else None
        if person:
            state.browser = session_id
        else:
            state.session = None
        return person

    def open_session(self, person: Person, entry: str) -> str:
        """Keep a new session for a person who has just signed in; returns its secret id."""
        session_id = new_id()
        self.sessions.open(session_id, SessionRecord(person.name, entry, person.how, person.role))
        return session_id

    def _person(self, record: SessionRecord, request: Request) -> Person | None:
        user = self.users.get(record.name)
        if user is None or user.entry != record.entry:
            return None
        return Person(user.name, user.role, address=address_of(request), how=record.how)


def address_of(request: Request) -> str:
    """Return the address of the client, as this process sees it."""
    return request.client.host if request.client else ""

"""Finds out who a request is from: a token (only for the API), the trusted proxy's header, or a session."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from starlette.requests import Request

from worker.ledger.sessions import SessionRecord, Sessions
from worker.telemetry.rare_line import RareLine
from worker.web.review.cookies import SESSION, VISIT, Signing, new_id
from worker.web.review.errors_shown import is_api
from worker.web.review.identity import Person
from worker.web.review.password_sign_in import PasswordSignIn
from worker.web.review.single_sign_on import SingleSignOn
from worker.web.review.tokens import holder_of
from worker.web.review.trusted_proxy import TrustedProxy
from worker.web.review.users import User


@dataclass
class Access:
    """The ways in of one process, by the settings."""

    users: Mapping[str, User]
    signing: Signing
    sessions: Sessions
    passwords: PasswordSignIn
    tokens: Mapping[str, Person] = field(default_factory=dict)
    proxy: TrustedProxy = field(default_factory=TrustedProxy)
    oidc: SingleSignOn | None = None
    """None without REVIEW_OIDC_ISSUER."""

    def __post_init__(self) -> None:
        """Prepare the log lines that outsiders can cause."""
        self._forged_line = RareLine("proxy_headers_ignored")
        self._token_line = RareLine("token_refused")

    @property
    def is_closed(self) -> bool:
        """Whether the settings let nobody in."""
        return not (self.users or self.tokens or self.proxy.user_header or self.oidc)

    def from_headers(self, request: Request) -> Person | None:
        """Return the person whom a token or the proxy names. Does not block; call it in the event loop."""
        if self.proxy.is_forged(request):
            self._forged_line.say(address=self.proxy.address_of(request))
        if is_api(request) and (authorization := request.headers.get("authorization")):
            holder = holder_of(self.tokens, authorization)
            if holder is None:
                self._token_line.say(address=self.proxy.address_of(request))
                return None
            return Person(holder.name, holder.role, holder.via, self.proxy.address_of(request), holder.how)
        person = self.proxy.person(request)
        # The name of a user must mean one person in the audit log.
        return replace(person, role="") if person and person.name in self.users else person

    def from_session(self, request: Request) -> tuple[Person, str] | None:
        """Return the person who has signed in, and the session's secret id. Blocks; raises redis.RedisError."""
        session_id = self.signing.text_of(SESSION, request.cookies.get(SESSION, ""))
        if session_id is None:
            return None
        # Parts of a page that renew themselves would keep an abandoned session open.
        record = self.sessions.use(session_id, renews="hx-request" not in request.headers)
        role = self._role(record) if record else None
        if record is None or role is None:
            return None
        return Person(record.name, role, address=self.proxy.address_of(request), how=record.how), session_id

    def visit_of(self, request: Request) -> str | None:
        """Return the id of a browser that has not signed in."""
        return self.signing.text_of(VISIT, request.cookies.get(VISIT, ""))

    def open_session(self, person: Person, entry: str) -> str:
        """Keep a new session for a person who has just signed in; returns its secret id. Blocks."""
        session_id = new_id()
        self.sessions.open(session_id, SessionRecord(person.name, entry, person.how, person.role))
        return session_id

    def _role(self, record: SessionRecord) -> str | None:
        """Return the role of a session; None if what let the person in has changed since."""
        if record.how == "oidc":
            return record.role if self.oidc and self.oidc.entry == record.entry else None
        user = self.users.get(record.name)
        return user.role if user and user.entry == record.entry else None

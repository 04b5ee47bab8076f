"""Single sign-on by OpenID Connect: the authorization code flow with PKCE, `state` and `nonce`, through Authlib.

The only module beside the Flinks client that makes HTTP calls. It blocks: run it in a thread. Authlib is an extra
(`[oidc]`), so it is imported only if REVIEW_OIDC_ISSUER is set.
"""

import base64
import hashlib
import hmac
import json
import secrets
import ssl
import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from worker.config.validators import LOOPBACK_HOSTS
from worker.errors import NightlyError, SettingsError
from worker.telemetry.logs import get_logger
from worker.web.review.id_tokens import IdTokens
from worker.web.review.identity import Person, role_of

CALLBACK = "/sign-in/oidc/callback"
FLOW_SECONDS = 600
"""Time that a person has at the identity provider."""
TIMEOUT_SECONDS = 10.0
METADATA_SECONDS = 3600.0
MISSING = "REVIEW_OIDC_ISSUER: needs Authlib; install it with `pip install nightly-refresh-worker[oidc]`"
FAILED = "Single sign-on did not work, so you are not signed in. Try again; the log of the server has the reason."
_DISCOVERY = "/.well-known/openid-configuration"
_ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")
_NAMES = ("preferred_username", "email", "sub")
_MOST_CHARACTERS = 128

log = get_logger(__name__)


class SignOnFailed(NightlyError):
    """The identity provider did not confirm who the person is. The message is for the person."""


@dataclass
class SingleSignOn:
    """The identity provider, by the settings. Its metadata and keys are read at the first sign-in."""

    issuer: str
    client_id: str
    client_secret: str = field(repr=False)
    redirect_uri: str
    roles_claim: str
    roles: Mapping[str, str]

    def __post_init__(self) -> None:
        """Find Authlib; raises SettingsError without it."""
        self._new_client, self._tls = _client_class()
        self._metadata: tuple[float, dict[str, Any]] | None = None
        self._id_tokens = IdTokens(self.issuer, self.client_id, self._read_json)

    @property
    def entry(self) -> str:
        """A hash of the settings, kept with sessions: other settings end them."""
        parts = (self.issuer, self.client_id, self.roles_claim, sorted(self.roles.items()))
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    def start(self, target: str) -> tuple[str, str]:
        """Return the address to send the browser to, and what its cookie must keep; raises SignOnFailed."""
        flow = {name: secrets.token_urlsafe(32) for name in ("state", "nonce", "verifier")}
        with _Failing("start"), self._client() as client:
            url, _ = client.create_authorization_url(
                self._endpoint("authorization_endpoint"),
                state=flow["state"],
                nonce=flow["nonce"],
                code_verifier=flow["verifier"],
            )
        kept = json.dumps({**flow, "next": target, "at": time.time()})
        return str(url), base64.urlsafe_b64encode(kept.encode()).decode()

    def finish(self, query: Mapping[str, str], kept: str) -> tuple[Person, str]:
        """Return the person and where to go on, from the query of the callback and the cookie; raises SignOnFailed."""
        with _Failing("finish"):
            flow = json.loads(base64.urlsafe_b64decode(kept))
            self._check(query, flow)
            with self._client() as client:
                url = self._endpoint("token_endpoint")
                token = client.fetch_token(url, code=query["code"], code_verifier=flow["verifier"])
            claims = self._id_tokens.claims_of(token["id_token"], self._endpoint("jwks_uri"), nonce=flow["nonce"])
            return self._person(claims), str(flow["next"])

    def _check(self, query: Mapping[str, str], flow: Mapping[str, Any]) -> None:
        """Raise ValueError unless this is the answer to our question, by our issuer, in time."""
        if not hmac.compare_digest(query.get("state", "").encode(), str(flow["state"]).encode()):
            raise ValueError("the state is not that of this browser")
        if time.time() - float(flow["at"]) > FLOW_SECONDS:
            raise ValueError("it took too long")
        if query.get("iss", self.issuer) != self.issuer:
            raise ValueError("another issuer answered")
        if "code" not in query:
            raise ValueError(f"the provider refused: {query.get('error', '')[:_MOST_CHARACTERS]}")

    def _person(self, claims: Mapping[str, Any]) -> Person:
        groups = claims.get(self.roles_claim, [])
        groups = [groups] if isinstance(groups, str) else groups if isinstance(groups, list) else []
        name = next((str(claims[key]) for key in _NAMES if isinstance(claims.get(key), str) and claims[key]), "")
        if not name or len(name) > _MOST_CHARACTERS or not name.isprintable():
            raise ValueError("the ID token names nobody")
        role, subject = role_of((str(group) for group in groups), self.roles), str(claims["sub"])[:_MOST_CHARACTERS]
        return Person(name, role, how="oidc", subject=subject)

    def _endpoint(self, name: str) -> str:
        now = time.monotonic()
        if self._metadata is None or now - self._metadata[0] > METADATA_SECONDS:
            self._metadata = (now, self._discover())
        return str(self._metadata[1][name])

    def _discover(self) -> dict[str, Any]:
        found: dict[str, Any] = self._read_json(self.issuer + _DISCOVERY)
        if str(found["issuer"]).rstrip("/") != self.issuer:
            raise ValueError("the metadata is that of another issuer")
        for name in _ENDPOINTS:
            parts = urlsplit(str(found[name]))
            if parts.scheme != "https" and parts.hostname not in LOOPBACK_HOSTS:
                raise ValueError(f"{name} is not https")
        return found

    def _read_json(self, url: str) -> Any:
        with self._client() as client:
            response = client.request("GET", url, withhold_token=True)
            response.raise_for_status()
            return response.json()

    def _client(self) -> Any:
        return self._new_client(
            self.client_id,
            self.client_secret,
            scope="openid profile email",
            redirect_uri=self.redirect_uri,
            code_challenge_method="S256",
            timeout=TIMEOUT_SECONDS,
            verify=self._tls,
        )


class _Failing:
    """Turns every error, of the network, the provider or its tokens, into SignOnFailed, and logs its reason."""

    def __init__(self, step: str) -> None:
        self._step = step

    def __enter__(self) -> None:
        return None

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, Exception):
            log.warning("single_sign_on_failed", step=self._step, error=type(error).__name__, reason=str(error)[:200])
            raise SignOnFailed(FAILED) from None


def _client_class() -> tuple[Any, ssl.SSLContext]:
    """Return Authlib's OAuth 2 client and its TLS; raises SettingsError if the extra is not installed."""
    try:
        with warnings.catch_warnings():
            from authlib import deprecate as _  # noqa: F401, PLC0415 - an extra; it sets the filter of its warnings

            warnings.simplefilter("ignore")  # Authlib prefers httpx2, which nothing else here uses
            from authlib.integrations.httpx_client import OAuth2Client  # noqa: PLC0415 - an extra, and heavy
        import httpx  # noqa: PLC0415 - the same
    except ImportError:
        raise SettingsError([MISSING]) from None
    return OAuth2Client, httpx.create_ssl_context()  # it takes 20 ms, and honours SSL_CERT_FILE

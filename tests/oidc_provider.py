"""A small OpenID Connect provider over real HTTP, which a test can make misbehave."""

import base64
import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

CLIENT_ID, CLIENT_SECRET = "nightly", "s3cret"


class Provider:
    """The state of one provider. `change` alters the claims, `sign` the token, before it is sent."""

    def __init__(self) -> None:
        self.url = ""
        self.key = RSAKey.generate_key(2048, {"kid": "k1", "use": "sig"})
        self.published = [self.key]
        self.person: dict[str, Any] = {"sub": "u-1", "preferred_username": "ann", "groups": ["ops", "staff"]}
        self.change: Callable[[dict[str, Any]], dict[str, Any]] = lambda claims: claims
        self.sign: Callable[[dict[str, Any]], str] = self.signed
        self.metadata: dict[str, Any] = {}
        self.asked: list[dict[str, str]] = []

    def signed(self, claims: dict[str, Any]) -> str:
        """Return an ID token as a correct provider makes it."""
        return jwt.encode({"alg": "RS256", "kid": self.key.kid or ""}, claims, self.key)

    def authorize(self, url: str) -> str:
        """Be the browser at the provider, where the person signs in; return the address it is sent back to."""
        self.asked.append(dict(parse_qsl(urlsplit(url).query)))
        asked = self.asked[-1]
        query = {"code": f"code-{len(self.asked)}", "state": asked["state"], "iss": self.url}
        return asked["redirect_uri"] + "?" + urlencode(query)

    def document(self) -> dict[str, Any]:
        """Return the metadata."""
        endpoints = {name: f"{self.url}/{name}" for name in ("authorization_endpoint", "token_endpoint", "jwks_uri")}
        return {"issuer": self.url, **endpoints, **self.metadata}

    def token(self, authorization: str, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        """Answer the token endpoint: client, code, address and verifier must fit."""
        basic = "Basic " + base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
        number = int(form.get("code", "code-0").removeprefix("code-") or 0)
        asked = self.asked[number - 1] if 0 < number <= len(self.asked) else {}
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        is_right = (
            authorization == basic
            and asked.get("code_challenge") == challenge
            and asked.get("code_challenge_method") == "S256"
            and form.get("redirect_uri") == asked.get("redirect_uri")
        )
        if not is_right:
            return 400, {"error": "invalid_grant"}
        self.asked[number - 1] = {}  # a code works once
        now = int(time.time())
        claims = {"iss": self.url, "aud": CLIENT_ID, "iat": now, "exp": now + 300, "nonce": asked["nonce"]}
        token = self.sign(self.change({**claims, **self.person}))
        return 200, {"access_token": "x", "token_type": "Bearer", "id_token": token}


def _handler(provider: Provider) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/.well-known/openid-configuration":
                self._send(200, provider.document())
            elif self.path == "/jwks_uri":
                self._send(200, {"keys": [key.as_dict(private=False) for key in provider.published]})
            else:
                self._send(404, {})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            form = {name: values[0] for name, values in parse_qs(body).items()}
            self._send(*provider.token(self.headers.get("authorization", ""), form))

        def _send(self, status: int, document: dict[str, Any]) -> None:
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Log nothing."""

    return Handler


@contextmanager
def provider() -> Iterator[Provider]:
    """Serve a provider on a free port of this machine."""
    found = Provider()
    with ThreadingHTTPServer(("127.0.0.1", 0), _handler(found)) as server:
        found.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield found
        finally:
            server.shutdown()
            thread.join()

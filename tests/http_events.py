"""A producer that sends events over HTTP as docs/http.md describes; it shares no code with the worker."""

import base64
import hashlib
import hmac
import json
import string
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import httpx

SECRET = "whsec_bmlnaHRseS10ZXN0LXdlYmhvb2sta2V5LTAwMDE="
OTHER_SECRET = "whsec_bmlnaHRseS10ZXN0LXdlYmhvb2sta2V5LTAwMDI="
STRUCTURED, BATCH, BINARY = "application/cloudevents+json", "application/cloudevents-batch+json", "application/json"
PLAIN = string.punctuation.replace('"', "").replace("%", "")
"""The punctuation that a `ce-*` header need not percent-encode."""
LOGIN = "5e115eab-0000-4000-8000-00000c0ffee1"


def event(**changes: Any) -> dict[str, Any]:
    found = {"specversion": "1.0", "id": "evt-1", "source": "crm", "type": "account.linked"}
    return found | {"time": "2026-11-22T10:00:00Z", "data": {"loginId": LOGIN}} | changes


def binary_headers(document: Mapping[str, object]) -> dict[str, str]:
    """Return the `ce-*` headers of binary mode for an event's attributes."""
    attributes = {name: value for name, value in document.items() if name not in {"data", "datacontenttype"}}
    return {f"ce-{name}": quote(str(value), safe=PLAIN) for name, value in attributes.items()}


def signed(
    content: bytes, *, secret: str = SECRET, at: float | None = None, message_id: str = "msg-1", more: str = ""
) -> dict[str, str]:
    """Return the three headers; `more` is put in front of the signature."""
    timestamp = str(int(time.time() if at is None else at))
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.new(key, f"{message_id}.{timestamp}.".encode() + content, hashlib.sha256).digest()
    signature = f"{more}v1,{base64.b64encode(digest).decode()}"
    return {"webhook-id": message_id, "webhook-timestamp": timestamp, "webhook-signature": signature}


class Producer:
    """Sends to one address."""

    def __init__(self, url: str) -> None:
        self.url = url + "/events"

    def post(self, body: bytes, headers: dict[str, str]) -> httpx.Response:
        return httpx.post(self.url, content=body, headers=headers, timeout=30, trust_env=False, verify=False)

    def send(self, document: object, *, media_type: str = "", **signing: Any) -> httpx.Response:
        """Send one event, or a list as a batch; text or bytes unchanged."""
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        media_type = media_type or (BATCH if isinstance(document, list) else STRUCTURED)
        return self.post(body, {"content-type": media_type} | signed(body, **signing))

    def send_binary(self, attributes: dict[str, str], body: bytes, **changed: str) -> httpx.Response:
        """Sign attributes and body, then send them with some of them changed."""
        lines = "".join(f"{name}:{value}\n" for name, value in sorted(attributes.items()))
        headers = {"content-type": BINARY} | signed(lines.encode() + b"\n" + body)
        return self.post(
            body, headers | attributes | {name.replace("_", "-"): value for name, value in changed.items()}
        )

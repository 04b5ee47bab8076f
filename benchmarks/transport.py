"""Makes the calls of every rival and the bare loop, with the transport of worker/flinks/client.py.

As there, a prepared request goes straight to the transport, with URL and headers parsed once. Proxy, masking and the
parsing of answers are left out. Change this module whenever Nightly's use of its transport changes.
"""

import json
import os
import ssl

import httpx

from worker.flinks.messages import PreparedRequest, read_body
from worker.flinks.transport import Transport

URL = (
    os.environ.get("BENCH_STUB_URL", "")
    + "/v3/43387ca6-0391-4c82-857d-70d95f087ecb/BankingServices/SetScheduledRefresh"
)
HEADERS = {
    "flinks-auth-key": "bench-key",
    "content-type": "application/json",
    "accept": "application/json",
    "user-agent": "bench",
    "accept-encoding": "identity",
}


class NotConfirmed(Exception):
    """The answer was not a 200 that confirms the wish."""


class _Route:
    """The connections of this process, opened in the event loop that makes the first call."""

    transport: Transport | None = None
    url = httpx.URL(URL)
    headers = httpx.Headers(HEADERS)

    @classmethod
    def opened(cls) -> Transport:
        if cls.transport is None:
            tls = ssl.create_default_context()
            cls.transport = Transport(URL, limit=int(os.environ.get("BENCH_WINDOW", "512")), tls=tls)
        return cls.transport


async def patch(login_id: str, is_on: bool) -> None:  # noqa: FBT001 - the wish, in the order of Flinks' own body
    """Make the call for an event; raises NotConfirmed and the transport's errors."""
    content = json.dumps({"loginId": login_id, "isActivated": is_on}).encode()
    request = PreparedRequest(
        "PATCH", _Route.url, _Route.headers, content=content, extensions={"timeout": {"connect": 5, "total": 10}}
    )
    response = await _Route.opened().handle_async_request(request)
    body = await read_body(response)
    state = "activated" if is_on else "deactivated"
    if response.status_code != httpx.codes.OK or f"{login_id} has now been {state}".encode() not in body:
        raise NotConfirmed

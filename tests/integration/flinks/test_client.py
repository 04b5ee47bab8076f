"""The client against real servers that respond correctly, wrongly, slowly or not at all."""

import asyncio
import gzip
import json
import logging
import time
from asyncio import StreamReader as Reader
from asyncio import StreamWriter as Writer
from collections.abc import Callable

import pytest

from tests.integration.misbehaving import (
    APPLIED,
    CONFIRMED,
    LOGIN,
    Handler,
    answering,
    ask,
    closing_after,
    dripping,
    endless,
    read_request,
    reply,
    resetting,
    resetting_in_the_body,
    serving,
    silent,
    verdict_of,
)
from worker.clock import elapsed_seconds
from worker.flinks import transport as transport_module
from worker.flinks.client import FlinksClient
from worker.flinks.outcome import Outcome, Verdict
from worker.flinks.transport import Transport


def test_the_call_has_the_documented_form_and_its_confirmation_is_applied() -> None:
    seen = []

    async def handler(reader: Reader, writer: Writer) -> None:
        seen.append(await read_request(reader))
        writer.write(reply(CONFIRMED))

    assert verdict_of(handler) == APPLIED
    ((head, body),) = seen
    assert head.startswith(
        "PATCH /v3/43387ca6-0391-4c82-857d-70d95f087ecb/BankingServices/SetScheduledRefresh HTTP/1.1"
    )
    assert json.loads(body) == {"loginId": LOGIN, "isActivated": True}
    sent = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if line)
    assert sent.pop("host").startswith("127.0.0.1:")
    assert sent.pop("user-agent").startswith("nightly-refresh-worker/")
    assert sent == {
        "flinks-auth-key": "a-secret-key",
        "content-type": "application/json",
        "content-length": str(len(body)),
        "accept": "application/json",
        "accept-encoding": "identity",
    }


@pytest.mark.parametrize(
    ("handler", "code", "is_ambiguous"),
    [
        (silent, "timeout", True),
        (dripping, "timeout", True),
        (resetting, "connection_reset", True),
        (resetting_in_the_body, "connection_reset", True),
        (closing_after(b""), "connection_reset", True),
        (closing_after(reply(CONFIRMED)[:-20]), "connection_reset", True),
        (closing_after(b"SSH-2.0-OpenSSH_9.6\r\n\r\n"), "protocol_error", True),
        (closing_after(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n"), "protocol_error", True),
        (answering(reply(b'"LoginId bb8b8569')), "protocol_error", True),
        (answering(reply(gzip.compress(CONFIRMED), "200 OK", "content-encoding: gzip")), "protocol_error", True),
        (answering(reply(CONFIRMED, "200 OK", "content-encoding: gzip")), "protocol_error", True),
        (answering(reply(b"<html>", "502 Bad Gateway")), "http_502", True),
        (answering(reply(b"", "503 Busy", "Retry-After: 7")), "http_503", False),
    ],
)
def test_a_network_failure_is_transient_and_ambiguous_once_the_request_was_sent(
    handler: Handler,
    code: str,
    is_ambiguous: bool,  # noqa: FBT001 - a parameter
) -> None:
    verdict = verdict_of(handler, timeout_seconds=0.5 if code == "timeout" else 5)
    assert (verdict.outcome, verdict.code, verdict.is_ambiguous) == (Outcome.TRANSIENT, code, is_ambiguous)
    assert not verdict.is_unreachable


@pytest.mark.parametrize("handler", [silent, dripping])
def test_no_server_can_hold_a_call_beyond_its_deadline(handler: Handler) -> None:
    began = time.monotonic()
    verdict_of(handler, timeout_seconds=0.3)
    assert 0.25 < time.monotonic() - began < 2


def test_reading_a_response_body_stops_at_64_kib() -> None:
    began = time.monotonic()
    verdict = verdict_of(endless, timeout_seconds=30)
    assert (verdict.code, verdict.is_confirmed) == ("unconfirmed", False)
    assert time.monotonic() - began < 5


def test_a_redirect_is_not_followed() -> None:
    visits = []

    async def elsewhere(reader: Reader, writer: Writer) -> None:
        visits.append(await read_request(reader))
        writer.write(reply(CONFIRMED))

    async def main() -> Verdict | None:
        async with serving(elsewhere) as other, FlinksClient(max_connections=4) as client:
            moved = reply(b"", "307 Temporary Redirect", f"location: http://127.0.0.1:{other}/")
            async with serving(answering(moved)) as port:
                return await ask(client, f"http://127.0.0.1:{port}")

    verdict = asyncio.run(main())
    assert verdict is not None
    assert (verdict.outcome, verdict.code) == (Outcome.HALT, "http_307")
    assert visits == []


def test_connections_are_reused_and_cookies_are_dropped() -> None:
    heads: list[list[str]] = []

    async def handler(reader: Reader, writer: Writer) -> None:
        heads.append([])
        while True:
            heads[-1].append((await read_request(reader))[0].lower())
            writer.write(reply(CONFIRMED, "200 OK", "set-cookie: session=1; path=/"))

    async def main() -> list[Verdict | None]:
        async with serving(handler) as port, FlinksClient(max_connections=4) as client:
            return [await ask(client, f"http://localhost:{port}") for _ in range(5)]

    assert asyncio.run(main()) == [APPLIED] * 5
    assert [len(connection) for connection in heads] == [5]
    assert not any("cookie" in head for head in heads[0])


def test_a_connection_that_the_server_has_closed_is_not_used() -> None:
    async def main() -> list[Verdict | None]:
        async with serving(closing_after(reply(CONFIRMED))) as port, FlinksClient(max_connections=4) as client:
            verdicts = []
            for _ in range(5):
                verdicts.append(await ask(client, f"http://127.0.0.1:{port}"))
                await until(lambda: not open_connections(client))
            return verdicts

    assert asyncio.run(main()) == [APPLIED] * 5


def open_connections(client: FlinksClient) -> int:
    (route,) = client._routes.values()
    assert isinstance(route.transport, Transport)
    return route.transport.idle_connections


async def until(is_true: Callable[[], bool], *, seconds: float = 5) -> None:
    deadline = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < deadline, "nothing happened in time"
        await asyncio.sleep(0.005)


def test_no_call_is_sent_after_its_latest_start() -> None:
    visits = []

    async def handler(reader: Reader, _: Writer) -> None:
        visits.append(await reader.read(1))

    async def main() -> Verdict | None:
        async with serving(handler) as port, FlinksClient(max_connections=4) as client:
            return await ask(client, f"http://127.0.0.1:{port}", not_after=elapsed_seconds() - 0.001)

    assert asyncio.run(main()) is None
    assert visits == []


@pytest.mark.parametrize("is_reused", [False, True])
def test_a_machine_suspended_while_waiting_for_a_connection_sends_no_call_after_its_latest_start(
    monkeypatch: pytest.MonkeyPatch, *, is_reused: bool
) -> None:
    requests: list[object] = []
    moments = iter([0.0] * (2 if is_reused else 1))  # then the machine sleeps for a thousand seconds
    monkeypatch.setattr(transport_module, "elapsed_seconds", lambda: next(moments, 1000.0))

    async def handler(reader: Reader, writer: Writer) -> None:
        while True:
            requests.append(await read_request(reader))
            writer.write(reply(CONFIRMED))

    async def main() -> tuple[Verdict | None, Verdict | None]:
        async with serving(handler) as port, FlinksClient(max_connections=1) as client:
            url = f"http://127.0.0.1:{port}"
            earlier = await ask(client, url, not_after=10) if is_reused else None
            return earlier, await ask(client, url, not_after=10)

    earlier, late = asyncio.run(main())
    assert late is None
    assert len(requests) == is_reused == (earlier is not None)


def test_a_cancelled_call_stays_cancelled() -> None:
    async def main() -> None:
        arrived = asyncio.Event()

        async def handler(reader: Reader, writer: Writer) -> None:
            await read_request(reader)
            arrived.set()
            await silent(reader, writer)

        async with serving(handler) as port, FlinksClient(max_connections=4) as client:
            call = asyncio.create_task(ask(client, f"http://127.0.0.1:{port}"))
            await arrived.wait()
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call

    asyncio.run(main())


def test_no_failure_logs_the_login_or_the_key(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        for handler in (answering(reply(CONFIRMED)), resetting, closing_after(b"nonsense\r\n\r\n"), silent):
            verdict_of(handler, timeout_seconds=0.3)
    assert caplog.records  # asyncio itself logs at this level
    assert LOGIN not in caplog.text
    assert "a-secret-key" not in caplog.text

import asyncio
from typing import Any

from worker.web.review.downloads import LINES_AT_ONCE, download


def parts_of(lines: int) -> list[bytes]:
    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        await asyncio.Event().wait()

    response = download("report.csv", (f"{line}\r\n".encode() for line in range(lines)), "text/csv")
    scope = {"type": "http", "asgi": {"spec_version": "2.4"}}
    asyncio.run(response(scope, receive, send))
    assert response.headers["content-disposition"] == 'attachment; filename="report.csv"'
    return [message["body"] for message in sent if message.get("body")]


def test_a_file_is_sent_in_parts_of_many_lines() -> None:
    parts = parts_of(2 * LINES_AT_ONCE + 1)
    assert len(parts) == 3
    assert b"".join(parts).splitlines() == [str(line).encode() for line in range(2 * LINES_AT_ONCE + 1)]


def test_an_empty_file_is_sent() -> None:
    assert parts_of(0) == []

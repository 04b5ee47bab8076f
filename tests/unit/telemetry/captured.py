"""Canaries for the tests of telemetry, and the captured output."""

import io
import json
from typing import Any

GUID = "5e115eab-0000-4000-8000-00000c0ffee1"
OPAQUE = "L0gin-canary-abcdef-123456"
SHORT = "maple tree"
KEY = "k3y-canary-0123456789"
CANARIES = (GUID, OPAQUE, SHORT, KEY)


class Lines:
    """The captured stderr."""

    def __init__(self, stream: io.StringIO) -> None:
        self.stream = stream

    @property
    def text(self) -> str:
        return self.stream.getvalue()

    @property
    def all(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]

    @property
    def last(self) -> dict[str, Any]:
        return self.all[-1]

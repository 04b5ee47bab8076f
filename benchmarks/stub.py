"""Builds, runs and queries the stub API server (stub.c) that replaces Flinks in every benchmark."""

import hashlib
import json
import shutil
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.request import Request, urlopen

SOURCE = Path(__file__).with_name("stub.c")
START_SECONDS = 5.0
ASK_SECONDS = 30.0
_CALL = struct.Struct("=Q39sc")


class NoCompiler(Exception):
    """PATH has no C compiler."""


@dataclass(frozen=True, slots=True)
class Call:
    """One PATCH: its arrival (CLOCK_MONOTONIC, microseconds), its login and its wish."""

    at_us: int
    login_id: str
    wants_active: bool


def build(folder: Path) -> Path:
    """Compile stub.c into `folder` unless it is compiled already; raises NoCompiler."""
    program = folder / f"stub-{hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:12]}"
    if not program.exists():
        compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
        if compiler is None:
            raise NoCompiler("the benchmarks need a C compiler (cc, gcc or clang) for their stub API server")
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run([compiler, "-O2", "-o", program, SOURCE], check=True)  # noqa: S603 - our own source
    return program


class Stub:
    """A running stub. It ends when the process that started it ends, however that ends."""

    def __init__(self, folder: Path) -> None:
        self._program = build(folder)
        self._process: subprocess.Popen[str] | None = None
        self.port = 0

    def __enter__(self) -> Self:
        self._process = subprocess.Popen([self._program], stdout=subprocess.PIPE, text=True)  # noqa: S603 - built above
        assert self._process.stdout is not None  # noqa: S101 - narrows the type
        self.port = int(self._process.stdout.readline())
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            assert self._process.stdout is not None  # noqa: S101 - narrows the type
            self._process.stdout.close()

    @property
    def url(self) -> str:
        """The stub's address, for FLINKS_BASE_URL."""
        return f"http://127.0.0.1:{self.port}"

    def reset(self, *, delay_ms: float = 0) -> None:
        """Forget all calls; from now on answer each call `delay_ms` after its arrival."""
        self._ask("POST", f"/reset?delay={delay_ms}")

    def count(self) -> int:
        """Return the number of calls that arrived."""
        return int(self._counts()["calls"])

    def answered(self) -> int:
        """Return the number of calls that were answered."""
        return int(self._counts()["answered"])

    def most_in_hand(self) -> int:
        """Return the maximum number of calls that waited for an answer at once."""
        return int(self._counts()["most_in_hand"])

    def calls(self) -> list[Call]:
        """Return every call since the last reset, in order of arrival."""
        return [
            Call(at_us, login.rstrip(b"\0").decode(), wish == b"1")
            for at_us, login, wish in _CALL.iter_unpack(self._ask("GET", "/calls"))
        ]

    def cpu_seconds(self) -> float:
        """Return the stub's user and system time so far."""
        return int(self._ask("GET", "/cpu")) / 1e6

    def _counts(self) -> dict[str, Any]:
        counts: dict[str, Any] = json.loads(self._ask("GET", "/count"))
        return counts

    def _ask(self, method: str, path: str) -> bytes:
        with urlopen(Request(self.url + path, method=method), timeout=ASK_SECONDS) as reply:  # noqa: S310 - loopback
            body: bytes = reply.read()
        return body

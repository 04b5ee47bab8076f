"""Runs the backfill commands as a person would, in processes of their own, and kills the one that loads."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from random import Random
from typing import IO, Any

from sandbox.stack import wait_until
from tests.chaos.backfill_rows import AS_OF, HEADER, Drawn
from tests.chaos.report import Say
from tests.chaos.scene import Scene
from tests.waiting import eventually
from worker.backfill.codec import ROWS_IN_CHUNK
from worker.backfill.models import Backfill, Status

COMMAND_SECONDS = 120.0
PIECE = 200
"""Lines written at once to a command that will be killed while it loads."""
KEPT_BACK = 20
"""Number of lines that it never gets, so that it cannot finish."""


class Commands:
    """`nightly backfill ...` against one scene."""

    def __init__(self, scene: Scene, rows: Sequence[Drawn]) -> None:
        self._scene = scene
        self.lines = [HEADER, *(row.text for row in rows)]
        self.killed: Counter[str] = Counter()
        """Starts that were killed, by what the backfill's state was just after."""

    def run(self, *words: str) -> str:
        """Run one command and return its output; raises AssertionError unless it succeeds."""
        done = subprocess.run(
            _argv(*words), **self._place(), capture_output=True, text=True, timeout=COMMAND_SECONDS, check=False
        )
        assert done.returncode == 0, f"{' '.join(words)}: exit code {done.returncode}\n{done.stderr[-2000:]}"
        return done.stdout

    def start(self) -> tuple[int, str]:
        """Give a `start` command its whole file; returns its exit code and output."""
        text = "\n".join(self.lines) + "\n"
        done = subprocess.run(
            self._start_argv(), **self._place(), input=text, capture_output=True, text=True,
            timeout=COMMAND_SECONDS, check=False,
        )  # fmt: skip
        return done.returncode, done.stdout + done.stderr

    def break_while_loading(self, break_it: Callable[[], object], *, chunks: int) -> None:
        """Begin a `start` command; once more chunks are loaded, call `break_it`, then kill it before its end."""
        before = self._chunks()
        with self._begin() as process:
            assert process.stdin is not None
            text = self.lines[:-KEPT_BACK]
            for at in range(0, len(text), PIECE):
                process.stdin.write(("\n".join(text[at : at + PIECE]) + "\n").encode())
                process.stdin.flush()
                if self._chunks() >= before + chunks:
                    break
            eventually(lambda: self._chunks() >= before + chunks, seconds=30, describe="chunks")
            break_it()
            self._kill(process)
            self.killed[self._state()] += 1

    def kill_at_random(self, chance: Random, within_seconds: float) -> None:
        """Give a `start` command its whole file and kill it after a random time."""
        with self._begin() as process:
            assert process.stdin is not None
            os.set_blocking(process.stdin.fileno(), False)
            rest = bytearray("\n".join(self.lines) + "\n", "utf-8")

            def has_ended() -> bool:
                _give(process.stdin, rest)
                return process.poll() is not None

            wait_until(has_ended, seconds=chance.uniform(0, within_seconds), every_seconds=0.002)
            was_running = process.poll() is None
            self._kill(process)
            self.killed[self._state() if was_running else "too late"] += 1

    def found(self) -> list[Backfill]:
        """Return every backfill."""
        return self._scene.services.backfills.all()

    def report(self, backfill_id: str) -> list[dict[str, Any]]:
        """Return the lines of the report."""
        return [json.loads(line) for line in self.run("report", backfill_id, "--json").splitlines()]

    def _chunks(self) -> int:
        return max((one.chunks for one in self.found() if one.status is Status.LOADING), default=0)

    def _state(self) -> str:
        return ", ".join(sorted(one.status.value for one in self.found())) or "not begun"

    def _begin(self) -> "subprocess.Popen[bytes]":
        log = (self._scene.folder / "start.log").open("ab")
        with log:
            return subprocess.Popen(
                self._start_argv(), **self._place(), stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT
            )

    @staticmethod
    def _kill(process: "subprocess.Popen[bytes]") -> None:
        process.send_signal(signal.SIGKILL)
        process.wait()

    def _start_argv(self) -> list[str]:
        return _argv("start", "-", "--on", "--as-of", AS_OF)

    def _place(self) -> dict[str, Any]:
        return {"env": self._scene.stack.environment, "cwd": self._scene.stack.working_folder}


def _give(stream: IO[bytes], rest: bytearray) -> None:
    """Write what the pipe accepts now, and close it after the last byte."""
    if rest:
        with suppress(BlockingIOError, BrokenPipeError):
            del rest[: os.write(stream.fileno(), rest[:65536])]
        if not rest:
            stream.close()


def load_through_kills(
    commands: Commands, kills: int, chance: Random, say: Say, *, break_redis: Callable[[], object] | None
) -> Backfill:
    """Kill and repeat the command while it loads and at random times; returns the only backfill."""
    midst = (kills + 1) // 2 + kills // 6
    step = max(len(commands.lines) // ROWS_IN_CHUNK // (midst + 1), 1)
    for number in range(kills):
        if number < midst:
            break_it = break_redis if break_redis and number == midst - 1 else lambda: None
            commands.break_while_loading(break_it, chunks=chance.randint(1, step))
        else:
            commands.kill_at_random(chance, 2.5)
        say(f"start killed {number + 1} times: {dict(commands.killed)}")
    code, words = commands.start()
    for _ in range(3):  # a killed Redis may fail one more command
        if code == 0 or "the same rows" in words:
            break
        code, words = commands.start()
    assert code == 0 or "the same rows" in words, f"the start ended with {code}: {words}"
    [backfill] = commands.found()
    return backfill


def _argv(*words: str) -> list[str]:
    return [sys.executable, "-m", "worker", "backfill", *words]

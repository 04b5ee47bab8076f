"""Runs the ledger's tests on mutants of the Lua: tests are collected once, and each mutant gets a fork of that
process.

A pytest plugin. A fork runs the tests on a running Redis, the most successful test first, and stops at the first
failure. The schedules of the model come last, because they take longest.
"""

import os
import signal
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from multiprocessing.connection import Connection
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from redis import Redis, ResponseError

from sandbox.stack import EmbeddedRedis, OrphanGuard
from tests.mutants.lanes import Say, in_lanes
from tests.mutants.mutant import ROOT, Fate, Mutant
from worker.ledger import scripts

MODEL = "test_model.py::test_every_promise_holds"
MODEL_TESTS = ("_in_a_long_schedule_that_meets_everything", "_in_random_schedules[0]")
SLOW_SECONDS = 1.0
SECONDS_A_TEST = 30
SECONDS_THE_MODEL = 240


class LuaMutants:
    """Pass it to `pytest.main` with the tests to run; `fates` holds the result of each mutant."""

    def __init__(self, mutants: list[Mutant], folder: Path, *, jobs: int, is_quick: bool, say: Say) -> None:
        self._is_quick = is_quick
        self.fates: list[Fate] = []
        self._mutants, self._folder, self._jobs, self._say = mutants, folder, jobs, say
        self._kills: Counter[tuple[str, str]] = Counter()
        self._seconds: dict[str, float] = {}
        self._uses: dict[str, set[str]] = {}
        self._server: EmbeddedRedis | None = None
        self._guard: OrphanGuard | None = None

    @pytest.hookimpl(tryfirst=True)
    def pytest_fixture_setup(self, fixturedef: Any, request: Any) -> object:
        """Give tests the Redis and the guard that run already."""
        running = {"redis_server": self._server, "orphan_guard": self._guard}
        if fixturedef.argname not in running:
            return None
        fixturedef.cached_result = (running[fixturedef.argname], fixturedef.cache_key(request), None)
        return running[fixturedef.argname]

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Run all tests for each mutant, instead of all tests once."""
        temporary = session.config._tmp_path_factory  # type: ignore[attr-defined]
        temporary.getbasetemp()
        with OrphanGuard() as self._guard:
            servers = [
                EmbeddedRedis(self._folder, name=str(lane), guard=self._guard, takes_config=True)
                for lane in range(self._jobs)
            ]
            try:
                for server in servers:
                    _start(server)
                self._server = servers[0]
                self._check_that_the_unmutated_pass(session)

                def judge(mutant: Mutant, lane: int, answer: Connection) -> None:
                    self._server = servers[lane]
                    temporary._basetemp = self._folder / f"tests-{lane}"
                    temporary._basetemp.mkdir(exist_ok=True)
                    self._judge(session, mutant, answer)

                def tell(fate: Fate, lane: int) -> None:
                    self.fates.append(fate)
                    self._kills[fate.mutant.path, fate.by] += 1
                    if fate.end == "timed out":
                        servers[lane].kill()
                        _start(servers[lane])
                    self._say(fate)

                in_lanes(_controls(self._mutants), judge, self._expect_killed, jobs=self._jobs)
                in_lanes(self._mutants, judge, tell, jobs=self._jobs)
            finally:
                for server in servers:
                    server.kill()
                    server.stop()
        return True

    def _check_that_the_unmutated_pass(self, session: pytest.Session) -> None:
        items = [item for item in session.items if MODEL not in item.nodeid]
        for item, following in pairwise([*items, None]):
            started = monotonic()
            with _names_of_scripts_run() as self._uses[item.nodeid]:
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            self._seconds[item.nodeid] = monotonic() - started
        assert not session.testsfailed, "the tests fail without any mutant"

    @staticmethod
    def _expect_killed(fate: Fate, _lane: int) -> None:
        assert fate.end == "killed", f"{fate.mutant.path}: no test noticed that it raises an error at once"

    def _judge(self, session: pytest.Session, mutant: Mutant, answer: Connection) -> None:
        """In a fork: report `invalid`, the name of the test that failed, or nothing."""
        _be_quiet()
        if not _patch(mutant, self._server):
            answer.send(("invalid", ""))
            return
        items = sorted(
            (item for item in session.items if self._may_notice(mutant, item)),
            key=lambda item: self._rank(mutant, item),
        )
        for item, following in pairwise([*items, None]):
            signal.alarm(SECONDS_THE_MODEL if MODEL in item.nodeid else SECONDS_A_TEST)
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            signal.alarm(0)
            if session.testsfailed:
                answer.send(("killed", item.nodeid))
                return
        answer.send(("survived", ""))

    def _may_notice(self, mutant: Mutant, item: pytest.Item) -> bool:
        if self._is_quick and self._seconds.get(item.nodeid, 0) > SLOW_SECONDS:
            return False
        return MODEL in item.nodeid or not self._uses[item.nodeid].isdisjoint(_scripts_with(mutant))

    def _rank(self, mutant: Mutant, item: pytest.Item) -> tuple[float, float]:
        seconds = self._seconds.get(item.nodeid, 1000)
        return (-self._kills[mutant.path, item.nodeid] if seconds < SLOW_SECONDS else 1, seconds)


def _controls(mutants: Iterable[Mutant]) -> list[Mutant]:
    """Return a mutant of each file that only raises an error: one that survives shows that the judge is broken."""
    return [Mutant(path, 0, "", "", "error('mutant')\n") for path in sorted({mutant.path for mutant in mutants})]


def _scripts_with(mutant: Mutant) -> list[str]:
    name = Path(mutant.path).stem
    shared_by = [script for script, parts in scripts.PARTS.items() if name in {"common", *parts}]
    return shared_by or [name]


@contextmanager
def _names_of_scripts_run() -> Iterator[set[str]]:
    names, digest, source = set[str](), scripts.digest, scripts.source

    def noting(function: Callable[[str], str]) -> Any:
        def called(name: str) -> str:
            names.add(name)
            return function(name)

        return called

    scripts.digest, scripts.source = noting(digest), noting(source)  # every way to run a script calls one of them
    try:
        yield names
    finally:
        scripts.digest, scripts.source = digest, source


def _start(server: EmbeddedRedis) -> None:
    server.start()
    with Redis.from_url(server.url) as client:
        client.config_set("appendonly", "no")


def _be_quiet() -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)


def _patch(mutant: Mutant, server: EmbeddedRedis | None) -> bool:
    """Put the mutant in place of its script; returns whether Redis can compile it."""
    original, whole = (ROOT / mutant.path).read_text("utf-8"), scripts.source
    scripts.source = lambda name: whole(name).replace(original, mutant.text, 1)  # type: ignore[assignment]
    scripts.digest.cache_clear()
    assert server is not None
    with Redis.from_url(server.url) as client:
        try:
            client.script_load(scripts.source(_scripts_with(mutant)[0]))
        except ResponseError:
            return False
    return True


def judge_lua(
    mutants: list[Mutant], folder: Path, *, jobs: int, schedules: int, is_quick: bool, say: Say
) -> list[Fate]:
    """Return the result of each mutant; `schedules` is the number of schedules of the model (0: none).

    `is_quick` leaves out the slow tests.
    """
    os.environ["NIGHTLY_SCHEDULES"] = str(schedules)
    plugin = LuaMutants(mutants, folder, jobs=jobs, is_quick=is_quick, say=say)
    tests = sorted((ROOT / "tests/integration/ledger").glob("test_*.py"))
    chosen = [str(test) for test in tests if test.stem not in {"test_model", "test_views"}]
    if schedules:
        chosen += [f"{ROOT}/tests/integration/ledger/{MODEL}{name}" for name in MODEL_TESTS]
    options = ["-q", "-s", "-p", "no:cacheprovider", "--hypothesis-seed=1", f"--basetemp={folder}/tests"]
    pytest.main([*options, *chosen], plugins=[plugin])
    return plugin.fates

"""Measures the server time of every page of the review page with many open letters, and the memory of its process.

The application runs in this process, and answers without a socket; Redis is a real one. Each page is opened as an
administrator, whose pages show the most.
"""

import asyncio
import os
import re
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from urllib.parse import urlencode

import httpx
from pydantic import SecretStr

from benchmarks.letter_filling import ANN, CODES, OWNER, fill_letters, fill_the_rest
from benchmarks.memory import smaps_mib
from benchmarks.redis_cost import used_memory
from benchmarks.system import INSTANCE, NO_CEILING, System, open_system
from benchmarks.tables import quantile, table, verdict
from worker.backfill.job_models import COUNT_ABOVE
from worker.ledger.letter_filter import LetterFilter
from worker.ledger.letter_queries import LetterPages
from worker.operations.bulk import BulkJobs
from worker.telemetry.logs import configure_logging
from worker.web.review.app import create_app
from worker.web.review.cookies import SESSION
from worker.web.review.identity import Person
from worker.web.review.parts import build_parts
from worker.web.review.passwords import hash_password
from worker.web.review.routes import ROUTES
from worker.web.review.ways_in import build_access

LETTERS, TIMES, PAGES = 100_000, 40, 300
GOAL_MS, GROWTH_GOAL_MIB = 100, 8
WHOLE = ("/export", "/report", "/report.csv", "/openapi.json", "/body")
"""The ends of the paths of downloads, whose time grows with what is in them, and of the body of a rejected message."""
_NEXT = re.compile(r'rel="next" href="([^"]+)"')
OK = 200


@dataclass(frozen=True, slots=True)
class Times:
    """Server times of one page in milliseconds, and the size of its last answer in KiB."""

    address: str
    milliseconds: list[float]
    cpu_ms: float
    """CPU time of this process for one answer. On a busy machine, this and the next vary less."""
    redis_ms: float
    """CPU time of Redis for one answer."""
    kib: float

    @property
    def median(self) -> float:
        """The median."""
        return statistics.median(self.milliseconds)


class Browser:
    """A signed-in administrator's browser."""

    def __init__(self, system: System) -> None:
        settings = system.stack.settings()
        users = SecretStr(f"ada:admin:{hash_password('benchmark', log2_n=10)}")
        settings = settings.model_copy(update={"review_users": users})
        parts = build_parts(system.redis, settings, vault=system.services.vault)
        access = build_access(system.redis, settings)
        app = create_app(parts, access=access)
        self._client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="https://review.test")
        session = access.open_session(Person("ada", "admin"), access.users["ada"].entry)
        self._client.cookies.set(SESSION, access.signing.sign(SESSION, session))
        self._redis = system.redis
        self._loop = asyncio.new_event_loop()

    def open(self, address: str) -> tuple[float, httpx.Response]:
        """Open a page; returns its milliseconds and the answer. Raises AssertionError unless it is a page."""
        began = time.perf_counter()
        answer = self._loop.run_until_complete(self._client.get(address))
        took = (time.perf_counter() - began) * 1000
        if answer.status_code != OK:
            raise AssertionError(f"{address}: {answer.status_code}")
        return took, answer

    def measure(self, address: str, times: int) -> Times:
        """Open a page once to warm up, and then `times` times."""
        self.open(address)
        began, redis_began = time.process_time(), self._redis_seconds()
        took = [self.open(address) for _ in range(times)]
        cpu_ms, redis_ms = (time.process_time() - began) * 1000, (self._redis_seconds() - redis_began) * 1000
        kib = len(took[-1][1].content) / 1024
        return Times(address, [milliseconds for milliseconds, _ in took], cpu_ms / times, redis_ms / times, kib)

    def _redis_seconds(self) -> float:
        used = self._redis.info("cpu")
        return float(used["used_cpu_user"] + used["used_cpu_sys"])

    def turn(self, address: str, pages: int) -> int:
        """Follow the link to the next page, at most `pages` times; returns how many pages were opened."""
        for opened in range(pages):
            _, answer = self.open(address)
            following = _NEXT.search(answer.text)
            if not following:
                return opened + 1
            address = unescape(following[1])
        return pages


def run(folder: Path, *, letters: int = LETTERS, times: int = TIMES, pages: int = PAGES) -> str:
    """Fill a ledger, open every page, and then page after page of letters; returns the report."""
    configure_logging(log_format="json", log_level="ERROR")
    with open_system(folder, "http://127.0.0.1:9", NO_CEILING) as system:
        fill_letters(system, letters)
        fill_the_rest(system)
        jobs = _prepare_jobs(system)
        browser = Browser(system)
        measured = [browser.measure(address, times) for address in addresses(system, jobs)]
        browser.turn("/letters", pages // 3)
        before = smaps_mib(os.getpid())["Rss"]
        opened = browser.turn("/letters", pages)
        after = smaps_mib(os.getpid())["Rss"]
        redis_mib = used_memory(system.redis)[0] / 1024 / 1024
    return _report(letters, measured, (before, after, opened), redis_mib)


def _prepare_jobs(system: System) -> dict[str, str]:
    """Freeze bulk jobs: the longest list that is counted at each look, and all letters. Returns their sizes by id."""
    newest = [letter.id for letter in LetterPages(system.redis).page(LetterFilter(), size=COUNT_ABOVE).letters]
    selections: Sequence[Sequence[str] | LetterFilter] = newest, LetterFilter()
    bulk = BulkJobs(system.redis, calls_per_second=50)
    jobs = [bulk.prepare("replay", selection, by=ANN) for selection in selections]
    return {job.id: f"{job.total:,}-letters" for job in jobs}


def addresses(system: System, jobs: Mapping[str, str]) -> Iterator[str]:
    """Yield the address of every page, the list of letters with several filters, a bulk job with its size behind #."""
    letter_id = system.redis.zrevrange("nightly:letters:open", 300, 300)[0].decode()
    reference = system.redis.hget(f"nightly:letter:{letter_id}", "login").decode()
    for row in ROUTES:
        if row.method != "GET" or row.role is None or row.path.endswith(WHOLE):
            continue
        given = {"id": letter_id, "reference": reference, "instance": INSTANCE}
        if "/bulk/" in row.path:
            yield from (f"{row.path.format(id=job)}#{size}" for job, size in jobs.items())
            continue
        yield row.path.format(**given)
        if row.path == "/letters":
            yield from (f"/letters?{urlencode(query)}" for query in _queries(system))


def _queries(system: System) -> Iterator[Mapping[str, str]]:
    count = system.redis.zcard("nightly:letters:open")
    ((letter_id, score),) = system.redis.zrevrange("nightly:letters:open", count // 2, count // 2, withscores=True)
    yield {"after": f"{score:.0f}.{letter_id.decode()}"}
    yield {"code": CODES[1]}
    yield {"wish": "on", "state": "any"}
    yield {"owner": OWNER}
    yield {"attempts_at_least": "19"}


def _report(letters: int, measured: list[Times], memory: tuple[float, float, int], redis_mib: float) -> str:
    before, after, opened = memory
    rows = [_row(page) for page in measured]
    text = f"## The review page with {letters:,} open letters\n\n"
    text += table(("page", "median ms", "p99 ms", "CPU ms", "of Redis", "KiB"), rows)
    text += f"\nMemory of the process: {before:.0f} MiB, after {opened} more pages of letters {after:.0f} MiB. "
    text += f"Redis: {redis_mib:.0f} MiB.\n\n"
    slowest = max(measured, key=lambda page: page.median)
    text += verdict(
        f"the slowest page, {_short(slowest.address)}: {slowest.median:.0f} ms, goal under {GOAL_MS}",
        is_met=slowest.median < GOAL_MS,
    )
    dearest = max(measured, key=lambda page: page.cpu_ms + page.redis_ms)
    text += verdict(
        f"the most CPU time, {_short(dearest.address)}: {dearest.cpu_ms + dearest.redis_ms:.0f} ms with that of Redis",
        is_met=dearest.cpu_ms + dearest.redis_ms < GOAL_MS,
    )
    grown = after - before
    return text + verdict(
        f"growth over {opened} pages: {grown:.1f} MiB, goal under {GROWTH_GOAL_MIB}", is_met=grown < GROWTH_GOAL_MIB
    )


def _row(page: Times) -> tuple[str, ...]:
    figures = page.median, quantile(page.milliseconds, 0.99), page.cpu_ms, page.redis_ms, page.kib
    return f"`{_short(page.address)}`", *(f"{figure:.0f}" for figure in figures)


def _short(address: str) -> str:
    """Return an address without ids that differ with each run."""
    return re.sub(r"lgn_\w+|dl-\d+|job-\w+|\d{13}", "...", address)

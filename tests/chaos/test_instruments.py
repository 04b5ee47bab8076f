"""The instruments of the scenarios detect what they are built to detect."""

import random
import socket
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.emulator.calls import Call
from sandbox.stack import EmbeddedRedis, OrphanGuard
from sandbox.stack.redis_binary import CHOICE, find_redis_binary
from tests.chaos import __main__ as runner
from tests.chaos.middleman import Middleman
from tests.chaos.report import Report
from tests.chaos.schedule import Kind, draw_disruptions
from tests.chaos.seen_by_flinks import fastest_second, most_at_once, overlaps_within_a_lease
from tests.chaos.story import judge, stories
from tests.chaos.traffic import Event, draw
from tests.chaos.witness import Heard, Witness
from tests.waiting import eventually
from worker.ledger import Lane, Ledger, Wish
from worker.redis_client.connect import connect


def call(seq: int, started: float, ended: float | None, overlapped: int | None = None) -> Call:
    return Call(seq, "c", "l", None, started, started, ended, ended, overlapped_seq=overlapped)


def test_an_overlap_counts_while_the_older_call_has_its_lease() -> None:
    calls = [call(1, 0, None), call(2, 5.0, 5.1, overlapped=1), call(3, 6.0, 6.1, overlapped=1)]
    assert overlaps_within_a_lease(calls, lease_seconds=6) == [(1, 2)]


def test_concurrent_calls_are_counted_for_one_lease_at_most() -> None:
    assert most_at_once([call(1, 0, 2), call(2, 1, 3), call(3, 2, 4)], lease_seconds=6) == 2
    assert most_at_once([call(1, 0, None), call(2, 7, 8)], lease_seconds=6) == 1


def test_the_fastest_second_may_begin_anywhere() -> None:
    assert fastest_second([0.0, 0.6, 0.9, 1.5, 1.59, 3.0]) == (4, 1.59)


def test_the_same_seed_draws_the_same_traffic_and_disruptions() -> None:
    def all_drawn() -> object:
        chance = random.Random(4)
        disruptions = draw_disruptions(
            kills=3, stops=2, redis_restarts=1, fillings=1, cuts=5, seconds=60, lease_seconds=6, chance=chance
        )
        return disruptions, draw(400, 80, chance)

    assert all_drawn() == all_drawn()


def test_the_requested_number_of_disruptions_is_drawn() -> None:
    sizes = {"kills": 7, "stops": 4, "redis_restarts": 2, "fillings": 1, "cuts": 10}
    disruptions = draw_disruptions(**sizes, seconds=60, lease_seconds=6, chance=random.Random(4))
    found = Counter(disruption.kind for disruption in disruptions)
    assert found[Kind.KILL_WORKER] + found[Kind.KILL_CHILD] == 7
    assert (found[Kind.RESTART_REDIS], found[Kind.FILL_REDIS], found[Kind.CUT]) == (2, 1, 6)
    assert (found[Kind.SILENCE], found[Kind.HOLD_BACK], found[Kind.FORGET]) == (2, 1, 1)
    stops = [
        disruption
        for disruption in disruptions
        if disruption.kind in {Kind.STOP_CHILD, Kind.STOP_WORKER, Kind.STOP_ALL}
    ]
    assert len(stops) == 4
    assert all(disruption.seconds > 6 for disruption in stops)


def test_every_event_is_sent_a_tenth_of_them_twice_and_many_out_of_order() -> None:
    traffic = draw(2000, 300, random.Random(5))
    sent = Counter(event.id for parcel in traffic.parcels for event in parcel.events)
    assert sent.keys() == {event.id for event in traffic.events}
    assert (len(sent), sent.total()) == (2000, 2200)
    assert len(traffic.newest) == 300
    newest: dict[str, tuple[int, bool, str]] = {}
    late = 0
    for parcel in traffic.parcels:
        for event in parcel.events:
            late += event.rank < newest.get(event.login, event.rank)
            newest[event.login] = max(newest.get(event.login, event.rank), event.rank)
    assert newest == {login: event.rank for login, event in traffic.newest.items()}
    assert late > 200


ANSWER = b"-NOAUTH Authentication required.\r\n"  # without a password: any reply of Redis is enough


@pytest.fixture
def own_redis(tmp_path: Path, orphan_guard: OrphanGuard) -> Iterator[EmbeddedRedis]:
    with EmbeddedRedis(tmp_path, name="own", guard=orphan_guard, tcp=True) as server:
        yield server


def test_the_witness_sees_recorded_events_and_not_requested_ones(own_redis: EmbeddedRedis) -> None:
    with Witness(own_redis.url) as witness, connect(own_redis.url) as client:
        heard, other = "evt-00000000000000aa", "evt-00000000000000bb"
        client.xadd("elsewhere", {"event": f'"{other}"'})
        client.eval("return 1", 0, other)
        Ledger(client).record(
            [Wish("lgn_a", "toolbox", b"sealed", 1, wants_active=True, event_id=heard, lane=Lane.LIVE)]
        )
        eventually(lambda: witness.is_recorded(heard), describe="the recording")
        assert not witness.is_recorded(other)


def test_the_middleman_forwards_delays_loses_forgets_resets_and_refuses(own_redis: EmbeddedRedis) -> None:
    def ping(connection: socket.socket) -> bytes:
        connection.sendall(b"PING\r\n")
        return connection.recv(100)

    def connected() -> socket.socket:
        return socket.create_connection(("127.0.0.1", middleman.port), timeout=5)

    with Middleman(own_redis.port) as middleman:
        with connected() as link:
            assert ping(link) == ANSWER
            assert middleman.cut() == 1
            with pytest.raises(ConnectionResetError):
                ping(link)
        with connected() as link:
            assert ping(link) == ANSWER
            middleman.silence()
            link.settimeout(0.2)
            with pytest.raises(TimeoutError):
                ping(link)
            middleman.go_on()
            with pytest.raises(ConnectionResetError):
                ping(link)
        with connected() as link:
            middleman.hold_back()
            link.settimeout(0.2)
            with pytest.raises(TimeoutError):
                ping(link)
            middleman.let_pass()
            assert link.recv(100) == ANSWER
            assert middleman.forget() == 1
            link.settimeout(0.2)
            with pytest.raises(TimeoutError):
                ping(link)
            with connected() as newer:
                assert ping(newer) == ANSWER
        middleman.shut()
        with pytest.raises(ConnectionError), connected() as link:  # reset at once, or at the first command
            ping(link)
        middleman.open()
        with connected() as link:
            assert ping(link) == ANSWER
    assert middleman.bytes_swallowed == 12


def test_the_runner_reports_failures_in_its_exit_code_and_its_report(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def sound(folder: Path, *, rounds: int = 3, seed: int, say: object) -> Report:  # noqa: ARG001 - the form of a scenario
        return Report("Sound", {"rounds": rounds, "seed": seed})

    def rotten(folder: Path, *, seed: int, say: object) -> Report:  # noqa: ARG001 - the form of a scenario
        raise ValueError(f"of {seed}")

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(runner, "SCENARIOS", {"sound": sound, "rotten": rotten})
    path = tmp_path / "report.md"
    assert runner.main(["sound", "--rounds", "5", "--seed", "1", "--report", str(path)]) == 0
    assert "rounds=5" in path.read_text()
    assert runner.main(["--seed", "8", "--report", str(path)]) == 1
    assert "1 of 2 scenarios held" in path.read_text()
    assert "BROKEN: it ended with ValueError: of 8" in path.read_text()
    for wrong in (["nobody"], ["rotten", "--rounds", "5"]):
        with pytest.raises(SystemExit):
            runner.main(wrong)


def test_the_runner_starts_the_named_server_and_reports_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def naming(folder: Path, *, seed: int, say: object) -> Report:  # noqa: ARG001 - the form of a scenario
        with EmbeddedRedis(folder) as server:
            return Report("Naming", {"seed": seed}, {"started": server.server})

    real, own = find_redis_binary().path, tmp_path / "own-server"
    own.write_text(
        f'#!/bin/sh\n[ "$1" = --version ] && {{ echo "Redis server v=99.1.0"; exit; }}\nexec "{real}" "$@"\n'
    )
    own.chmod(0o755)
    monkeypatch.setenv(CHOICE, real)  # so that it is restored
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(runner, "SCENARIOS", {"naming": naming})
    path = tmp_path / "report.md"
    assert runner.main(["--server", str(own), "--report", str(path)]) == 0
    assert "started: Redis 99.1.0" in path.read_text()
    assert "server: Redis 99.1.0" in path.read_text()
    with pytest.raises(SystemExit):
        runner.main(["--server", str(tmp_path / "missing")])


def test_a_call_is_compared_with_the_last_claim_before_it() -> None:
    on, off = Event("l", wants_active=True, minute=1, id="evt-1"), Event("l", wants_active=False, minute=2, id="evt-2")
    heard = [
        Heard(10.0, "evt-1", ""),
        Heard(11.0, None, "ref l"),
        Heard(12.0, "evt-2", ""),
        Heard(13.0, None, "ref l"),
    ]
    told = stories(heard, {on.id: on, off.id: off}, "ref {}".format)

    def findings(started: float, *, wish: bool, killed: tuple[float, ...] = ()) -> list[list[int]]:
        made = Call(7, "c", "l", wish, started, started)
        found = judge([made], told, "ref {}".format, lease_seconds=6, redis_killed_at=killed)
        return [found.stale, found.late, found.unclaimed, found.unheard]

    assert findings(11.5, wish=True) == findings(13.1, wish=False) == [[], [], [], []]
    assert findings(13.1, wish=True) == [[7], [], [], []]
    assert findings(19.1, wish=False) == [[], [7], [], []]
    assert findings(10.9, wish=True) == [[], [], [7], []]
    assert findings(11.5, wish=False) == [[7], [], [], []]
    assert findings(11.5, wish=False, killed=(10.5,)) == [[], [], [], []]
    assert findings(10.9, wish=True, killed=(10.5,)) == findings(19.1, wish=False, killed=(18.9,)) == [[], [], [], [7]]
    assert findings(10.9, wish=True, killed=(8.5,)) == findings(10.9, wish=True, killed=(10.95,)) == [[], [], [7], []]


def test_a_claim_before_any_recorded_event_is_right_if_redis_was_killed_and_the_event_came_again() -> None:
    on = Event("l", wants_active=True, minute=1, id="evt-1")
    told = stories([Heard(11.0, None, "ref l"), Heard(12.0, "evt-1", "")], {on.id: on}, "ref {}".format)

    def stale(*, wish: bool, killed: tuple[float, ...] = ()) -> list[int]:
        made = Call(7, "c", "l", wish, 11.5, 11.5)
        return judge([made], told, "ref {}".format, lease_seconds=6, redis_killed_at=killed).stale

    assert stale(wish=True, killed=(10.5,)) == []
    assert stale(wish=True) == stale(wish=True, killed=(11.2,)) == stale(wish=False, killed=(10.5,)) == [7]

"""The mutants of `make mutants`: one mistake each, of every kind, none twice."""

from functools import cache
from pathlib import Path

import pytest

from tests.mutants import lua_mistakes, python_mistakes
from tests.mutants.mutant import ROOT, Mutant

JOIN = ROOT / "worker/ledger/lua/commands/join_reconcilers.lua"
RETRY = ROOT / "worker/reconciler/retry_policy.py"


@cache
def mutants_of(path: Path) -> list[Mutant]:
    return (lua_mistakes if path.suffix == ".lua" else python_mistakes).mutants_of(path)


def changes(path: Path) -> set[tuple[str, str]]:
    return {(" ".join(mutant.before.split()), " ".join(mutant.after.split())) for mutant in mutants_of(path)}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("if used >= slots then return 0 end", "if used > slots then return 0 end"),
        ("if used >= slots then return 0 end", "if false then return 0 end"),
        ("if used >= slots then return 0 end", "if used >= slots then return 1 end"),
        ("local used = 0", "local used = (-1)"),
    ],
)
def test_a_script_gets_each_kind_of_mutant(before: str, after: str) -> None:
    assert (before, after) in changes(JOIN)


@pytest.mark.parametrize("after", ["return nil", "return 0"])
def test_mutants_change_the_return_value_of_a_script_function(after: str) -> None:
    assert ("return 1", after) in changes(JOIN.parents[1] / "lib/claim.lua")


def test_mutants_leave_out_a_statement() -> None:
    (after,) = [after for before, after in changes(JOIN) if before.startswith("forget_silent_reconcilers(now) ")]
    assert after == "local about = redis.call('HGET', 'nightly:workers', worker)"


def test_mutants_leave_out_a_field_of_a_login() -> None:
    found = changes(JOIN.parents[1] / "lib/letter_actions.lua")
    line = "redis.call('HSET', key, FIELD.is_counted, '0', FIELD.state, 'due', FIELD.lane, 'backfill')"
    assert (line, line.replace("FIELD.is_counted, '0', ", "")) in found
    assert (line, line.replace(", FIELD.lane, 'backfill'", "")) in found


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("attempts >= limits.max_attempts", "attempts > limits.max_attempts"),
        ("MAX_SPREAD_SECONDS = 60.0", "pass"),
        ("max", "min"),
        ("2.0", "3.0"),
        ("return Exhausted()", "return None"),
    ],
)
def test_a_module_gets_each_kind_of_mutant(before: str, after: str) -> None:
    assert (before, after) in changes(RETRY)


@pytest.mark.parametrize("path", [JOIN, RETRY])
def test_no_mutant_is_made_twice_and_none_is_the_original(path: Path) -> None:
    texts = [mutant.text for mutant in mutants_of(path)]
    assert len(texts) == len(set(texts)) > 40
    assert path.read_text("utf-8") not in texts

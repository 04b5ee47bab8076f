"""Makes mutants of the ledger's Lua and of the decision core, and lists those that no test notices.

python -m tests.mutants                                            all of them, in an hour or so
python -m tests.mutants worker/ledger/lua/lib/settle.lua           those of one file
python -m tests.mutants worker/reconciler/retry_policy.py:71       those of one line
python -m tests.mutants --sample 200 --seed 3                      some of them
"""

import argparse
import os
import sys
from collections import Counter
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from time import monotonic

from tests.mutants import lua_mistakes, python_mistakes
from tests.mutants.mutant import ROOT, Fate, Mutant
from tests.mutants.python_run import CORE, judge_python

LUA = [str(path.relative_to(ROOT)) for path in sorted((ROOT / "worker/ledger/lua").rglob("*.lua"))]
ENDS = ("killed", "timed out", "survived", "invalid", "lost")


def main() -> int:
    """Judge the requested mutants; returns 1 if one survived."""
    asked = _arguments()
    os.chdir(ROOT)
    os.nice(asked.nice)
    mutants = [mutant for place in asked.places or [*CORE, *LUA] for mutant in mutants_at(place)]
    if asked.sample:
        mutants = Random(asked.seed).sample(mutants, min(asked.sample, len(mutants)))
    started, fates = monotonic(), list[Fate]()
    with TemporaryDirectory(prefix="mutants-") as name:
        folder = Path(name)
        python = [mutant for mutant in mutants if mutant.path.endswith(".py")]
        lua = [mutant for mutant in mutants if mutant.path.endswith(".lua")]
        if python:
            fates += judge_python(python, folder, jobs=asked.jobs, say=_say)
        if lua:
            from tests.mutants.lua_run import judge_lua  # noqa: PLC0415 - imports our modules, which mutants replace

            fates += judge_lua(
                lua,
                folder,
                jobs=asked.jobs,
                schedules=0 if asked.quick else asked.schedules,
                is_quick=asked.quick,
                say=_say,
            )
    print(report(fates, seconds=monotonic() - started))  # noqa: T201 - a command's output
    return int(len(fates) < len(mutants) or any(fate.end in {"survived", "lost"} for fate in fates))


def mutants_at(place: str) -> list[Mutant]:
    """Return the mutants of a file, or of one line of it (`file:line`)."""
    path, _, line = place.partition(":")
    maker = lua_mistakes if path.endswith(".lua") else python_mistakes
    return [mutant for mutant in maker.mutants_of(ROOT / path) if line in {"", str(mutant.line)}]


def report(fates: list[Fate], *, seconds: float) -> str:
    """Return the table of all files, with its total."""
    counts = {path: Counter(fate.end for fate in fates if fate.mutant.path == path) for path in [*CORE, *LUA]}
    counts["all"] = Counter(fate.end for fate in fates)
    rows = [
        f"{path:34} {count.total():5}" + "".join(f"{count[end]:11}" for end in ENDS)
        for path, count in counts.items()
        if count.total()
    ]
    return "\n".join([f"{'file':34}  made" + "".join(f"{end:>11}" for end in ENDS), *rows, f"in {seconds:.0f} s"])


def _say(fate: Fate) -> None:
    if fate.end != "killed" or "-v" in sys.argv:
        print(f"{fate.end:9}  {fate.mutant}  {fate.by}", flush=True)  # noqa: T201 - a command's output


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.mutants", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("places", nargs="*", help="files, or file:line (default: all Lua and the decision core)")
    parser.add_argument("--sample", type=int, help="judge so many only, drawn by --seed")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2, help="how many at a time")
    parser.add_argument("--schedules", type=int, default=40, help="of the model, for what the tests let live; 0: none")
    parser.add_argument("--quick", action="store_true", help="leave out tests of more than a second, and the model")
    parser.add_argument("--nice", type=int, default=10)
    parser.add_argument("-v", action="store_true", help="name the killed too")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

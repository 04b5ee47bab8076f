"""`make readme`: runs the demo, puts the end of its output into README.md, and takes a picture of the review page.

The picture is docs/images/review-page.png; it needs chromium on PATH, and is left as it is without one.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from docs.generator.rendered import ROOT
from sandbox.demo.command import SETTINGS
from sandbox.stack import EmbeddedStack
from sandbox.stack.readiness import listening_url
from worker.redis_client.connect import connect
from worker.web.review.ways_in import new_link

README = ROOT / "README.md"
PICTURE = ROOT / "docs" / "images" / "review-page.png"
SEED = 42
USER = "reader"
PASSWORD = "for-this-picture-only"  # noqa: S105 - of a page that ends with this program
SIZE = "1100,1085"
NIGHTLY = [sys.executable, "-m", "worker"]
_PART = re.compile(r"(<!-- make readme -->\n```\n).*?(```\n<!-- end -->)", re.DOTALL)
_END = re.compile(r"^Outcome\n.*?(?=\n\nNext\n)", re.DOTALL | re.MULTILINE)


def shape(text: str) -> list[str]:
    """Return what does not change from run to run: the name of each row, and each sentence without its numbers."""
    lines = [line for line in text.splitlines() if line.strip()]
    return [re.split(r"  +", line.strip())[0] if line.startswith("  ") else _without_numbers(line) for line in lines]


def in_readme() -> str:
    """Return the output of the demo that the README shows."""
    found = _PART.search(README.read_text(encoding="utf-8"))
    return found[0].partition("```\n")[2].partition("```\n")[0] if found else ""


def end_of(output: str) -> str:
    """Return the part of the demo's output that the README shows; raises LookupError if it is not there."""
    found = _END.search("\n".join(map(str.rstrip, output.splitlines())))
    if found is None:
        raise LookupError(f"the demo printed no outcome:\n{output[-2000:]}")
    return found[0] + "\n"


def _without_numbers(line: str) -> str:
    return re.sub(r"[\d,.]+", "N", line)


def _run_demo() -> tuple[str, Path]:
    """Return the output of one run, and the folder with its data."""
    done = subprocess.run(  # noqa: S603 - our own command
        [*NIGHTLY, "demo", "--seed", str(SEED), "--keep"],
        env=os.environ | {"COLUMNS": "120", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=True,
        timeout=180,
    )
    kept = re.search(r"kept in (\S+)", done.stdout)
    return done.stdout, Path(kept[1] if kept else "")


def _take_picture(browser: str, folder: Path) -> None:
    """Start the demo's parts again on their data, and take a picture of the review page."""
    users = {"REVIEW_USERS": f"{USER}:operator:{_hashed()}"}
    options: dict[str, Any] = {"isolated": True, "concurrency": 1, "overrides": {**SETTINGS, **users}}
    with EmbeddedStack(folder, **options) as stack, tempfile.TemporaryDirectory() as profile:
        page = stack.start_process("review", [*NIGHTLY, "review", "--port", "0"], ready=listening_url)
        with connect(stack.settings().redis_address(), name="picture") as client:
            token = new_link(client, stack.settings(), USER, minutes=5)
        address = f"{listening_url(page)}/sign-in/once?token={token}"
        command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
        command += [f"--user-data-dir={profile}", f"--window-size={SIZE}", f"--screenshot={PICTURE}", address]
        subprocess.run(command, check=True, timeout=120, capture_output=True)  # noqa: S603 - a browser of this machine


def _hashed() -> str:
    command = [*NIGHTLY, "users", "hash"]
    done = subprocess.run(command, input=PASSWORD, check=True, capture_output=True, text=True)  # noqa: S603 - ours
    return done.stdout.split()[-1].rpartition(":")[2]


def main() -> None:
    """Run the demo once for both."""
    output, folder = _run_demo()
    try:
        end = end_of(output)
        README.write_text(_PART.sub(lambda part: part[1] + end + part[2], README.read_text(encoding="utf-8")))
        if browser := shutil.which("chromium") or shutil.which("google-chrome"):
            _take_picture(browser, folder)
        else:
            print("chromium is not installed: docs/images/review-page.png is unchanged")  # noqa: T201 - for a person
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()

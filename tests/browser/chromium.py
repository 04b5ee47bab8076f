"""Finds the Chromium that the browser tests drive, and says what to do where there is none."""

import os
import shutil

import pytest

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
"""The first is Chromium without its own windows: it needs a third of the processor time."""
IS_REQUIRED = os.environ.get("NIGHTLY_BROWSER") == "required"
MISSING = (
    "THE BROWSER TESTS DID NOT RUN: there is no Chromium. Install one (Debian: "
    "apt-get install chromium-headless-shell), or set CHROMIUM=/path/to/chromium."
)


def find_chromium() -> str | None:
    """Return the path of the browser: CHROMIUM, or the first of NAMES on PATH."""
    named = os.environ.get("CHROMIUM")
    return shutil.which(named) if named else next(filter(None, map(shutil.which, NAMES)), None)


def chromium_or_skip(*, is_required: bool = IS_REQUIRED) -> str:
    """Return the path of the browser; without one, skip the test, or fail it where NIGHTLY_BROWSER=required."""
    path = find_chromium()
    if path is None:
        (pytest.fail if is_required else pytest.skip)(MISSING)
    return path


def missing_line(skipped: list[str]) -> str | None:
    """Return the line for the end of the run, if one of these tests was skipped because there is no browser."""
    found = sum(MISSING in reason for reason in skipped)
    return f"{MISSING} Skipped: {found}." if found else None

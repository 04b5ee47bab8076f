"""Without a browser, the browser tests are skipped with a red line at the end, or fail where one is required."""

from pathlib import Path

import pytest

from tests.browser.chromium import MISSING, chromium_or_skip, find_chromium, missing_line


def test_a_browser_on_the_path_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CHROMIUM", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_chromium() is None
    browser = tmp_path / "google-chrome"
    browser.touch(0o755)
    assert find_chromium() == str(browser)
    monkeypatch.setenv("CHROMIUM", "/no/such/browser")
    assert find_chromium() is None, "CHROMIUM names another one"


def test_without_a_browser_a_test_is_skipped_and_fails_where_one_is_required(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHROMIUM", "/no/such/browser")
    with pytest.raises(pytest.skip.Exception, match="apt-get install chromium"):
        chromium_or_skip(is_required=False)
    with pytest.raises(pytest.fail.Exception, match="apt-get install chromium"):
        chromium_or_skip(is_required=True)


def test_the_end_of_a_run_says_how_many_browser_tests_were_skipped() -> None:
    assert missing_line(["Skipped: rabbitmq-server is not installed"]) is None
    line = missing_line([f"Skipped: {MISSING}", "Skipped: something else", f"Skipped: {MISSING}"])
    assert line
    assert line.startswith("THE BROWSER TESTS DID NOT RUN")
    assert line.endswith("Skipped: 2.")

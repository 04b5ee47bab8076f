import pytest
from typer.testing import CliRunner

from worker.cli.commands import ENTRIES, app


def test_help_lists_every_command_in_groups_with_its_exit_codes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("TERM", "dumb")
    shown = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "100"}).output
    assert all(f" {name} " in shown for name in ENTRIES)
    assert "When something is wrong" in shown
    assert "2 wrong usage" in shown


@pytest.mark.parametrize("name", sorted(ENTRIES))
def test_every_listed_command_exists_and_explains_itself(name: str) -> None:
    result = CliRunner().invoke(app, [name, "--help"], env={"COLUMNS": "100"})
    assert result.exit_code == 0
    assert f"Usage: nightly {name}" in result.output or f"Usage: root {name}" in result.output


def test_an_unknown_command_is_a_usage_error() -> None:
    assert CliRunner().invoke(app, ["backfil"]).exit_code == 2


def test_the_version_is_printed() -> None:
    result = CliRunner().invoke(app, ["--version"])
    assert (result.exit_code, result.output.split()[0]) == (0, "nightly")


def test_help_in_a_pipe_is_plain_text_and_has_an_example_on_each_line() -> None:
    lines = CliRunner().invoke(app, ["explain", "--help"], env={"COLUMNS": "40"}).output.splitlines()
    assert "    nightly explain - --instance acme-ca < login-id.txt" in lines
    assert max(map(len, lines)) > 120
    assert not set("─│•") & set("".join(lines))

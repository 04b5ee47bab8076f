from pathlib import Path

import pytest

from sandbox.run_file import RunFile
from worker.config.sources import RUN_FILE, settings_files
from worker.errors import EmbeddedStackError


def test_the_file_applies_from_its_writing_to_the_end_of_the_run() -> None:
    def applies() -> bool:
        return RUN_FILE in settings_files(lambda _: None)

    with RunFile(RUN_FILE.parent) as run_file:
        assert not applies()
        run_file.write({"REDIS_URL": "redis://127.0.0.1:1/0"})
        assert applies()
        assert RUN_FILE.stat().st_mode & 0o777 == 0o600
    assert not RUN_FILE.exists()


def test_a_second_run_in_the_same_folder_is_refused_with_the_process_of_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sandbox.run_file.LOCK_SECONDS", 0)
    with (
        RunFile(tmp_path),
        pytest.raises(EmbeddedStackError, match=r"already runs in this folder \(process \d+\)"),
        RunFile(tmp_path),
    ):
        pass


def test_the_file_that_a_killed_run_left_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("# pid 1\nREDIS_URL=redis://old\n")
    (tmp_path / "run").chmod(0o600)
    with RunFile(tmp_path) as run_file:
        run_file.write({"REDIS_URL": "redis://new"})
        assert "old" not in (tmp_path / "run").read_text()

import os
from pathlib import Path

import pytest

from sandbox.stack import ManagedProcess
from sandbox.stack.readiness import listening_url


@pytest.fixture
def process(tmp_path: Path) -> ManagedProcess:
    return ManagedProcess("emulator", ["unused"], env=os.environ, log_path=tmp_path / "emulator.log")


def test_the_url_is_found_among_other_lines(process: ManagedProcess) -> None:
    process.log_path.write_text('warming up\n{"listening": "http://127.0.0.1:40123"}\n{"level": "info"}\n')

    assert listening_url(process) == "http://127.0.0.1:40123"


@pytest.mark.parametrize("text", ["", "warming up\n", '{"listening": "http://127.'])
def test_before_the_whole_line_is_written_there_is_no_url(process: ManagedProcess, text: str) -> None:
    process.log_path.write_text(text)

    assert listening_url(process) is None


def test_without_a_log_there_is_no_url(process: ManagedProcess) -> None:
    assert listening_url(process) is None

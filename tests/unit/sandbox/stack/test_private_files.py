import os
from collections.abc import Callable
from pathlib import Path

import pytest

from sandbox.stack import EmbeddedStack
from sandbox.stack.private_files import private_folder, read_private, write_private
from worker.errors import EmbeddedStackError


def as_a_link(path: Path) -> None:
    elsewhere = path.with_name("elsewhere")
    elsewhere.mkdir()
    path.symlink_to(elsewhere)


def as_a_file(path: Path) -> None:
    path.touch()


def open_to_all(path: Path) -> None:
    path.mkdir()
    path.chmod(0o777)


def of_another(path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a folder away")
    path.mkdir()
    os.chown(path, 65_534, 65_534)


@pytest.mark.parametrize(
    ("prepare", "words"),
    [
        (as_a_link, "is not a folder"),
        (as_a_file, "is not a folder"),
        (open_to_all, "Other users of this machine can write to"),
        (of_another, "belongs to another user of this machine"),
    ],
)
def test_a_folder_that_another_user_may_have_prepared_is_not_used(
    tmp_path: Path, prepare: Callable[[Path], None], words: str
) -> None:
    folder = tmp_path / ".nightly"
    prepare(folder)

    with pytest.raises(EmbeddedStackError, match=words) as caught:
        EmbeddedStack(folder, isolated=True, workers=0, emulator=False).start()

    assert str(folder) in str(caught.value)
    assert "Remove it, or start in another folder." in str(caught.value)


def test_an_own_folder_that_others_could_read_is_made_private(tmp_path: Path) -> None:
    folder = tmp_path / "ours"
    folder.mkdir(mode=0o755)

    assert private_folder(folder).stat().st_mode & 0o777 == 0o700
    assert private_folder(folder) == folder


def test_a_secret_is_kept_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    assert read_private(path) is None

    write_private(path, "word")

    assert read_private(path) == "word"
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(("mode", "words"), [(0o644, "other users .* can read it"), (0o620, "can write to")])
def test_a_secret_that_others_can_read_or_change_is_not_used(tmp_path: Path, mode: int, words: str) -> None:
    path = tmp_path / "secret"
    path.write_text("word")
    path.chmod(mode)

    with pytest.raises(EmbeddedStackError, match=words):
        read_private(path)


def test_a_secret_is_not_read_through_a_link(tmp_path: Path) -> None:
    write_private(tmp_path / "elsewhere", "word")
    (tmp_path / "secret").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(EmbeddedStackError, match="is not a plain file"):
        read_private(tmp_path / "secret")

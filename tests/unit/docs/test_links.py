"""Documents name only existing files, folders, and headings of other documents."""

import re
from pathlib import Path

import pytest

from tests.places import ROOT

DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
CURRENT = [path for path in DOCUMENTS if path.name != "CHANGELOG.md"]
_FENCED = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\]\((?!https?:|mailto:)([^)\s#]*)(?:#([^)\s]*))?\)")
_HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
_PATH = re.compile(r"(?<![\w./-])(?:worker|tasks|sandbox|tests|benchmarks|docs|requirements)/[\w./*-]*[\w*]")


def prose(document: Path) -> str:
    return _FENCED.sub("", document.read_text())


def anchors(document: Path) -> set[str]:
    """Return the anchors that a Markdown page gets from its headings."""
    headings = _HEADING.findall(prose(document))
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_to_a_file_and_a_heading(document: Path) -> None:
    for target, anchor in _LINK.findall(prose(document)):
        file = document.parent / target if target else document
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), f"{target}#{anchor}"


@pytest.mark.parametrize("document", CURRENT, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_path_that_a_document_names_exists(document: Path) -> None:
    """A decision record may be named by its number: `docs/adr/0015`."""
    for path in _PATH.findall(document.read_text()):
        assert any(ROOT.glob(path)) or any(ROOT.glob(f"{path}-*.md")), path


def test_every_decision_record_fits_forty_lines() -> None:
    for record in (ROOT / "docs" / "adr").glob("*.md"):
        assert len(record.read_text().splitlines()) <= 40, record.name

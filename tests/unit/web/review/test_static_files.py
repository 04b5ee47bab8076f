import hashlib
import re

from tests.places import ROOT

STATIC = ROOT / "worker" / "web" / "review" / "static"
HTMX = "d6fdc75f204e6bdefa99b69bf1e6d4ac69b8a364f77929f45c13476b4000f717"
"""SHA-256 of dist/htmx.min.js of htmx.org 2.0.11; docs/generator/licences.py has it, too."""


def test_htmx_is_the_released_file_unchanged() -> None:
    assert hashlib.sha256((STATIC / "htmx.min.js").read_bytes()).hexdigest() == HTMX
    assert HTMX in (STATIC / "README.md").read_text()
    assert "Zero-Clause BSD" in (STATIC / "htmx.LICENSE.txt").read_text()


def test_our_own_script_evaluates_no_text_and_writes_no_markup() -> None:
    script = (STATIC / "page.js").read_text()
    assert not re.search(r"(inner|outer)HTML|insertAdjacent|document\.write|\beval\b|new Function|\.style\b", script)


def test_no_template_has_a_style_or_a_script_that_the_policy_forbids() -> None:
    for template in (STATIC.parent / "templates").glob("*.html"):
        markup = re.sub(r"{#.*?#}", "", template.read_text(), flags=re.DOTALL)
        assert not re.search(r"\sstyle=|<style|\son[a-z]+=|javascript:|\|\s*safe\b", markup), template.name
        assert all("src=" in tag for tag in re.findall(r"<script[^>]*>", markup)), template.name

"""Every installed package is hashed and licensed, and the bill of materials lists all of production."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from docs.generator.licences import ACCEPTED, COPIED, WATCHED, packages, parts
from tests.places import ROOT

LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
NOT_IN_THE_IMAGE = {"async-timeout", "colorama", "tzdata"}
"""For an old Python, or for Windows."""
VALIDATE = """
import sys
sys.modules["rfc3987_syntax"] = None  # checks `iri`, in five seconds of CPU; the test of URIs takes its place
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
sys.exit(JsonStrictValidator(SchemaVersion.V1_6).validate_str(sys.stdin.read()))
"""
"""In a process of its own: imported here, it would delay the start of every process of the test run."""
URI = re.compile(r"[a-z][a-z0-9+.-]*:([\w.~:/?#@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+", re.ASCII)
"""RFC 3986."""
SHA256 = re.compile(r"--hash=sha256:([0-9a-f]{64})\b")


def entries(lock: Path) -> dict[str, tuple[str, list[str]]]:
    """Return version and hashes of each package of a lock."""
    found = re.split(r"\n(?=[a-z])", re.sub(r"^ *#.*\n", "", lock.read_text(), flags=re.MULTILINE))
    heads = [re.match(r"([a-z0-9.-]+)==([^\s;]+)", entry) for entry in found]
    assert all(heads), "something is installed without an exact version"
    return {head[1]: (head[2], SHA256.findall(entry)) for head, entry in zip(heads, found, strict=True) if head}


def write_sbom(path: Path) -> bytes:
    command = [sys.executable, "-m", "docs.generator.sbom", str(path)]
    subprocess.run(command, cwd=ROOT, check=True, timeout=120)
    return path.read_bytes()


@pytest.fixture(scope="module")
def sbom_text(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return write_sbom(tmp_path_factory.mktemp("sbom") / "new" / "sbom.json")


@pytest.fixture(scope="module")
def sbom(sbom_text: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(sbom_text)
    return found


def test_the_bill_of_materials_is_valid_and_the_same_each_time(sbom_text: bytes, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", VALIDATE], input=sbom_text, check=True, timeout=120)
    assert write_sbom(tmp_path / "again.json") == sbom_text
    assert not {"serialNumber", "timestamp"} & set(re.findall(r'"(\w+)":', sbom_text.decode()))
    for path in (str(ROOT), sys.prefix, sys.base_prefix, "file:"):
        assert path.encode() not in sbom_text


def test_every_address_in_the_bill_of_materials_is_a_uri(sbom_text: bytes) -> None:
    addresses = re.findall(r'"(?:url|purl)": "(.*)"', sbom_text.decode())
    assert len(addresses) > 100
    assert [address for address in addresses if not URI.fullmatch(address)] == []


def test_the_bill_of_materials_lists_each_production_package_with_version_hashes_and_licence(
    sbom: dict[str, Any],
) -> None:
    locked = entries(ROOT / "requirements" / "runtime.txt")
    found = {re.sub(r"[-_.]+", "-", one["name"]).lower(): one for one in sbom["components"]}
    copied = found.pop("htmx-org")
    assert [one["content"] for one in copied["hashes"]] == list(COPIED.hashes)
    assert copied["purl"] == f"pkg:npm/htmx.org@{COPIED.version}"
    assert found.keys() == locked.keys() - NOT_IN_THE_IMAGE
    for name, component in found.items():
        version, hashes = locked[name]
        assert component["version"] == version
        (files,) = (one for one in component["externalReferences"] if one["type"] == "distribution" and "hashes" in one)
        assert [one["content"] for one in files["hashes"]] == hashes
        assert component["licenses"]


def test_the_bill_of_materials_states_the_dependencies(sbom: dict[str, Any]) -> None:
    known = {one["bom-ref"] for one in sbom["components"]}
    needs = {entry["ref"]: set(entry.get("dependsOn", ())) for entry in sbom["dependencies"]}
    assert needs.keys() == known | {"root-component"}
    reached, to_follow = set[str](), ["root-component"]
    while to_follow:
        for name in needs[to_follow.pop()] - reached:
            reached.add(name)
            to_follow.append(name)
    assert reached == known


def test_each_licence_in_production_is_an_accepted_one() -> None:
    others = {one.name: one.licence for one in packages() if not parts(one.licence) <= ACCEPTED}
    assert others == {"certifi": "MPL-2.0"}
    assert set(others.values()) <= WATCHED.keys()


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_each_package_of_each_lock_has_hashes(lock: Path) -> None:
    found = entries(lock)
    assert len(found) > 20
    assert [name for name, (_, hashes) in found.items() if not hashes] == []


@pytest.mark.parametrize("name", ["Dockerfile", "Makefile"])
def test_every_installed_package_is_hashed_or_our_own(name: str) -> None:
    text = (ROOT / name).read_text().replace("\\\n", " ")
    commands = re.findall(r"(?:\bpip\b|-m pip|pip --python \S+) (?:install|wheel)\b[^|\n&]*", text)
    ours = [line for line in commands if "--no-deps" in line and not re.search(r"[\w./]+\.txt\b", line)]
    assert len(commands) > len(ours) >= 1
    assert [line for line in commands if line not in ours and "--require-hashes" not in line] == []
    assert not re.search(r"\b(curl|wget|apt-get|apk|npm)\b", text), "another way to install something"


def test_the_node_packages_of_the_tests_are_hashed() -> None:
    lock = json.loads((ROOT / "tests" / "producers" / "node" / "package-lock.json").read_text())
    installed = {name: one for name, one in lock["packages"].items() if name}
    assert installed
    assert [name for name, one in installed.items() if not one.get("integrity", "").startswith("sha512-")] == []

"""`python -m docs.generator.sbom PATH`: writes the packages of the image as a reproducible CycloneDX document.

cyclonedx-py describes this environment, which has more than production: packages outside the lock are left out, and
the hashes of the lock are added. The document names neither this machine nor the time nor a package index.
"""

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from docs.generator.licences import COPIED, Package, packages

ROOT = Path(__file__).resolve().parents[2]
DESCRIBE = [sys.executable, "-m", "cyclonedx_py", "environment", "--output-reproducible", "--no-validate"]
DESCRIBE += ["--pyproject", str(ROOT / "pyproject.toml"), sys.executable]


def document() -> dict[str, Any]:
    """Return the document; raises LookupError if this environment differs from the lock."""
    bom: dict[str, Any] = json.loads(subprocess.check_output(DESCRIBE, stderr=subprocess.DEVNULL))  # noqa: S603 - argv is ours
    found = {_normal(component["name"]): component for component in bom["components"]}
    bom["components"] = [*(_described(package, found) for package in packages()), _copied(COPIED)]
    kept = {component["bom-ref"] for component in bom["components"]}
    root = bom["metadata"]["component"]["bom-ref"]
    bom["dependencies"] = [_within(entry, kept) for entry in bom["dependencies"] if entry["ref"] in {*kept, root}]
    bom["dependencies"] += [{"ref": COPIED.name}]
    next(entry for entry in bom["dependencies"] if entry["ref"] == root).setdefault("dependsOn", []).append(COPIED.name)
    return bom


def _described(package: Package, found: dict[str, dict[str, Any]]) -> dict[str, Any]:
    component = found.get(package.name, {})
    if component.get("version") != package.version:
        raise LookupError(f"{package.name} {package.version} is not installed here: run `make .venv/installed`")
    hashes = [{"alg": "SHA-256", "content": each} for each in package.hashes]
    files = {
        "type": "distribution",
        "url": component["purl"],
        "comment": "each file in the lock",
        "hashes": hashes,
    }
    key = "expression" if " " in package.licence else "license"
    licence: Any = package.licence if key == "expression" else {"id": package.licence}
    return component | {
        "licenses": [{key: licence}],
        "externalReferences": [*component.get("externalReferences", ()), files],
    }


def _copied(package: Package) -> dict[str, Any]:
    """Return a package of another registry, one file of which is in our source."""
    (digest,) = package.hashes
    return {
        "bom-ref": package.name,
        "type": "library",
        "name": package.name,
        "version": package.version,
        "purl": f"pkg:npm/{package.name}@{package.version}",
        "hashes": [{"alg": "SHA-256", "content": digest}],
        "licenses": [{"license": {"id": package.licence}}],
    }


def _within(entry: dict[str, Any], kept: set[str]) -> dict[str, Any]:
    needed = [ref for ref in entry.get("dependsOn", ()) if ref in kept]
    return {"ref": entry["ref"]} | ({"dependsOn": needed} if needed else {})


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def main(arguments: Sequence[str]) -> None:
    """Write the document."""
    path = Path(arguments[0])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document(), indent=2, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])

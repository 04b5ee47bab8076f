"""Decides which packages production installs, and which licence each of them has, from the lock and their own metadata.

Where the metadata names a family of licences or none, somebody has read the licence file, and READ says what it is.
"""

import re
from dataclasses import dataclass
from email.message import Message
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

from packaging.markers import Marker

LOCK = Path(__file__).resolve().parents[2] / "requirements" / "runtime.txt"
IMAGE = {
    "python_version": "3.12",
    "python_full_version": "3.12.0",
    "implementation_name": "cpython",
    "platform_python_implementation": "CPython",
    "sys_platform": "linux",
}
"""What the image runs on: packages for other systems and older Pythons are not part of it."""
READ = {
    "amqp": "BSD-3-Clause",
    "billiard": "BSD-3-Clause",
    "click-plugins": "BSD-3-Clause",
    "httpx-aiohttp": "BSD-3-Clause",
    "prompt-toolkit": "BSD-3-Clause",
    "python-dateutil": "BSD-3-Clause",
    "vine": "BSD-3-Clause",
}
"""What the packages' own licence files say; of python-dateutil, that BSD-3-Clause holds for all of its code."""
SPDX = {
    "Apache 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "ISC License": "ISC",
    "MIT License": "MIT",
}
ACCEPTED = frozenset({"Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "MIT-0", "PSF-2.0"})
"""They ask for a notice, and for nothing of our own code."""
WATCHED = {
    "MPL-2.0": "whoever receives its files can have their source; the package is source, and we pass it on unchanged",
}
"""Accepted as we use them, with the reason."""
_ENTRY = re.compile(r"^([a-z0-9.-]+)==(\S+)(?: ; (.+?))?((?: *\\\n +--hash=\S+)+)", re.MULTILINE)
_HEAD = """\
# Licences

Made by `make schemas` from requirements/runtime.txt and the packages' metadata: change docs/generator/licences.py.

This is what the image installs beside Nightly, which is MIT. `make sbom` writes the same to `dist/sbom.cdx.json`, a
CycloneDX document, with versions, hashes of the files, and dependencies.

Neither names what wheels hold in compiled form: OpenSSL (Apache-2.0) in cryptography, libsodium (ISC) in pynacl,
hiredis (BSD-3-Clause) in hiredis, libffi (MIT) in cffi. The base image, its Python, and the Redis or Valkey server
have licences of their own.

Accepted: {accepted}. A test fails on any other licence, unless its reason is here:

{watched}

| package | licence |
|---|---|
"""


@dataclass(frozen=True)
class Package:
    """One package that the image installs; `hashes` are the sha256 of each of its files that the lock admits."""

    name: str
    version: str
    hashes: tuple[str, ...]
    licence: str


def packages() -> list[Package]:
    """Return what the image installs; raises LookupError for a package that has no licence or is not installed here."""
    entries = _ENTRY.findall(LOCK.read_text())
    return [
        Package(name, version, tuple(re.findall(r"sha256:([0-9a-f]{64})", hashes)), _licence(name))
        for name, version, marker, hashes in entries
        if not marker or Marker(marker).evaluate(IMAGE)
    ]


def page() -> str:
    """Return docs/licences.md."""
    found = packages()
    watched = [
        f"- {licence} ({', '.join(one.name for one in found if licence in parts(one.licence))}) asks that {reason}."
        for licence, reason in WATCHED.items()
    ]
    head = _HEAD.format(accepted=", ".join(sorted(ACCEPTED)), watched="\n".join(watched))
    return head + "".join(f"| {one.name} | {one.licence} |\n" for one in found)


def parts(expression: str) -> set[str]:
    """Return the licences of an SPDX expression."""
    return set(re.findall(r"[A-Za-z0-9.-]+", expression)) - {"AND", "OR", "WITH"}


def _licence(name: str) -> str:
    if name in READ:
        return READ[name]
    try:
        about: Message = metadata(name)  # type: ignore[assignment] # which its protocol hides
    except PackageNotFoundError:
        raise LookupError(f"{name} is not installed here: run `make .venv/installed`") from None
    if expression := about.get("License-Expression"):
        return str(expression)
    classifiers = [
        line.rpartition(" :: ")[2] for line in about.get_all("Classifier") or () if line.startswith("License")
    ]
    said = str(about.get("License") or (classifiers[0] if len(classifiers) == 1 else ""))
    said = SPDX.get(said, said)
    if not re.fullmatch(r"[A-Za-z0-9.-]+", said):
        raise LookupError(f"{name} names no licence: read its licence file, and add it to READ")
    return said

"""Lists the packages that production installs and their licences, from the lock and the metadata of each package.

Where the metadata is unclear, READ has the licence from the package's licence file, read by hand.
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
"""The platform of the image; packages for other systems and older Pythons are left out."""
READ = {
    "amqp": "BSD-3-Clause",
    "billiard": "BSD-3-Clause",
    "click-plugins": "BSD-3-Clause",
    "itsdangerous": "BSD-3-Clause",
    "jinja2": "BSD-3-Clause",
    "prompt-toolkit": "BSD-3-Clause",
    "python-dateutil": "BSD-3-Clause",
    "vine": "BSD-3-Clause",
}
"""Licences read from the packages' own licence files; for python-dateutil, BSD-3-Clause covers all of its code."""
SPDX = {
    "Apache 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "ISC License": "ISC",
    "MIT License": "MIT",
}
ACCEPTED = frozenset({"Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "MIT-0", "PSF-2.0"})
"""These licences require a notice and have no effect on our own code."""
WATCHED = {
    "MPL-2.0": "requires that recipients can get the source of its files; the package is source, distributed unchanged",
}
"""Accepted for our use, with the reason."""
_ENTRY = re.compile(r"^([a-z0-9.-]+)==(\S+)(?: ; (.+?))?((?: *\\\n +--hash=\S+)+)", re.MULTILINE)
_HEAD = """\
# Licences

`make schemas` generates this page from requirements/runtime.txt and the metadata of the packages; to change it, edit
docs/generator/licences.py.

The table lists the packages that the image installs in addition to Nightly, which has the MIT licence. `make sbom`
writes the same list to `dist/sbom.cdx.json`, a CycloneDX document, with versions, file hashes and dependencies.

Both leave out libraries that wheels contain in compiled form: OpenSSL (Apache-2.0) in cryptography, libsodium (ISC) in
pynacl, hiredis (BSD-3-Clause) in hiredis, libffi (MIT) in cffi. The base image, its Python, and the Redis or Valkey
server have their own licences.

The review page serves a copied file, too: htmx.min.js of {copied.name} {copied.version} ({copied.licence}), with its
licence in worker/web/review/static/.

Accepted licences: {accepted}. A test fails on any other licence, except:

{watched}

| package | licence |
|---|---|
"""


@dataclass(frozen=True)
class Package:
    """One package that the image installs; `hashes` are the sha256 of its files in the lock."""

    name: str
    version: str
    hashes: tuple[str, ...]
    licence: str


COPIED = Package("htmx.org", "2.0.11", ("d6fdc75f204e6bdefa99b69bf1e6d4ac69b8a364f77929f45c13476b4000f717",), "0BSD")
"""The npm package of which the review page serves one file, unchanged; the hash is that file's."""


def packages() -> list[Package]:
    """Return the packages of the image; raises LookupError for a package without a licence or not installed here."""
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
        f"- {licence} ({', '.join(one.name for one in found if licence in parts(one.licence))}) {reason}."
        for licence, reason in WATCHED.items()
    ]
    head = _HEAD.format(accepted=", ".join(sorted(ACCEPTED)), watched="\n".join(watched), copied=COPIED)
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

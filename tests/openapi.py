"""Writes `docs/openapi.yaml` from the code: `python -m tests.openapi`."""

from pathlib import Path

import yaml

from worker.ingress.openapi import document

PATH = Path(__file__).resolve().parents[1] / "docs" / "openapi.yaml"
HEAD = "# Generated from the code by `python -m tests.openapi`; a test says when it is out of date.\n"


class _Plain(yaml.SafeDumper):
    """Writes what occurs twice out twice: anchors are for machines."""

    def ignore_aliases(self, _data: object) -> bool:
        return True


def text() -> str:
    return HEAD + yaml.dump(document(), Dumper=_Plain, sort_keys=False, width=110, allow_unicode=True)


if __name__ == "__main__":
    PATH.write_text(text())

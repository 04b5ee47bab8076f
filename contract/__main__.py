"""`python -m contract`: writes `docs/asyncapi.yaml` and `docs/schemas` anew, from the models and constants."""

from pathlib import Path

from contract.rendered import rendered

DOCS = Path(__file__).resolve().parents[1] / "docs"

if __name__ == "__main__":
    for name, text in rendered().items():
        (DOCS / name).write_text(text, encoding="utf-8")

"""`python -m docs.generator`: writes every generated document from models, settings, constants and the lock."""

from docs.generator.rendered import ROOT, rendered

if __name__ == "__main__":
    for name, text in rendered().items():
        (ROOT / name).write_text(text, encoding="utf-8")

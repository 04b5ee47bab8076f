"""`python -m docs.generator`: writes every generated document from models, constants and the lock."""

from docs.generator.rendered import DOCS, rendered

if __name__ == "__main__":
    for name, text in rendered().items():
        (DOCS / name).write_text(text, encoding="utf-8")

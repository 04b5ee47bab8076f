"""`python -m docs.generator`: writes every document that is made from models, constants and the lock anew."""

from docs.generator.rendered import DOCS, rendered

if __name__ == "__main__":
    for name, text in rendered().items():
        (DOCS / name).write_text(text, encoding="utf-8")

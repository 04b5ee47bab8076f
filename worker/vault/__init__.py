"""Derives references of loginIds, seals and opens them (`vault.py`), and finds them in texts (`spellings.py`)."""

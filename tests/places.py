"""The path of the checkout, for tests that start its processes or read its files."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

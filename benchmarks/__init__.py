"""Measures Nightly against its alternatives, side by side in one run (`make bench`)."""

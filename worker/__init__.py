"""Nightly: keeps Flinks nightly refreshes as your events say they should be."""

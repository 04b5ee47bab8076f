"""Where events come in: names that producers use."""

STREAM = "account-events:stream"
"""The Redis stream of CloudEvents."""

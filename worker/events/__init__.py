"""The message contract, and the publisher that producers call."""

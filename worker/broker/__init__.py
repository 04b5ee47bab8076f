"""The broker's queues, names and probes."""

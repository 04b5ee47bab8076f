"""The HTTP processes: `status/` shows the status page to people, `webhook/` accepts events from producers."""

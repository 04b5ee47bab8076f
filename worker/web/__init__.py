"""The HTTP processes: `review/` shows the review page to people, `webhook/` accepts events from producers."""

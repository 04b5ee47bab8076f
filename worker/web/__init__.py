"""The HTTP processes: the page for people, and the way in for events."""

"""What can be set: settings and their validation."""

"""The API under /api/v1/: what the pages do, as JSON, for programs. table.py lists its routes."""

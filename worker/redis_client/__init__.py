"""Connections to Redis, with or without Sentinel, and what their errors mean."""

"""Connections to Redis, directly or through Sentinel, and explanations of their errors."""

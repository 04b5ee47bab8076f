"""Backfills: wishes for many logins at once, kept in sealed chunks and fed into the lane as fast as calls are made."""

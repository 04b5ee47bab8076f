"""The status page: what `nightly status` shows, for people without a shell. It only looks; acting is the command's."""

"""What each contender's processes run. Run as a program (`python -m ... COUNT`), a contender publishes its backlog."""

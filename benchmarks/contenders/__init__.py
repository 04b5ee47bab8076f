"""The code of each contender's workers. Run as a program (`python -m ... COUNT`), a contender publishes its backlog."""

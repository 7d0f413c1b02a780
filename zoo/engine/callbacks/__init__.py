"""Callbacks of a run: its record, its checkpoints, its progress."""

"""Callbacks of a run: history, progress, checkpoints and early stopping."""

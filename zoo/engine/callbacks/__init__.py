"""What watches a run: its record, its checkpoints, its progress."""

from zoo.engine.callbacks.checkpoint import Checkpoints
from zoo.engine.callbacks.early_stopping import Patience
from zoo.engine.callbacks.history import History
from zoo.engine.callbacks.progress import Progress

__all__ = ["Checkpoints", "History", "Patience", "Progress"]

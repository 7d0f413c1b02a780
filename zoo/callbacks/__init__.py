"""What watches a run: its record, its checkpoints, its progress."""

from zoo.callbacks.checkpoint import Checkpoints
from zoo.callbacks.history import History
from zoo.callbacks.patience import Patience
from zoo.callbacks.progress import Progress

__all__ = ["Checkpoints", "History", "Patience", "Progress"]

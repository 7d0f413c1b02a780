"""The error that a conformance check raises."""

from __future__ import annotations


class ConformanceError(AssertionError):
    """A promise that a model breaks: the observed behavior, and a way to fix it."""

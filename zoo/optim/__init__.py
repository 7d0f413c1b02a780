"""Optimizers, learning rate schedulers, weight initialization, weight decay and moving averages."""

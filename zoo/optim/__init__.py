"""Optimizers, schedulers, initialization, weight decay, averages of weights."""

"""Commands that produce each published figure: ``python -m benchmarks suite=quality model=cnn data=mnist seeds=3``."""

"""Every published figure, made by one command: ``python -m benchmarks suite=quality model=cnn data=mnist seeds=3``."""

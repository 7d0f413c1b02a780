"""Train a model of the zoo: ``python train.py model=cnn data=mnist``; ``python train.py --help`` shows all choices."""

import sys

from zoo.__main__ import run

if __name__ == "__main__":
    run(["train", *sys.argv[1:]])

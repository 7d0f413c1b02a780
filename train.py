"""Train a model: ``python train.py model=cnn data=mnist``. ``python train.py --help`` lists all options."""

import sys

from zoo.__main__ import run

if __name__ == "__main__":
    run(["train", *sys.argv[1:]])

"""Train a model of the zoo: ``python train.py model=cnn data=mnist``; ``python train.py --help`` shows all choices."""

import sys

from zoo.verbs.training import train

if __name__ == "__main__":
    sys.exit(train(sys.argv[1:]))

"""Trains the DCGAN, or goes on with a run that was stopped: `python train.py --help`."""

import sys

from gan_tf.cli import main

if __name__ == "__main__":
    sys.exit(main(command="train"))

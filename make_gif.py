"""Makes an animated GIF of a run's training progress: `python make_gif.py --help`."""

import sys

from gan_tf.cli import main

if __name__ == "__main__":
    sys.exit(main(command="gif"))

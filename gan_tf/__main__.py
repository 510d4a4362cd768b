"""Runs the command line as `python -m gan_tf`."""

import sys

from gan_tf.cli import main

sys.exit(main())

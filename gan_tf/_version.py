"""The version, for setup.cfg and for whatever records it."""

__version__ = "2.0.0"

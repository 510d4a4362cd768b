"""A run on disk: its folder, its lock, its checkpoints, and the pictures that it shows."""

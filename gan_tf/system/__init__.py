"""The machine and the terminal underneath: errors, files, output, signals, environment."""

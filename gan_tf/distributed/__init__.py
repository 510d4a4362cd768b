"""A run on several processes or devices."""

"""How good generated images are, measured against the test split of their data set."""

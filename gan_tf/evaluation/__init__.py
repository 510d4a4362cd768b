"""The quality of generated images, measured against the test images of their data set."""

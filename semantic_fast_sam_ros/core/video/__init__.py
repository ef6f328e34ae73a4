"""What lasts from one image of a camera to the next."""

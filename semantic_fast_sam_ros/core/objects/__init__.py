"""Things as objects: numbers that last, boxes in space."""

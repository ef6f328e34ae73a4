"""What masks are beyond their names: numbers that last, boxes in space, words that find them."""

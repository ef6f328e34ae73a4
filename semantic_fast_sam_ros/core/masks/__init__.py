"""Masks: how FastSAM proposes them, what they are, how they are painted."""

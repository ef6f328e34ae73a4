"""A dense segmenter votes in each mask (SFS, arXiv 2604.20169)."""

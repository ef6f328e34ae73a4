"""Names found in the image itself (Chen et al., Semantic Segment Anything, 2023)."""

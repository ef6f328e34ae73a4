"""Time the stages of a frame, and what others would do with it: `benchmark` and benchmarks/."""

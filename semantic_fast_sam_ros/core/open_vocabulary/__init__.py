"""Any names: CLIP on crops or on pixels, text-driven segmenters, YOLOE."""

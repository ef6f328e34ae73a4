"""Camera messages as RGB arrays, and what calibrates them."""

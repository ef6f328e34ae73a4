"""Networks of any kind: their files, what runs them, and how images are fitted to them."""

"""The web viewer: one page that shows a running node and talks to its services."""

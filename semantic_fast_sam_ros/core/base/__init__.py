"""What everything stands on: errors, shipped folders, clocks, locks, compiled loops."""

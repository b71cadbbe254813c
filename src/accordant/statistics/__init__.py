"""Statistics that every room may use: intervals and tests."""

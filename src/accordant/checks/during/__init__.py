"""Checks of a run while it trains."""

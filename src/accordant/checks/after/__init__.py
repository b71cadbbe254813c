"""Checks of a trained model against the one it came from."""

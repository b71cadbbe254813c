"""Checks of feedback, and of a model that has not learnt from it yet."""

"""Diagnostics: one file per check, each with one function that returns a `Finding`."""

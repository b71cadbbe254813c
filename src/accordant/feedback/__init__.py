"""Feedback: rows of files and data sets, read into records."""

"""Reports of every verb: pages, tables and plots from data."""

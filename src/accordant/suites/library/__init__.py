"""Suites, a file each: standing here registers them."""

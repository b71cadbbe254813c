"""What every room uses: errors, files, locks, YAML, settings and options."""

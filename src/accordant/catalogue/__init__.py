"""One record per published system: what it is, where it lives, how to run it, what it claims."""

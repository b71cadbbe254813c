"""Side-by-side measurements against peers; each prints ratios."""

"""Guides: what is drawn from, made of several models' logits at every token."""

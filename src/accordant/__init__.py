"""Align language models with what people want, and check that it worked."""

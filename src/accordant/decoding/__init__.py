"""Decoding: sampling from a model, in batches and as a stream, and talking to it."""

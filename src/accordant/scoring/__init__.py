"""The engine: tree attention, chunked log-probs, reference cache."""

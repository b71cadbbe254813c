"""Aligning while decoding: guides, search, interventions, speculation."""

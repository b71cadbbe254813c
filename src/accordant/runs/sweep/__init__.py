"""Sweeps: one align run for every point of a grid."""

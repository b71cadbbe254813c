"""Explorations of objectives: their logic, profiles and lattice."""

"""Suites: samples, a solver, a scorer and metrics, thin over inspect-ai."""

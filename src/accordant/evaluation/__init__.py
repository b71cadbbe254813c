"""Evaluation of a run: held-out results, generations compared by a judge, and the report."""

"""Papers' claims in miniature: one module per system, called by its slug, with `study() -> Study`.

A study is registered by standing here (`accordant_studies.registry`). How to write one:
docs/adding-a-study.md.
"""

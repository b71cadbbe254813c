"""The laboratory in which papers' claims are re-run in miniature.

`worlds` are small enough that every answer can be listed, and `exact` has their optimum, divergence
and win rate without sampling noise; `labelling` draws pairs and lets voters vote. `language` is a
little language with writers and gold programs, `transformer` a model that learns it in ten seconds.
`training` trains a registered objective on the project's own records: no study holds a copy of a
loss. How to write a study: docs/adding-a-study.md.
"""

from __future__ import annotations

from accordant.base.public import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "recipes": ("follow",),
        "labelling": ("Pairs", "comparisons", "draw_pairs", "majority", "vote"),
        "memory": ("Memory",),
        "trainer": ("fine_tuned", "train_with_trainer"),
        "training": ("Batch", "make_learner", "minibatches", "train"),
        "transformer": ("Schooling", "Shape", "clone", "imitate", "sample", "start_model"),
        "worlds": ("TabularPolicy", "World", "arms", "random_policy", "strings"),
    },
)

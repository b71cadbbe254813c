"""Samples of a model in one list, for tests that look at them one by one."""

from __future__ import annotations

from accordant.sampling.sampler import LocalSampler


def draw(model, prompts, options, progress=None):
    """All samples, prompt by prompt."""
    rows = LocalSampler(model, progress).sample(prompts, options)
    return [sample for row in rows for sample in row]

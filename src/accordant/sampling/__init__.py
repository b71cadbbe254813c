"""Sampling: prompts in tokens continued by models, servers or what is on disk.

`Sampler` is what others take; `Stepper` is what a model, or several under a guide, look like to the
one loop of generation.
"""

from __future__ import annotations

from accordant.base.public import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "generation": ("generate",),
        "replay": ("Replay", "SampleKey"),
        "sampler": ("LocalSampler", "Mixture", "Sampler", "TokenDrawer", "as_stepper"),
        "samples": ("Prompt", "Sample", "SamplingOptions", "grouped"),
        "server": ("ServerSampler",),
        "settings": ("SAMPLING", "SamplingSettings"),
        "stepper": ("GuideFunction", "Guided", "ModelStepper", "Stepper", "interpolate"),
        "streaming": ("ResumingStepper", "stream", "stream_tokens"),
    },
)

"""The head's kernels for GPUs, tried as the functions they are compiled from."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest
import torch

from accordant.scoring import head
from accordant.scoring.head import HeadSettings, chunked_logps

SETTINGS = [HeadSettings(), HeadSettings(scale=0.25, softcap=3.0, entropy=True, top_k=4)]


def draw(tokens: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(tokens)
    hidden, weight = (torch.randn(n, 16, generator=generator) for n in (tokens, 97))
    bias = torch.randn(97, generator=generator)
    return [part.requires_grad_() for part in (hidden, weight, bias)]


def logps_and_gradients(tokens: int, settings: HeadSettings) -> list[torch.Tensor]:
    parts = draw(tokens)
    output = chunked_logps(*parts, torch.arange(tokens) % 97, settings)
    loss = (output.logps * torch.linspace(-1, 2, tokens)).sum()
    extras = [extra for extra in output[1:] if extra is not None]
    return [output.logps, *extras, *torch.autograd.grad(loss, parts)]


@pytest.mark.parametrize("settings", SETTINGS)
def test_fused_functions_give_the_same_and_compile_once(
    settings: HeadSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = replace(settings, chunk=32)
    sizes = (40, 50, 70, 96, 33)
    expected = [logps_and_gradients(tokens, settings) for tokens in sizes]
    graphs = []

    def count(graph: torch.fx.GraphModule, _inputs: object) -> object:
        graphs.append(graph)
        return graph.forward

    torch.compiler.reset()
    compiled = {f: torch.compile(f, backend=count) for f in (head._reduce, head._change)}
    monkeypatch.setattr(logging.getLogger("torch.__trace"), "disabled", True)
    monkeypatch.setattr(head, "fuses", lambda _: True)
    monkeypatch.setattr(head, "_fused", compiled.__getitem__)
    counts = []
    for tokens, theirs in zip(sizes, expected, strict=True):
        for ours, other in zip(logps_and_gradients(tokens, settings), theirs, strict=True):
            assert (ours - other).abs().max() <= 1e-5 * other.abs().max().clamp_min(1)
        counts.append(len(graphs))
    # Each function once, and for tensors that begin at another place once more.
    assert counts[-1] == counts[0] <= 3

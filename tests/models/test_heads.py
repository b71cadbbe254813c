"""A value head is a linear map in float32 that comes back from disk as it was."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from accordant.base.errors import UserError
from accordant.models.heads import ValueHead, load_head, save_head


def test_a_head_comes_back_equal_to_the_bit(tmp_path: Path) -> None:
    head = ValueHead(32, ("helpful", "harmless"), seed=3)
    torch.nn.init.normal_(head.bias)
    found = load_head(save_head(head, tmp_path).parent)
    assert found.attributes == ("helpful", "harmless")
    hidden = torch.randn(4, 5, 32)
    assert torch.equal(found(hidden), head(hidden))
    assert found(hidden).shape == (4, 5, 2)


def test_it_reads_in_float32_under_autocast_and_its_seed_is_its_own() -> None:
    torch.manual_seed(0)
    expected = torch.rand(())
    torch.manual_seed(0)
    head, hidden = ValueHead(32), torch.linspace(-1, 1, 32).to(torch.bfloat16)
    assert torch.equal(torch.rand(()), expected)
    with torch.autocast("cpu", torch.bfloat16):
        values = head(hidden)
    assert torch.equal(values, hidden.float() @ head.weight.T + head.bias)
    assert torch.equal(ValueHead(32).weight, head.weight)
    assert not torch.equal(ValueHead(32, seed=1).weight, head.weight)


def test_another_width_and_a_folder_without_a_head_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="reads states of width 32, the model's have width 16"):
        ValueHead(32)(torch.zeros(3, 16))
    with pytest.raises(UserError, match=r"value_head.safetensors: there is no value head"):
        load_head(tmp_path)
    (tmp_path / "value_head.safetensors").write_bytes(b"nothing")
    with pytest.raises(UserError, match="save_head"):
        load_head(tmp_path)

"""Heads that read numbers off hidden states: rewards, values, probes of several attributes.

Knows widths, names of attributes and safetensors files. Knows nothing of trees, answers or losses.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from accordant.base.errors import UserError
from accordant.base.files import write_whole

FILE = "value_head.safetensors"


class ValueHead(nn.Module):
    """W h + b for k named attributes, in float32 whatever the model's precision.

    Args:
        width: of the hidden states.
        attributes: names of what is read, at least one.
        seed: of W, drawn with variance 1 / (width + 1) as usual for reward heads (Stiennon et al.
            2020, appendix B); b starts at 0. Torch's own generators are left as they were.
        bias: whether there is a b; the heads of transformers' classification models have none.
    """

    def __init__(
        self,
        width: int,
        attributes: Sequence[str] = ("reward",),
        *,
        seed: int = 0,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.attributes = tuple(attributes)
        generator = torch.Generator().manual_seed(seed)
        weight = torch.randn(len(self.attributes), width, generator=generator)
        self.weight = nn.Parameter(weight / (width + 1) ** 0.5)
        self.bias = nn.Parameter(torch.zeros(len(self.attributes))) if bias else None

    def forward(self, hidden: Tensor) -> Tensor:
        """Read `[..., width]` as float32 `[..., attributes]`.

        Raises:
            UserError: the states have another width.
        """
        if hidden.shape[-1] != self.weight.shape[1]:
            raise UserError(
                f"the head reads states of width {self.weight.shape[1]}, "
                f"the model's have width {hidden.shape[-1]}.",
                where="value head",
                mend="Take the model the head was trained on, or train a new head.",
            )
        # Rewards are compared by small differences, which bfloat16 would round away.
        with torch.autocast(hidden.device.type, enabled=False):
            return nn.functional.linear(hidden.float(), self.weight, self.bias)


def save_head(head: ValueHead, folder: Path) -> Path:
    """Write a head into a model's folder and return its file."""
    weights = {name: value.detach().cpu() for name, value in head.state_dict().items()}
    file = folder / FILE
    write_whole(file, save(weights, metadata={"attributes": json.dumps(head.attributes)}))
    return file


def load_head(folder: Path) -> ValueHead:
    """Load the head that `save_head` wrote, on the CPU.

    Raises:
        UserError: the folder has none, or its file cannot be read.
    """
    file = folder / FILE
    try:
        with safe_open(file, framework="pt") as saved:
            attributes = json.loads(saved.metadata()["attributes"])
            weights = {name: saved.get_tensor(name) for name in saved.keys()}  # noqa: SIM118
        head = ValueHead(weights["weight"].shape[1], attributes, bias="bias" in weights)
        head.load_state_dict(weights)
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise UserError(
            f"there is no value head to read ({error}).",
            where=str(file),
            mend="Name a folder that a head was saved in (models.save_head).",
        ) from error
    return head

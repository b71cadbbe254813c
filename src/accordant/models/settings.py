"""Settings that say which model is loaded, in which number format, and with which adapter.

Knows names, ranges and defaults. Knows nothing of torch or of what the model is used for.
"""

from __future__ import annotations

from typing import Literal, TypedDict

from accordant.base.settings import Settings, setting

Precision = Literal["bf16", "bf16-mixed", "float32"]

MODEL = "Model"
MEMORY = "Memory and machines"


class Access(TypedDict):
    """What a loader needs besides a model's name."""

    revision: str | None
    trust_remote_code: bool


class NameSettings(Settings):
    """Setting of which model it is; first, so that it stands first in help."""

    model: str = setting(
        "embedded",
        "Model to load: a folder, a GGUF file, a hub id, or `embedded` for the small one that is "
        "installed with accordant.",
        panel=MODEL,
    )


class HubSettings(Settings):
    """Settings of fetching a model that is on the Hugging Face hub."""

    revision: str | None = setting(None, "Branch, tag or commit of a hub model.", panel=MODEL)
    trust_remote_code: bool = setting(
        False, "Run model code that comes with the weights.", panel=MODEL
    )


class ModelSettings(HubSettings, NameSettings):
    """Settings of loading a model: its name, number format and device."""

    precision: Precision = setting(
        "bf16",
        "Number format. bf16: bfloat16 weights, with the bits an update needs kept by the "
        "optimiser. bf16-mixed: float32 weights, bfloat16 arithmetic. float32: both.",
        panel=MODEL,
    )
    token_budget: int = setting(
        4096,
        "Tokens of one pass through the model: this bounds memory. A longer example gets a pass "
        "of its own.",
        panel=MEMORY,
        ge=16,
    )
    device: Literal["auto", "cpu"] = setting(
        "auto", "Where the model runs: on a GPU if there is one, or on the processor.", panel=MEMORY
    )

    def access(self, name: str | None = None) -> Access:
        """Return how the model `name` is fetched; None is the one of these settings."""
        # A revision is a commit of the repository that was named with it, of no other.
        revision = self.revision if name in (None, self.model) else None
        return {"revision": revision, "trust_remote_code": self.trust_remote_code}


class AdapterSettings(Settings):
    """Settings of a LoRA adapter."""

    lora_rank: int = setting(0, "Rank of a LoRA adapter; 0 trains all weights.", panel=MODEL, ge=0)
    lora_alpha: float | None = setting(
        None,
        "Scale of the LoRA adapter; alpha / rank multiplies its update.",
        panel=MODEL,
        default_text="twice the rank",
        gt=0,
    )
    lora_dropout: float = setting(
        0.0, "Dropout on the LoRA adapter's input while training.", panel=MODEL, ge=0, lt=1
    )
    lora_targets: tuple[str, ...] = setting(
        ("all-linear",), "Layers the LoRA adapter sits on: all-linear, or names.", panel=MODEL
    )

    @property
    def is_full(self) -> bool:
        """Whether all weights are trained."""
        return self.lora_rank == 0

    @property
    def scale_of_adapter(self) -> float:
        """LoRA's alpha: as given, or twice the rank."""
        return 2.0 * self.lora_rank if self.lora_alpha is None else self.lora_alpha

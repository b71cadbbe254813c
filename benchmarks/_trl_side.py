"""The peer's side of the throughput benchmark: TRL's DPOTrainer on exact token lengths.

TRL runs with the settings its documentation recommends for speed where they run here: bf16 weights,
no gradient checkpointing, fused AdamW, scaled-dot-product attention, its own fused head (on by
default). Padding-free batches are switched off in this release; its Liger path needs a GPU.
"""

from __future__ import annotations

import tempfile
from typing import Any

import torch
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer

from benchmarks._our_side import StepTimer


def run(
    folder: str,
    pairs: list[tuple[list[int], list[int], list[int]]],
    batch: int,
    steps: int,
    *,
    lora: int = 0,
    liger: bool = False,
) -> tuple[StepTimer, torch.nn.Module]:
    """Train `steps` steps of `batch` pairs (prompt, chosen, rejected token ids).

    With `lora`, an adapter of that rank is trained; with `liger`, by Liger's kernels.
    """
    from trl import DPOConfig, DPOTrainer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    with tempfile.TemporaryDirectory() as output:
        config = DPOConfig(
            output_dir=output,
            per_device_train_batch_size=batch,
            max_steps=steps,
            gradient_checkpointing=False,
            bf16=device == "cuda",
            use_cpu=device == "cpu",
            learning_rate=1e-6,
            optim="adamw_torch_fused",
            report_to="none",
            save_strategy="no",
            logging_steps=1,
            disable_tqdm=True,
            max_length=None,
            seed=0,
            use_liger_kernel=liger,
        )
        timer = StepTimer()
        text = Dataset.from_dict({"prompt": ["a"], "chosen": [" b"], "rejected": [" c"]})
        trainer = DPOTrainer(
            model=model,
            args=config,
            train_dataset=text,
            processing_class=tokenizer,
            callbacks=[timer],
            peft_config=_lora(lora),
        )
        # The rows as TRL's own tokenisation would leave them, with exact lengths.
        columns = zip(*pairs, strict=True)
        names = ("prompt_ids", "chosen_ids", "rejected_ids")
        trainer.train_dataset = Dataset.from_dict(
            {name: list(column) for name, column in zip(names, columns, strict=True)}
        )
        trainer.train()
    return timer, trainer.model


def _lora(rank: int) -> Any:
    """Return the adapter that `accordant` puts on by default, at this rank; None for none."""
    if not rank:
        return None
    from peft import LoraConfig

    return LoraConfig(r=rank, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM")

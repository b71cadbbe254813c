"""Settings of `accordant align`: one model is its command line, its YAML schema and its docs table.

Knows names, ranges and defaults. Knows nothing of torch, models or files, so that help is instant.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from accordant.base.settings import Settings, setting

Precision = Literal["bf16", "bf16-mixed", "float32"]
RecordType = Literal[
    "demonstration",
    "binary",
    "comparison",
    "ranking",
    "rating",
    "judgment",
    "joint_pair",
    "steps",
]
Level = Literal["info", "warning", "serious"]  # of a finding that a user may act on

DATA = "Data"
MODEL = "Model"
METHOD = "Method"
TRAINING = "Training"
MEMORY = "Memory and machines"
RUN = "Output"
EVALUATION = "Evaluation"
SWEEP = "Sweep"


class AlignConfig(Settings):
    """What `accordant align` is told."""

    data: str | None = setting(
        None,
        "Feedback to learn from: a JSONL, Parquet or CSV file, a folder of them, the id of a data "
        "set on the Hugging Face hub, or `bundled` for the small set that comes with accordant.",
        panel=DATA,
        default_text="required",
    )
    split: str | None = setting(
        None,
        "Split to read where the data has splits.",
        panel=DATA,
        default_text="train, or the only one",
    )
    subset: str | None = setting(
        None, "Configuration of a hub data set, or sub-folder of a folder.", panel=DATA
    )
    limit: int | None = setting(None, "Rows to read at most.", panel=DATA, ge=1, default_text="all")
    held_out_data: str | None = setting(
        None,
        "Feedback to test on, read like --data.",
        panel=DATA,
        default_text="rows held out from --data",
    )
    held_out: float = setting(
        0.1,
        "Share of the prompts kept from training and used to measure its effect.",
        panel=DATA,
        ge=0.0,
        lt=1.0,
    )
    held_out_seed: int | None = setting(
        None,
        "Seed of the choice of those prompts.",
        panel=DATA,
        default_text="--seed; in a sweep the same for every cell",
    )
    columns: dict[str, str] = setting(
        {},
        "Column that holds a field, for data with other column names; repeatable: "
        "`--columns prompt=question`.",
        panel=DATA,
    )
    record_type: RecordType | None = setting(
        None,
        "Kind of feedback in the data.",
        panel=DATA,
        default_text="recognised from the columns",
    )
    on_bad_row: Literal["error", "skip"] = setting(
        "error",
        "What to do about a row that cannot be used: stop, or leave it out and report the count.",
        panel=DATA,
    )
    relabel: Literal["reward-augmented"] | None = setting(
        None,
        "Rewrite the feedback first. reward-augmented: every scored comparison becomes two, each "
        "under the goal of one answer's score.",
        panel=DATA,
    )
    max_length: int | None = setting(
        None,
        "Longest allowed example: prompt and one answer, in tokens.",
        panel=DATA,
        default_text="what the model can read",
        ge=2,
    )
    truncation: Literal["error", "drop", "truncate-prompt-left"] = setting(
        "error",
        "What to do about longer examples: stop, leave them out, or cut the prompt's beginning. "
        "The count is printed.",
        panel=DATA,
    )
    chat: Literal["auto", "always", "never"] = setting(
        "auto",
        "Whether plain prompts go through the chat template as user messages: where there is one, "
        "always, or never (text is kept as it is).",
        panel=DATA,
    )
    chat_template: Path | None = setting(
        None,
        "Jinja file to use, and to save with the model, instead of the tokenizer's own template.",
        panel=DATA,
        default_text="the tokenizer's",
    )
    system_prompt: str | None = setting(
        None,
        "System message of conversations that have none of their own.",
        panel=DATA,
        default_text="the chat template's",
    )
    end_of_turn: str | None = setting(
        None,
        "Token that ends an answer.",
        panel=DATA,
        default_text="what the chat template writes after one",
    )
    judgment_prompt: str | None = setting(
        None,
        "How a judgment enters the prompt: a text that holds `{prompt}` and `{judgment}`.",
        panel=DATA,
        default_text="the judgment in a sentence, then the prompt",
    )

    model: str = setting(
        "embedded",
        "Model to align: a folder, a GGUF file, a hub id, or `embedded` for the small one that is "
        "installed with accordant.",
        panel=MODEL,
    )
    revision: str | None = setting(None, "Branch, tag or commit of a hub model.", panel=MODEL)
    trust_remote_code: bool = setting(
        False, "Run model code that comes with the weights.", panel=MODEL
    )
    precision: Precision = setting(
        "bf16",
        "Number format. bf16: bfloat16 weights, with the bits an update needs kept by the "
        "optimiser. bf16-mixed: float32 weights, bfloat16 arithmetic. float32: both.",
        panel=MODEL,
    )
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

    method: str | None = setting(
        None,
        "Objective to train on; `accordant objectives` lists them.",
        panel=METHOD,
        default_text="the usual one for the kind of feedback",
    )
    options: dict[str, float | int | bool | str] = setting(
        {},
        "Option of the objective; repeatable: `--option beta=0.2`.",
        panel=METHOD,
        flag="--option",
    )
    objective_file: Path | None = setting(
        None,
        "Python file that registers an objective of your own. It is run like any script.",
        panel=METHOD,
    )
    aligned_model: tuple[str, ...] = setting(
        (),
        "Frozen model to compare the policy with, for objectives that do; repeatable. Named like "
        "--model; its tokenizer may be another one.",
        panel=METHOD,
    )
    self_sample_tokens: int = setting(
        128,
        "Most tokens of an answer of the start model, for objectives that learn from its answers.",
        panel=METHOD,
        ge=1,
    )
    reference: Literal["cached", "online"] = setting(
        "cached",
        "Reference log-probabilities: computed once and kept on disk, or within every step.",
        panel=METHOD,
    )
    cache_dir: Path | None = setting(
        None,
        "Folder of cached reference scores.",
        panel=METHOD,
        default_text="cache/ in the output folder",
    )

    epochs: float = setting(1.0, "Passes over the feedback.", panel=TRAINING, gt=0)
    max_steps: int | None = setting(
        None, "Optimiser steps, whatever the epochs.", panel=TRAINING, ge=1
    )
    batch_size: int = setting(
        16,
        "Examples per optimiser step, over all processes. It never decides memory: "
        "--token-budget does.",
        panel=TRAINING,
        ge=1,
    )
    gradient_accumulation_steps: int = setting(
        1,
        "Parts a step's batch is split into. Seldom of use here, as a step is split by "
        "--token-budget anyway; never changes the loss.",
        panel=TRAINING,
        ge=1,
    )
    learning_rate: float | None = setting(
        None,
        "Peak learning rate.",
        panel=TRAINING,
        gt=0,
        default_text="1e-6, for demonstrations and judgments 2e-5, with LoRA ten times that",
    )
    schedule: Literal["linear", "cosine", "constant"] = setting(
        "linear", "How the learning rate falls after the warm-up.", panel=TRAINING
    )
    warmup: float = setting(
        0.1, "Share of the steps over which it rises from zero.", panel=TRAINING, ge=0, lt=1
    )
    weight_decay: float = setting(0.0, "Decoupled weight decay.", panel=TRAINING, ge=0)
    adam_beta1: float = setting(
        0.9, "Decay of the gradient's running mean.", panel=TRAINING, ge=0, lt=1
    )
    adam_beta2: float = setting(
        0.999, "Decay of the squared gradient's running mean.", panel=TRAINING, ge=0, lt=1
    )
    adam_epsilon: float = setting(
        1e-8, "Added to the root of the squared gradient's mean.", panel=TRAINING, gt=0
    )
    max_grad_norm: float = setting(
        1.0, "Gradients are scaled down to this norm; 0 leaves them.", panel=TRAINING, ge=0
    )
    seed: int = setting(0, "Seed of the data order, the adapter and the samples.", panel=TRAINING)

    token_budget: int = setting(
        4096,
        "Tokens of one forward and backward pass: this bounds memory. A longer example gets a "
        "pass of its own.",
        panel=MEMORY,
        ge=16,
    )
    gradient_checkpointing: bool = setting(
        False, "Recompute activations in the backward pass: less memory, slower.", panel=MEMORY
    )
    optimizer_moments: Literal["bf16", "float32"] = setting(
        "bf16",
        "Format of the optimiser's moments of bfloat16 weights: 6 or 10 bytes of state a weight.",
        panel=MEMORY,
    )
    sharding: Literal["none", "fsdp2"] = setting(
        "none",
        "With several processes: a whole copy of the model in each (none), or its weights, "
        "gradients and optimiser state split among them (fsdp2).",
        panel=MEMORY,
    )
    probe: bool = setting(
        False,
        "Try the largest pass before training, to meet a lack of memory at once.",
        panel=MEMORY,
    )
    device: Literal["auto", "cpu"] = setting(
        "auto", "Where to train: a GPU if there is one, or the processor.", panel=MEMORY
    )

    output_dir: Path = setting(
        Path("outputs/align"), "Folder for the model, checkpoints and report.", panel=RUN
    )
    overwrite: bool = setting(
        False, "Replace what an earlier run left in the output folder.", panel=RUN
    )
    resume: bool = setting(
        False, "Go on from the last complete checkpoint in the output folder.", panel=RUN
    )
    dry_run: bool = setting(
        False, "Check everything, print the plan and stop before loading weights.", panel=RUN
    )
    logging_steps: int = setting(5, "Steps between log lines.", panel=RUN, ge=1)
    save_steps: int = setting(500, "Steps between checkpoints.", panel=RUN, ge=1)
    save_total_limit: int = setting(
        2, "Checkpoints to keep; older ones are removed.", panel=RUN, ge=1
    )
    watch: bool = setting(
        True,
        "Run the checks during training, and say at once what they find.",
        panel=EVALUATION,
    )
    watch_pairs: int = setting(
        8, "Pairs to look at, held out if there are such.", panel=EVALUATION, ge=0
    )
    stop_on: Level | None = setting(
        None,
        "End training at a finding of this severity or worse; the model is saved and reported.",
        panel=EVALUATION,
        default_text="never",
    )
    report_to: tuple[str, ...] = setting(
        (), "Trackers to log to, such as wandb or tensorboard. Repeatable.", panel=RUN
    )
    report: bool = setting(
        True, "Measure the result and write report.html and report.json.", panel=EVALUATION
    )
    eval_steps: int | None = setting(
        None,
        "Steps between evaluations on the held-out rows.",
        panel=EVALUATION,
        ge=1,
        default_text="ten times in the run",
    )
    sample_prompts: int = setting(
        16, "Held-out prompts to answer before and after training.", panel=EVALUATION, ge=0
    )
    judge: str | None = setting(
        None,
        "Who compares the answers: rule:concise, shorter, finished, or a function of your own as "
        "path.py:function.",
        panel=EVALUATION,
        default_text="rule:concise for the bundled feedback, else finished",
    )
    max_new_tokens: int = setting(128, "Most tokens of such an answer.", panel=EVALUATION, ge=1)
    temperature: float = setting(
        1.0,
        "Sampling temperature of the answers; 0 is greedy. At 1 they are the policy's own, which "
        "the divergence is measured on; otherwise it takes further samples.",
        panel=EVALUATION,
        ge=0,
    )

    sweep: tuple[str, ...] = setting(
        (),
        "Run a grid of settings and compare them: a YAML file, or values of one setting as "
        "KEY=VALUE,VALUE; repeatable. Besides settings, KEY is option.NAME (of every objective) or "
        "OBJECTIVE.NAME (of one).",
        panel=SWEEP,
    )
    parallel: int | None = setting(
        None,
        "Runs of a sweep at the same time.",
        panel=SWEEP,
        ge=1,
        default_text="what memory and cores have room for",
    )
    keep_models: Literal["best", "all", "none"] = setting(
        "best",
        "Trained models of a sweep to keep; the others are removed as soon as they are measured.",
        panel=SWEEP,
    )
    rank_by: Literal["win_rate", "accuracy"] = setting(
        "win_rate", "Measure that decides which run of a sweep is best.", panel=SWEEP
    )

    @property
    def is_full(self) -> bool:
        """Whether all weights are trained."""
        return self.lora_rank == 0

    @property
    def scale_of_adapter(self) -> float:
        """LoRA's alpha: as given, or twice the rank."""
        return 2.0 * self.lora_rank if self.lora_alpha is None else self.lora_alpha

    def peak_learning_rate(self, feedback: str) -> float:
        """The learning rate as given, or its default.

        Preferences move weights little and unlearn at rates that suit imitation, so their default
        is the smaller one; judgments are mostly imitated. LoRA's best rate is about ten times that
        of full fine-tuning, over many models and sizes (Schulman et al. 2025, "LoRA without
        regret").

        Args:
            feedback: record type of the data, a key of `data.records.RECORD_TYPES`.
        """
        if self.learning_rate is not None:
            return self.learning_rate
        base = 2e-5 if feedback in ("demonstration", "judgment") else 1e-6
        return base if self.is_full else 10 * base

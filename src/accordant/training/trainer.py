"""The training loop of transformers, fed with packed rows and any registered objective.

Knows examples, the engine, objectives by their record, and `transformers.Trainer`. Knows no
particular loss: what differs between losses is in `objectives`. A step's batch is cut into rows of
at most `token_budget` tokens, each scored and differentiated by itself, so memory depends on the
budget and never on the batch; the loss of a step is sum(losses * weights) / sum(weights) over the
whole batch, whatever the rows, the accumulation and the number of processes.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader
from transformers import (
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainingArguments,
)

from accordant.base.errors import UserError
from accordant.models.heads import ValueHead
from accordant.models.quiet import quiet_transformers
from accordant.objectives.batch import MetricTotals, column_means
from accordant.objectives.registry import Objective
from accordant.scoring.apart import sharing_of
from accordant.scoring.frozen import Frozen
from accordant.tokens.examples import Example
from accordant.training import checkpoints, memory
from accordant.training.batches import BatchRow, StepShare, divide, make_rows, pad_rows
from accordant.training.learner import Learner
from accordant.training.optimizer import scale_next_step
from accordant.training.processes import gather_objects, reshard, sum_over_processes
from accordant.training.sources import Source
from accordant.training.totals import StepTotals, Window


@dataclass(frozen=True, slots=True)
class Task:
    """What is trained on what.

    Args:
        source: gives the examples to learn from, prepared as the objective asks.
        held_out: examples to test on; may be empty.
        objective: a registered objective.
        options: its options, from `bind_options`.
        reference: where reference scores come from; None for objectives that need none.
        head: of objectives that read values: a module of the model, so that it is trained, averaged
            over processes and kept in checkpoints with it.
    """

    source: Source
    held_out: Sequence[Example]
    objective: Objective
    options: Mapping[str, Any]
    reference: Frozen | None = None
    head: ValueHead | None = None

    def learner(self, model: nn.Module) -> Learner:
        """Return what gives the losses of `model`, wrapped or not."""
        return Learner(self.objective, self.options, model, self.reference, self.head)


class AlignTrainer(Trainer):
    """`transformers.Trainer` on packed rows; see the module's header.

    Args:
        model: prepared by `scoring.install`.
        args: as from `arguments.training_arguments`; its batch size is not used.
        task: data, objective and reference.
        token_budget: tokens of one pass.
        settings: what a resumed run must share with the one it continues, JSON values by name.
        callbacks: further callbacks of transformers.
        optimizer: optimiser class and its keyword arguments; None for the one `args` names.
        probe: whether to try the largest row before the first step.
    """

    def __init__(
        self,
        model: nn.Module,
        args: TrainingArguments,
        task: Task,
        *,
        token_budget: int,
        settings: Mapping[str, Any] | None = None,
        callbacks: Sequence[TrainerCallback] = (),
        optimizer: tuple[type[torch.optim.Optimizer], dict[str, Any]] | None = None,
        probe: bool = False,
    ) -> None:
        super().__init__(
            model=model,
            args=args,
            data_collator=tuple,
            eval_dataset=list(task.held_out) or None,
            callbacks=list(callbacks),
            optimizer_cls_and_kwargs=optimizer,
        )
        self.remove_callback(PrinterCallback)
        self.task = task
        self.token_budget = token_budget
        self.settings = dict(settings or {})
        self._probe = probe
        self._staging: Path | None = None
        self._means: Tensor | None = None
        self._window: Window | None = None
        self._step = StepTotals(1)
        self._factor = torch.ones((), device=args.device)
        # Steps whose numbers nobody has looked at yet, and whether one of them was bad.
        self._unseen: list[StepTotals] = []
        self._is_bad = torch.zeros((), dtype=torch.bool, device=args.device)

    # Data: which rows a step runs.

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Return a loader of as many empty batches as an epoch has parts of steps.

        transformers counts, skips and resumes with it; the examples come from the source, step by
        step, so that they may be made while training goes on.
        """
        source = self.task.source
        steps = self.args.max_steps if source.steps is None else source.steps
        batches: list[list[int]] = [[]] * (steps * self.args.gradient_accumulation_steps)
        known: Any = list(source.known)  # what transformers counts examples by
        return DataLoader(known, batch_sampler=batches, collate_fn=tuple)

    def get_batch_samples(
        self,
        epoch_iterator: Iterator[tuple[()]],  # noqa: ARG002 - has nothing to give
        num_batches: int,
        device: torch.device,  # noqa: ARG002 - transformers passes it
    ) -> tuple[list[StepShare], None]:
        """Ask the source for one step, and cut this process's share of every part into rows."""
        examples = self.task.source.examples(self.state.global_step, self.model)
        if not examples:
            raise ValueError(f"the source has no example for step {self.state.global_step}")
        rank, world = self.accelerator.process_index, self.accelerator.num_processes
        shares = divide(examples, num_batches, rank=rank, world=world)
        rows = [self._rows(share, examples) for share in shares]
        # Two examples are given to two shares where there are two.
        is_alone = len(examples) == 1 or (len(shares) * world == 1 and len(rows[0]) == 1)
        parts = [
            StepShare(
                rows=tuple(part),
                step_rows=tuple(row for part in rows for row in part),
                step_examples=len(examples),
                step_tokens=sum(example.num_tokens for example in examples),
                is_first=index == 0,
                is_alone=is_alone,
            )
            for index, part in enumerate(rows)
        ]
        return parts, None

    def _rows(self, share: Sequence[Example], examples: Sequence[Example]) -> list[BatchRow]:
        """Cut `share` into rows, as many in every process where passes are collective (FSDP)."""
        apart = bool(sharing_of(self.model).reason)
        rows = make_rows(share, self.token_budget, apart=apart)
        # A process with nothing to do still takes part in the averaging of gradients.
        count = max(1, len(rows))
        if self.is_fsdp_enabled:
            count = max(gather_objects(count))
        return pad_rows(rows, count, min(examples, key=lambda example: example.num_tokens))

    def _prepare_for_training(self, *args: Any, **kwargs: Any) -> Any:
        prepared = super()._prepare_for_training(*args, **kwargs)
        if self._probe:
            self._try_largest_row(prepared[0])
        return prepared

    def _try_largest_row(self, model: nn.Module) -> None:
        """Run the largest row forward and backward, beside as much memory as a step will hold."""
        longest_first = sorted(self.task.source.known, key=lambda example: -example.num_tokens)
        if not longest_first:
            return
        apart = bool(sharing_of(model).reason)
        rows = make_rows(longest_first, self.token_budget, apart=apart)
        row = max(rows, key=lambda row: row.num_tokens)
        model.train()
        with torch.random.fork_rng(), memory.reserved_for_optimizer(self.optimizer):
            self._run_row(model, replace(row, counts=False), 1)
        model.zero_grad()

    # One step: forward and backward, row by row.

    def training_step(
        self,
        model: nn.Module,
        inputs: StepShare,
        num_items_in_batch: Tensor | int | None = None,  # noqa: ARG002 - counts labels, unused
    ) -> Tensor:
        """Run the rows of one part; after the last part of a step, the loss of the whole step."""
        if self._window is None:
            self._window = Window(seen=self.state.num_input_tokens_seen)
        if inputs.is_first:
            self._step = StepTotals(self.state.global_step + 1)
            self._means = self._batch_means(inputs)
        model.train()
        for index, row in enumerate(inputs.rows):
            with self._synchronised(model, last=index == len(inputs.rows) - 1):
                self._run_row(model, row, inputs.step_examples)
        if not self.accelerator.sync_gradients:
            return torch.zeros((), device=self.args.device)
        return self._finish_step(inputs)

    def _synchronised(self, model: nn.Module, *, last: bool) -> AbstractContextManager[Any]:
        """Average gradients over processes with the last row only.

        Sharded gradients are reduced after every row: kept whole they would not fit.
        """
        if last or self.is_fsdp_enabled:
            return nullcontext()
        return self.accelerator.no_sync(model)

    def _run_row(self, model: nn.Module, row: BatchRow, step_examples: int) -> None:
        with memory.explained(row.num_tokens, len(row.examples), self.token_budget):
            self._differentiate(model, row, step_examples)

    def _differentiate(self, model: nn.Module, row: BatchRow, step_examples: int) -> None:
        loss = self.task.learner(model).loss(row.examples, self._means)
        # Averaging over processes divides by their number. The sum of weights is known only after
        # the last row; dividing by the examples first keeps gradients at their usual size.
        scale = self.accelerator.num_processes / step_examples
        self.accelerator.backward(loss.total * (scale if row.counts else 0.0))
        if row.counts:
            self._step.rows.append((row, loss.total.detach(), loss.weight.detach()))
            if self._window is not None:
                self._window.add(loss.metrics())

    def _batch_means(self, part: StepShare) -> Tensor | None:
        """Measure batch statistics of all rows of the step, in a pass without gradients."""
        if self.task.objective.batch_means is None or part.is_alone:
            return None
        return self._means_of(self._assemble_all(part.step_rows))

    def _assemble_all(self, rows: Sequence[BatchRow]) -> list[tuple[BatchRow, Any]]:
        """Score `rows` without gradients; returns each with the record of its scores."""
        self.model.eval()
        learner = self.task.learner(self.model)
        with torch.no_grad():
            return [(row, learner.inputs(row.examples)) for row in rows]

    def _means_of(self, scored: Sequence[tuple[BatchRow, Any]]) -> Tensor | None:
        if self.task.objective.batch_means is None:
            return None
        learner = self.task.learner(self.model)
        # A row that does not count still says how many statistics there are.
        totals = [learner.statistics(inputs) * float(row.counts) for row, inputs in scored]
        return column_means(sum_over_processes(torch.stack(totals).sum(0)))

    def _finish_step(self, part: StepShare) -> Tensor:
        """Take up the loss of the step, and what makes its gradients of the summed ones."""
        loss, weight = sum_over_processes(self._step.totals(self.args.device))
        self.state.num_input_tokens_seen += part.step_tokens
        nothing = torch.zeros_like(weight)
        self._step.loss = torch.where(weight == 0, nothing, loss / weight)
        self._factor = torch.where(weight == 0, nothing, part.step_examples / weight).float()
        return self._step.loss.float()

    def _clip_grad_norm(self, model: nn.Module) -> None:
        """Leave gradients as they are: the optimiser multiplies them by what clips them."""

    def _get_grad_norm(self, model: nn.Module, grad_norm: Any = None) -> Tensor:  # noqa: ARG002
        """Return the norm of the step's gradients, and have them scaled and clipped."""
        limit = self.args.max_grad_norm or math.inf
        gradients = [p.grad for p in model.parameters() if p.grad is not None]
        if self.is_fsdp_enabled or self.is_deepspeed_enabled:
            for gradient in gradients:
                gradient.mul_(self._factor)
            norm = self.accelerator.clip_grad_norm_(model.parameters(), limit)
            norm = norm.full_tensor() if hasattr(norm, "full_tensor") else norm
            norm, factor = torch.as_tensor(norm), torch.ones_like(self._factor)
        else:
            norm = nn.utils.get_total_norm(gradients) * self._factor
            factor = self._factor * (limit / (norm + 1e-6)).clamp(max=1.0)
        self._step.norm = norm
        assert self._step.loss is not None
        self._is_bad = self._is_bad | ~(self._step.loss.isfinite() & norm.isfinite())
        optimizer: Any = getattr(self.optimizer, "optimizer", self.optimizer)
        # From a bad step on the weights stay as they are, so that the host need not wait to see it.
        stays = scale_next_step(optimizer, factor.masked_fill(self._is_bad, math.nan))
        self._unseen.append(self._step)
        if not stays:
            self.check_steps()
        return norm

    def check_steps(self) -> None:
        """Stop the run if a loss or a gradient of the steps since the last look was no number.

        Raises:
            UserError: one was; names the rows.
        """
        steps, self._unseen = self._unseen, []
        numbers = [torch.stack([s.loss.double(), s.norm.double()]) for s in steps]  # type: ignore[union-attr]
        for step, found in zip(steps, torch.stack(numbers).tolist() if steps else (), strict=True):
            for what, value in zip(("loss", "gradient norm"), found, strict=True):
                if not math.isfinite(value):
                    self._stop(step, f"the {what} of step {step.number} is {value}")

    def _stop(self, step: StepTotals, what: str) -> None:
        """Stop the run in every process; weights are as they were before `step`."""
        suspects = gather_objects([example.id for example in step.suspects()])
        names = [name for part in suspects for name in part]
        shown = "; ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
        kept = checkpoints.list_checkpoints(Path(self.args.output_dir))
        last = f"The last good checkpoint is {kept[-1]}. " if kept else ""
        raise UserError(
            f"{what}; weights were not changed. In the batch: {shown}.",
            where="training",
            mend=f"{last}Look at these rows, lower --learning-rate, or use --precision float32.",
        )

    # Held-out examples.

    def evaluate(
        self,
        eval_dataset: Sequence[Example] | None = None,
        ignore_keys: list[str] | None = None,  # noqa: ARG002 - transformers passes it
        metric_key_prefix: str = "eval",
    ) -> dict[str, float]:
        """Measure loss and metrics of held-out examples, exact over rows and processes."""
        self.check_steps()
        started = time.perf_counter()
        examples = self.task.held_out if eval_dataset is None else eval_dataset
        share = examples[self.accelerator.process_index :: self.accelerator.num_processes]
        was_training = self.model.training
        scored = self._assemble_all(self._rows(share, examples))
        means = self._means_of(scored)
        window, learner = Window(), self.task.learner(self.model)
        for row, inputs in scored:
            totals = learner.evaluate(inputs, means).metrics()
            window.add(totals if row.counts else _nothing(totals))
        self.model.train(was_training)
        if self.is_fsdp_enabled:
            reshard(self.model)
        averages = window.averages()
        seconds = time.perf_counter() - started
        metrics = {f"{metric_key_prefix}_{name}": value for name, value in averages.items()}
        metrics[f"{metric_key_prefix}_runtime"] = seconds
        self.log(metrics)
        control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        self.control: TrainerControl = control
        if self._window is not None:
            # What callbacks measure beside it is no training either.
            self._window.pause(time.perf_counter() - started)
        return metrics

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Add the window's averages and speed to transformers' own line of a training step."""
        seen = self.state.num_input_tokens_seen
        self.check_steps()
        if "loss" in logs and self._window is not None:
            logs |= self._window.averages()
            logs["num_tokens"] = float(seen)
            logs["tokens_per_second"] = self._window.speed(seen)
            self._window = Window(seen)
        super().log(logs, start_time)

    def floating_point_ops(self, inputs: StepShare) -> int:
        """Count six operations per weight and token (Kaplan et al. 2020, section 2.1)."""
        weights = sum(p.numel() for p in self.model.parameters())
        return 6 * weights * sum(row.num_tokens for row in inputs.rows)

    # Checkpoints.

    def _get_output_dir(self, trial: Any) -> str:
        return str(self._staging) if self._staging is not None else super()._get_output_dir(trial)

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        self.check_steps()
        folder = Path(self.args.output_dir)
        staged = partial(checkpoints.staged_checkpoint, is_main=self.args.should_save)
        with staged(folder, f"checkpoint-{self.state.global_step}", self.settings) as staging:
            self._staging = staging
            try:
                with quiet_transformers():
                    super()._save_checkpoint(model, trial)
            finally:
                self._staging = None
        if self.args.should_save and self.args.save_total_limit:
            checkpoints.remove_old(folder, self.args.save_total_limit)


def _nothing(totals: MetricTotals) -> MetricTotals:
    return MetricTotals(totals.names, torch.zeros_like(totals.values))

"""The part of an align run that holds weights: reference, training, saving, measuring, report."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from accordant.feedback.records import flat
from accordant.models.adapters import LoraOptions, attach_lora, is_adapted, reference_mode
from accordant.models.loading import LoadedModel, load
from accordant.models.saving import save_model
from accordant.reports.report import one_line, print_summary, write_report
from accordant.reports.results import HeldOut, KlEstimate, WinRate
from accordant.rewards.reward import Reward, read_answer
from accordant.rewards.wrappers import REFERENCE_ANSWERS, compares, with_reference_answers
from accordant.runs.align import AlignOutcome, Prepared, model_folder
from accordant.runs.generations import compare_generations
from accordant.runs.measure import (
    as_text,
    divergence,
    held_out_results,
    held_out_scores,
    prompts_of,
    sample_answers,
    sample_trees,
)
from accordant.runs.reporting import build_report
from accordant.runs.settings import AlignConfig
from accordant.runs.watch import make_monitor
from accordant.sampling.sampler import LocalSampler
from accordant.sampling.samples import Sample
from accordant.scoring.engine import base_model_of, score_all
from accordant.scoring.frozen import Frozen, cache_scores, freeze
from accordant.scoring.installation import install
from accordant.scoring.scores import Scores
from accordant.tokens.examples import Example
from accordant.tokens.fingerprint import fingerprint_tokenizer
from accordant.tokens.rendering import encode_prompt
from accordant.training.arguments import training_arguments
from accordant.training.preparations.mechanism import Parts, run_preparations
from accordant.training.processes import is_main_process, is_sharded, leave_processes
from accordant.training.progress import phase
from accordant.training.run import train
from accordant.training.sources import DataSet
from accordant.training.trainer import Task

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(frozen=True, slots=True)
class Start:
    """What is measured before the first step: held-out scores, and answers to held-out prompts."""

    scores: Scores | None
    prompts: tuple[tuple[int, ...], ...] = ()
    texts: tuple[str, ...] = ()
    answers: tuple[Sample, ...] = ()
    judge: Reward | None = None  # compares with answers of the start, where it compares


def _with_adapter(config: AlignConfig, model: nn.Module) -> nn.Module:
    """The model to train: itself, or with an adapter where one is asked for."""
    if config.is_full:
        return model
    targets = config.lora_targets
    lora = LoraOptions(
        rank=config.lora_rank,
        alpha=config.scale_of_adapter,
        dropout=config.lora_dropout,
        target_modules=targets[0] if targets == ("all-linear",) else targets,
    )
    adapted: nn.Module = attach_lora(model, lora, seed=config.seed)
    return adapted


def _held_out(ready: Prepared) -> tuple[Example, ...]:
    return () if ready.encoded_held_out is None else ready.encoded_held_out.examples


def _run_preparations(
    ready: Prepared, policy: Callable[[], nn.Module], console: Console
) -> Prepared:
    """Return `ready` with its examples prepared as the objective asks."""
    bench = replace(ready.bench, policy=policy, console=console)
    parts = run_preparations(bench, Parts(ready.encoded.examples, _held_out(ready)))
    held_out = ready.encoded_held_out
    return replace(
        ready,
        encoded=replace(ready.encoded, examples=parts.train),
        encoded_held_out=held_out and replace(held_out, examples=parts.held_out),
    )


def _reference(
    config: AlignConfig, ready: Prepared, model: nn.Module, console: Console
) -> Frozen | None:
    if not ready.objective.needs_reference:
        return None
    if config.reference == "online":
        return freeze(model, config.precision)
    examples = [*ready.encoded.examples, *_held_out(ready)]
    with phase(console, f"reference scores of {len(examples):,} records") as show:
        cache = cache_scores(
            model,
            examples,
            folder=config.cache_folder,
            tokenizer=fingerprint_tokenizer(ready.tokenizer),
            rendering=ready.rendering.fingerprint,
            precision=config.precision,
            token_budget=config.token_budget,
            progress=lambda done: show(f"reference scores {done:,}/{len(examples):,}"),
        )
    known = len(examples) - cache.computed
    console.print(f"reference: {cache.computed:,} records scored, {known:,} from the cache")
    return Frozen(cache)


def _answers(
    config: AlignConfig, ready: Prepared, model: nn.Module, prompts: Sequence[Sequence[int]]
) -> list[Sample]:
    return sample_answers(
        LocalSampler(model),
        prompts,
        temperature=config.temperature,
        max_new_tokens=config.max_new_tokens,
        stop_ids=ready.encoded.end_of_turn_ids,
        seed=config.seed,
    )


def _start(config: AlignConfig, ready: Prepared, model: nn.Module, console: Console) -> Start:
    """Measure the model before it changes; only the process that will report needs it."""
    held_out = _held_out(ready)
    if not (config.report and held_out and is_main_process() and ready.held_out is not None):
        return Start(None)
    texts = prompts_of(ready.relabelled.questions, config.sample_prompts)
    prompts = [encode_prompt(text, ready.tokenizer, ready.rendering) for text in texts]
    what = f"measuring the start: {len(held_out)} held-out records, {len(texts)} answers"
    with phase(console, what):
        start = Start(
            scores=held_out_scores(model, held_out, config.token_budget),
            prompts=tuple(prompts),
            texts=tuple(map(flat, texts)),
            answers=tuple(_answers(config, ready, model, prompts)),
            judge=ready.judge,
        )
        return _with_reference_answers(config, ready, model, start)


def _with_reference_answers(
    config: AlignConfig, ready: Prepared, model: nn.Module, start: Start
) -> Start:
    """Sample what the judge compares with, where it does: the start is the reference."""
    if not compares(ready.judge):
        return start
    # Another seed: with the same one the answers to be judged would be among them.
    other = config.model_copy(update={"seed": config.seed + 1})
    prompts = [prompt for prompt in start.prompts for _ in range(REFERENCE_ANSWERS)]
    texts = [text for text in start.texts for _ in range(REFERENCE_ANSWERS)]
    samples = _answers(other, ready, model, prompts)
    pairs = zip(texts, samples, strict=True)
    answers = [read_answer(text, sample, ready.tokenizer) for text, sample in pairs]
    return replace(start, judge=with_reference_answers(ready.judge, answers))


def execute(
    config: AlignConfig,
    ready: Prepared,
    planned: AlignOutcome,
    console: Console,
) -> AlignOutcome:
    """Train on what `prepare` made, save the model, measure it and write the report."""
    # First of all, as this is where several processes meet.
    args = training_arguments(
        config,
        feedback=ready.train.record_type,
        steps=planned.steps,
        held_out=planned.held_out,
    )

    @cache
    def policy() -> tuple[LoadedModel, nn.Module]:
        loaded = load(config)
        return loaded, install(_with_adapter(config, loaded.model))

    ready = _run_preparations(ready, lambda: policy()[1], console)
    loaded, model = policy()
    start = _start(config, ready, model, console)
    held_out = _held_out(ready)
    task = Task(
        source=DataSet(
            ready.encoded.examples,
            config.batch_size,
            config.seed,
        ),
        held_out=held_out,
        objective=ready.objective,
        options=ready.options,
        reference=_reference(config, ready, model, console),
    )
    monitor = make_monitor(config, ready, held_out, console)
    result = train(
        model, task, config, args=args, callbacks=[monitor] if monitor else [], console=console
    )
    weights = _gathered(result.model)
    main = is_main_process()
    leave_processes()
    folder = model_folder(config)
    outcome = replace(planned, steps=result.steps, model=str(folder))
    if not main:
        return outcome
    save_model(
        result.model,
        ready.tokenizer,
        folder,
        card=_card(config, ready),
        stop_ids=ready.encoded.end_of_turn_ids,
        overwrite=config.overwrite or config.resume,
        source=loaded.source,
        state_dict=weights,
    )
    console.print(f"Model: {folder}", markup=False, highlight=False)
    if not config.report:
        return outcome
    # Sharded weights cannot be scored by one process: what was saved is what is measured.
    final = result.model if weights is None else install(load(config, str(folder)).model)
    with phase(console, "measuring the result"):
        report = build_report(
            config,
            ready,
            result,
            held_out=_held_out_change(config, ready, start, final),
            **_sampled_change(config, ready, start, final),
            findings=monitor.findings() if monitor else (),
        )
    html, _ = write_report(report, config.output_dir)
    print_summary(report, console)
    console.print(f"Report: {html}", markup=False, highlight=False)
    return replace(outcome, report=str(html), summary=one_line(report))


def _gathered(model: nn.Module) -> Mapping[str, Tensor] | None:
    """All weights in full where they are sharded (every process takes part), else None."""
    from torch.distributed.tensor import DTensor

    if not is_sharded(model):
        return None
    return {
        name: (weight.full_tensor() if isinstance(weight, DTensor) else weight).detach().cpu()
        for name, weight in base_model_of(model).state_dict().items()
    }


def _held_out_change(
    config: AlignConfig, ready: Prepared, start: Start, model: nn.Module
) -> HeldOut | None:
    if start.scores is None:
        return None
    examples = _held_out(ready)
    end = held_out_scores(model, examples, config.token_budget)
    beta = float(ready.options.get("beta", 1.0))
    return held_out_results(examples, start.scores, end, beta)


def _sampled_change(
    config: AlignConfig, ready: Prepared, start: Start, model: nn.Module
) -> dict[str, Any]:
    """Win rates of the answers after training over those before it, and the divergence."""
    if not start.prompts:
        return {"win_rates": (), "kl": None}
    after = _answers(config, ready, model, start.prompts)
    rate = _win_rate(ready, start, after, start.judge or ready.judge)
    at_one = config if config.temperature == 1 else config.model_copy(update={"temperature": 1.0})
    samples = after if at_one is config else _answers(at_one, ready, model, start.prompts)
    return {"win_rates": (rate,), "kl": _kl(config, start, samples, model)}


def _win_rate(ready: Prepared, start: Start, after: Sequence[Sample], judge: Reward) -> WinRate:
    old, new = (
        [as_text(sample, ready.tokenizer) for sample in samples]
        for samples in (start.answers, after)
    )
    return compare_generations(start.texts, old, new, judge)


def _kl(
    config: AlignConfig, start: Start, samples: Sequence[Sample], model: nn.Module
) -> KlEstimate | None:
    """Divergence from the start: the weights with the adapter off, or loaded once more."""
    trees = sample_trees(start.prompts, samples)
    if not trees:
        return None
    policy = score_all(model, trees, config.token_budget)
    adapted = is_adapted(model)
    origin = model if adapted else install(load(config).model)
    with reference_mode(model) if adapted else nullcontext():
        reference = score_all(origin, trees, config.token_budget)
    return divergence(policy, reference)


def _card(config: AlignConfig, ready: Prepared) -> str:
    options = ", ".join(f"{name} {value}" for name, value in ready.options.items())
    return (
        f"# {config.output_dir.name}\n\n{config.model} trained with `{ready.objective.name}` "
        f"({options}) on {len(ready.encoded.examples)} {ready.train.record_type} records by "
        f"accordant {version('accordant')}. The run's report is report.html in the folder above.\n"
    )

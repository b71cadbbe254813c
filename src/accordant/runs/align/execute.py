"""The story of `accordant align`: prepare, train, save, measure, report.

Composes the rooms below. What holds weights is imported once the plan stands, so that a mistake of
the user is told at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from accordant.base.processes import is_first_process, is_main_process
from accordant.models.sources import RUN_MODEL
from accordant.runs.align.prepare import Prepared, plan_lines, prepare
from accordant.runs.resumption import Resumption, make_resumption
from accordant.runs.settings import AlignConfig

if TYPE_CHECKING:
    from rich.console import Console
    from torch import Tensor, nn

    from accordant.checks.findings import Finding
    from accordant.checks.monitor import Monitor
    from accordant.feedback.loading import Feedback
    from accordant.models.loading import LoadedModel
    from accordant.runs.align.measure import Start
    from accordant.runs.align.results import AlignResults
    from accordant.scoring.frozen import Frozen
    from accordant.training.run import TrainResult
    from accordant.training.trainer import Task

MONITORED_PROMPTS = 8  # answered at every look


@dataclass(frozen=True, slots=True)
class AlignOutcome:
    """What a run, or a dry run, tells at its end; plain values."""

    dry_run: bool
    method: str
    options: Mapping[str, Any]
    train: int
    held_out: int
    tokens: int
    steps: int
    memory_bytes: int
    model: str | None = None
    report: str | None = None
    summary: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class AlignedModel:
    """What a run leaves in memory beside what it tells.

    Args:
        config: its settings.
        outcome: counts, and where model and report were written.
        loaded: the trained model, ready to be scored, and its tokenizer; None of a dry run.
        history: logged rows, each with `step` and metrics; held-out metrics start with `eval_`.
        findings: of the checks during training.
        results: what the report shows; None without one.
    """

    config: AlignConfig
    outcome: AlignOutcome
    loaded: LoadedModel | None = None
    history: tuple[Mapping[str, Any], ...] = ()
    findings: tuple[Finding, ...] = ()
    results: AlignResults | None = None

    @property
    def model(self) -> Any:
        """The trained model, with its adapter if it has one; None of a dry run."""
        return self.loaded and self.loaded.model

    @property
    def tokenizer(self) -> Any:
        """The model's tokenizer; None of a dry run."""
        return self.loaded and self.loaded.tokenizer

    @property
    def folder(self) -> Path | None:
        """Folder the model was saved to; None of a dry run."""
        return None if self.outcome.model is None else Path(self.outcome.model)

    @property
    def report(self) -> Path | None:
        """Page that shows the run; None without one."""
        return None if self.outcome.report is None else Path(self.outcome.report)


def run_align(
    config: AlignConfig, *, console: Console, data: Feedback | None = None
) -> AlignedModel:
    """Validate, train, save, measure and report.

    Args:
        config: settings of the run; a dry run stops after the plan, before weights are loaded.
        console: where people read along; of several processes only the first prints.
        data: feedback at hand, in place of what the settings name.

    Raises:
        UserError: anything the user can mend.
    """
    # Every process would say the same.
    console.quiet = console.quiet or not is_first_process()
    ready = prepare(config, console, data)
    for line in plan_lines(ready):
        ready.session.say(line)
    plan = ready.plan
    planned = AlignOutcome(
        dry_run=config.dry_run,
        method=ready.objective.name,
        options=dict(ready.options),
        train=plan.examples,
        held_out=plan.held_out,
        tokens=plan.tokens,
        steps=plan.steps,
        memory_bytes=plan.memory.total,
    )
    resumption = make_resumption(config, ready.objective, ready.options, ready.parts.train)
    ended = resumption.find_end(ready.session.say)
    if ended is not None:
        model, page = config.output_dir / RUN_MODEL, config.output_dir / "report.html"
        report = str(page) if page.is_file() else None
        return AlignedModel(config, replace(planned, steps=ended, model=str(model), report=report))
    if config.dry_run:
        return AlignedModel(config, planned)
    return execute(ready, planned, resumption)


def execute(ready: Prepared, planned: AlignOutcome, resumption: Resumption) -> AlignedModel:
    """Train on what `prepare` made, save the model, measure it and write the report."""
    from accordant.runs.align.measure import measure_start
    from accordant.training.arguments import training_arguments
    from accordant.training.preparations.mechanism import run_preparations
    from accordant.training.processes import gather_weights, leave_processes
    from accordant.training.run import train

    config, session = ready.config, ready.session
    # First of all, as this is where several processes meet.
    args = training_arguments(
        config,
        feedback=ready.train.record_type,
        steps=planned.steps,
        held_out=planned.held_out,
    )
    if is_main_process():
        resumption.begin()
    ready = ready.with_parts(run_preparations(ready.bench, ready.parts))
    # Only the process that will report needs what is measured before the first step.
    start = measure_start(ready) if config.report and is_main_process() else None
    monitor = _monitor(ready)
    result = train(
        session.model,
        _task(ready),
        config,
        args=args,
        callbacks=[monitor] if monitor else [],
        console=session.console,
    )
    # Every process takes part in gathering, so it comes before they part.
    weights = gather_weights(result.model)
    main = is_main_process()
    leave_processes()
    folder = config.output_dir / RUN_MODEL
    done = AlignedModel(
        config,
        replace(planned, steps=result.steps, model=str(folder)),
        replace(session.loaded, model=result.model),
        result.history,
    )
    if not main:
        return done
    _save(ready, result.model, weights, folder)
    done = replace(done, findings=monitor.findings() if monitor else ())
    if config.report:
        # Sharded weights cannot be scored by one process: what was saved is what is measured.
        final = result.model if weights is None else session.other_model(str(folder))
        done = _report(ready, done, result, start, final)
    resumption.end(result.steps)
    return done


def _report(
    ready: Prepared, done: AlignedModel, result: TrainResult, start: Start | None, final: nn.Module
) -> AlignedModel:
    """Measure the trained model and write what changed."""
    from accordant.reports.terminal import print_report
    from accordant.reports.writing import write_report
    from accordant.runs.align.collect import collect_results
    from accordant.runs.align.measure import measure_change
    from accordant.runs.align.report import align_report
    from accordant.training.progress import phase

    session = ready.session
    with phase(session.console, "measuring the result"):
        change = measure_change(ready, start, final)
        results = collect_results(ready, result, change, done.findings)
    report = align_report(results)
    page, _ = write_report(report, ready.config.output_dir)
    print_report(report, session.console)
    session.say(f"Report: {page}")
    outcome = replace(done.outcome, report=str(page), summary=report.verdict)
    return replace(done, outcome=outcome, results=results)


def _task(ready: Prepared) -> Task:
    from accordant.training.sources import DataSet
    from accordant.training.trainer import Task

    return Task(
        source=DataSet(ready.parts.train, ready.config.batch_size, ready.config.seed),
        held_out=ready.parts.held_out,
        objective=ready.objective,
        options=ready.options,
        reference=_reference(ready) if ready.objective.needs_reference else None,
    )


def _reference(ready: Prepared) -> Frozen:
    """Return the model before training, live or from the cache."""
    from accordant.scoring.frozen import Frozen, cache_scores, freeze
    from accordant.tokens.fingerprint import fingerprint_tokenizer
    from accordant.training.progress import phase

    config, session = ready.config, ready.session
    if config.reference == "online":
        return freeze(session.model, config.precision)
    examples = ready.parts.all
    with phase(session.console, f"reference scores of {len(examples):,} records") as show:
        cache = cache_scores(
            session.model,
            examples,
            folder=session.cache,
            tokenizer=fingerprint_tokenizer(session.tokenizer),
            rendering=session.rendering.fingerprint,
            precision=config.precision,
            token_budget=config.token_budget,
            progress=lambda done: show(f"reference scores {done:,}/{len(examples):,}"),
        )
    known = len(examples) - cache.computed
    session.console.print(f"reference: {cache.computed:,} records scored, {known:,} from the cache")
    return Frozen(cache)


def _monitor(ready: Prepared) -> Monitor | None:
    """Make the monitor that settings ask for, on held-out pairs and prompts if there are any."""
    config, session, held_out = ready.config, ready.session, ready.parts.held_out
    if not config.watch:
        return None
    from accordant.checks.monitor import Monitor, WatchSettings
    from accordant.checks.snapshot import MonitorSet
    from accordant.runs.align.measure import first_prompts

    pairs = [e for e in held_out or ready.parts.train if e.kind == "comparison"]
    records = ready.relabelled.questions if held_out else ready.train.records
    monitored = MonitorSet(
        pairs=tuple(pairs[: config.watch_pairs]),
        prompts=tuple(map(session.encode_prompt, first_prompts(records, MONITORED_PROMPTS))),
        stop_ids=tuple(ready.encoded.end_of_turn_ids),
        token_budget=config.token_budget,
        seed=config.seed,
    )
    settings = WatchSettings(
        beta=float(ready.options.get("beta", 1.0)),
        stop_on=config.stop_on,
        file=config.output_dir / "watch.json",
    )
    return Monitor(monitored, settings, session.say)


def _save(
    ready: Prepared, model: nn.Module, weights: Mapping[str, Tensor] | None, folder: Path
) -> None:
    from accordant.models.saving import save_model

    config = ready.config
    options = ", ".join(f"{name} {value}" for name, value in ready.options.items())
    card = (
        f"# {config.output_dir.name}\n\n{config.model} trained with `{ready.objective.name}` "
        f"({options}) on {len(ready.encoded.examples)} {ready.train.record_type} records by "
        f"accordant {version('accordant')}. The run's report is report.html in the folder above.\n"
    )
    save_model(
        model,
        ready.session.tokenizer,
        folder,
        card=card,
        stop_ids=ready.encoded.end_of_turn_ids,
        overwrite=config.overwrite or config.resume,
        source=ready.session.loaded.source,
        state_dict=weights,
    )
    ready.session.say(f"Model: {folder}")

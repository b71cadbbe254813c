"""What objectives ask for is made in one place, for runs and for the laboratory alike."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, replace

import pytest

from accordant.base.discovery import load_modules
from accordant.base.errors import UserError
from accordant.objectives import preparations
from accordant.objectives.preparations import Detail, Preparation
from accordant.objectives.registry import bind_options, get_objective, list_objectives
from accordant.runs.settings import AlignConfig
from accordant.tokens.examples import Example, with_answers, with_numbers
from accordant.tokens.trees import TokenTree
from accordant.training import preparations as built_in
from accordant.training.preparations.mechanism import (
    check_preparations,
    plan_preparations,
    prepare_examples,
    prepares,
    run_preparations,
)
from accordant.training.preparations.workbench import Parts, Workbench

DECLARED = [
    kind
    for _, kind in inspect.getmembers(preparations, inspect.isclass)
    if issubclass(kind, Preparation) and kind not in (Preparation, Detail)
]


def thumb(index: int, prompt: int = 1) -> Example:
    return Example("binary", (TokenTree((1, prompt), ((2 + index,),)),), index, label=True)


def bench_of(name: str, **fields) -> Workbench:
    objective = get_objective(name)
    return Workbench(objective, bind_options(objective, {}), **fields)


@pytest.mark.parametrize("kind", DECLARED, ids=lambda kind: kind.__name__)
def test_every_declaration_has_a_file_a_noun_and_a_user(kind: type[Preparation]) -> None:
    assert kind.noun
    assert any(isinstance(n, kind) for objective in list_objectives() for n in objective.prepare)
    homes = load_modules(built_in.__name__, built_in.__path__)
    used = {thing for home in homes for thing in vars(home).values() if inspect.isclass(thing)}
    assert used & {kind, *kind.__bases__} - {Preparation}


def test_no_two_declarations_attach_under_one_name() -> None:
    names = [kind.attaches for kind in DECLARED if kind.attaches]
    assert len(names) == len(set(names))


@dataclass(frozen=True)
class Lengths(Preparation):
    """Tokens of every example, then twice as many: a plan and a run."""

    attaches = "length"
    noun = "lengths"


def test_plan_and_run_are_called_in_turn_on_both_parts() -> None:
    called = []

    def plan(need, bench, parts):
        called.append(("plan", bench.options["beta"]))
        return parts.with_examples(
            [with_numbers(e, need.attaches, (e.num_tokens,)) for e in parts.all]
        )

    def run(need, bench, parts):
        called.append(("run", bench.options["beta"]))
        return parts.with_examples(
            [with_numbers(e, need.attaches, (2 * e.numbers["length"][0],)) for e in parts.all]
        )

    prepares(Lengths, plan=plan, run=run)
    objective = replace(get_objective("dpo"), prepare=(Lengths(),))
    bench = Workbench(objective, {"beta": 0.3})
    planned = plan_preparations(bench, Parts((thumb(0), thumb(1)), (thumb(2),)))
    assert [e.numbers["length"] for e in planned.all] == [(3,)] * 3
    done = run_preparations(bench, planned)
    assert [e.numbers["length"] for e in done.all] == [(6,)] * 3
    assert (len(done.train), len(done.held_out)) == (2, 1)
    assert called == [("plan", 0.3), ("run", 0.3)]


def test_what_nobody_prepares_is_a_bug_by_name() -> None:
    class Unknown(Preparation):
        """Nobody's."""

    objective = replace(get_objective("dpo"), prepare=(Unknown(),))
    with pytest.raises(TypeError, match="nothing prepares Unknown"):
        check_preparations(Workbench(objective, {}))


def test_held_out_answers_are_mismatched_among_themselves() -> None:
    parts = Parts((thumb(0, 5), thumb(1, 6)), (thumb(2, 7), thumb(3, 8)))
    planned = plan_preparations(bench_of("kto"), parts)
    given = [example.trees[0].continuations[1] for example in planned.all]
    assert given == [(3,), (2,), (5,), (4,)]
    assert run_preparations(bench_of("kto"), planned) == planned


def test_what_a_caller_has_done_is_left_as_it_is() -> None:
    drawn = [with_answers(replace(thumb(n), label=False), "self_samples", [(9,)]) for n in range(2)]
    assert prepare_examples(bench_of("d2o"), drawn) == tuple(drawn)
    mismatched = prepare_examples(bench_of("kto"), [thumb(0, 5), thumb(1, 6)])
    assert [e.trees[0].continuations for e in mismatched] == [((2,), (3,)), ((3,), (2,))]
    assert prepare_examples(bench_of("kto"), mismatched) == mismatched


def test_settings_that_no_loss_would_read_are_refused() -> None:
    settings = AlignConfig(baseline_model=("embedded",))
    check_preparations(bench_of("poft", settings=settings))
    with pytest.raises(UserError, match="'sft' does not read scores of baselines") as error:
        check_preparations(bench_of("sft", settings=settings))
    assert error.value.where == "--baseline-model"

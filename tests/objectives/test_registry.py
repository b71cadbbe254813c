"""The registry: instant to list, clear when a name or a user's file is wrong."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from accordant.base.errors import UserError
from accordant.feedback.kinds import KINDS
from accordant.objectives import LossOutput, PairwiseScores, Sequences, registry
from accordant.objectives.batch import evaluate
from accordant.objectives.kinds.ranking import ListwiseScores
from accordant.objectives.preparations import PromptWeights
from accordant.objectives.registry import (
    bind_options,
    get_objective,
    list_objectives,
    load_objective_file,
    objective,
    temporary_objectives,
)
from accordant.scoring.scores import from_lists

FILE = '''
from accordant.objectives import LossOutput, PairwiseScores
from accordant.objectives.preparations import PromptWeights
from accordant.objectives.registry import objective


@objective(
    name="{name}", feedback="comparison", needs_reference=False, paper="none", formula="-m"
)
def margin(pairs: PairwiseScores, *, scale: float = 1.0) -> LossOutput:
    """Linear loss on the margin.

    Args:
        scale: slope.
    """
    return LossOutput(-scale * (pairs.chosen.policy.sum() - pairs.rejected.policy.sum()))
'''


@pytest.fixture(autouse=True)
def _nothing_stays_registered():
    with temporary_objectives():
        yield


def register(name: str, **changes: object):
    fields = {"feedback": "comparison", "needs_reference": False, "paper": "p", "formula": "f"}
    return objective(name=name, **{**fields, **changes})


def test_listing_imports_no_torch():
    code = (
        "import sys; from accordant.objectives.registry import list_objectives, bind_options; "
        "[bind_options(o, {}) for o in list_objectives()]; "
        "sys.exit('torch' in sys.modules or not list_objectives())"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_first_of_every_family_is_there():
    assert {"sft", "dpo", "ipo", "kto", "plackett_luce"} <= {o.name for o in list_objectives()}


def test_every_objective_is_described():
    for entry in list_objectives():
        assert entry.summary, entry.name
        assert entry.paper, entry.name
        assert entry.formula, entry.name
        assert all(option.help for option in entry.options), entry.name
        assert set(entry.feedback) <= set(KINDS), entry.name


def test_defaults_lie_within_their_own_ranges():
    for entry in list_objectives():
        given = {option.name: option.default for option in entry.options}
        assert bind_options(entry, given) == given


def test_an_unknown_name_suggests_the_nearest():
    with pytest.raises(UserError, match=r"no objective 'DOP'.*Did you mean 'dpo'\?.*plackett_luce"):
        get_objective("DOP")
    with pytest.raises(UserError, match="mean 'plackett_luce'"):
        get_objective("plackett-luce")


def test_a_users_file_registers_an_objective_that_runs(tmp_path: Path):
    file = tmp_path / "my_loss.py"
    file.write_text(FILE.format(name="linear_margin"))
    (entry,) = load_objective_file(file)
    assert entry is get_objective("linear_margin")
    assert entry.inputs is PairwiseScores
    assert not registry.is_built_in(entry)
    pairs = PairwiseScores(Sequences(from_lists([[-1.0, -2.0]])), Sequences(from_lists([[-5.0]])))
    output = evaluate(entry, pairs, bind_options(entry, {"scale": 2}))
    assert output.losses.tolist() == [-4.0]


def test_a_file_may_be_loaded_again_but_not_take_anothers_name(tmp_path: Path):
    file, other = tmp_path / "one.py", tmp_path / "two.py"
    file.write_text(FILE.format(name="linear_margin"))
    other.write_text(FILE.format(name="linear_margin"))
    load_objective_file(file)
    assert [entry.name for entry in load_objective_file(file)] == ["linear_margin"]
    with pytest.raises(UserError, match=r"'linear_margin' is taken by .*one.py"):
        load_objective_file(other)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1\nimport no_such_library\n", "line 2: ModuleNotFoundError: .*no_such_library"),
        ("x = 1\ny = (\n", "line 2: SyntaxError"),
        ("x = 1\n", "registers no objective"),
        (FILE.format(name="dpo"), "'dpo' is taken"),
        (FILE.format(name="My Loss"), "'My Loss' is no name"),
        (FILE.format(name="x").replace("comparison", "pairs"), "'pairs' is not a record type"),
    ],
)
def test_a_bad_file_is_the_users_mistake_and_registers_nothing(
    tmp_path: Path, text: str, message: str
):
    file = tmp_path / "bad.py"
    file.write_text(text)
    before = list_objectives()
    with pytest.raises(UserError, match=message) as error:
        load_objective_file(file)
    assert "bad.py" in str(error.value)
    assert list_objectives() == before


def test_a_missing_file_is_the_users_mistake(tmp_path: Path):
    with pytest.raises(UserError, match="not a Python file"):
        load_objective_file(tmp_path / "none.py")


def test_inputs_follow_from_the_annotation_or_else_from_the_feedback():
    @register("annotated", feedback="ranking")
    def annotated(pairs: PairwiseScores) -> LossOutput:
        """Pairs of a ranking."""
        raise NotImplementedError

    @register("plain", feedback="ranking")
    def plain(rankings):
        """Rankings."""
        raise NotImplementedError

    assert get_objective("annotated").inputs is PairwiseScores
    assert get_objective("plain").inputs is ListwiseScores


def test_a_loss_without_docstring_or_scores_is_refused():
    with pytest.raises(TypeError, match="docstring"):
        register("silent")(lambda pairs: None)

    def takes_nothing(*, beta: float = 0.1):
        """Nothing to take."""

    with pytest.raises(TypeError, match="first parameter"):
        register("empty")(takes_nothing)
    with pytest.raises(TypeError, match="annotate"):

        @register("unclear", feedback="rating")
        def unclear(ratings):
            """Ratings have no scores yet."""


def test_prompt_weights_are_asked_for_by_an_option_that_is_true_or_false():
    def loss(answers, *, match: float = 0.0):
        """Thumbs."""

    for option in ("match", "matched"):
        with pytest.raises(TypeError, match=f"an option `{option}` \\(true or false\\)"):
            register("weighing", feedback="binary", prepare=(PromptWeights(option),))(loss)


def test_a_shift_of_two_columns_is_averaged_where_each_applies():
    """The shift of BCO: half the sum of the mean reward of wanted and of unwanted answers."""
    from accordant.objectives.batch import column_means, column_totals
    from accordant.objectives.kinds.binary import BinaryScores

    def columns(answers: BinaryScores, *, beta: float) -> torch.Tensor:
        rewards, none = beta * answers.completion.policy.sum(), torch.tensor(float("nan"))
        up = answers.desirable
        return torch.stack([torch.where(up, rewards, none), torch.where(up, none, rewards)], dim=1)

    @register("shifted", feedback="binary", batch_means=columns)
    def shifted(answers: BinaryScores, *, means: torch.Tensor, beta: float = 1.0) -> LossOutput:
        """Rewards past a shift.

        Args:
            beta: scale.
        """
        return LossOutput(beta * answers.completion.policy.sum() - means.mean())

    entry = get_objective("shifted")
    options = bind_options(entry, {})

    def batch(logps: list[float], up: list[bool]) -> BinaryScores:
        return BinaryScores(Sequences(from_lists([[x] for x in logps])), torch.tensor(up))

    whole = evaluate(entry, batch([-1.0, -2.0, -6.0], [True, True, False]), options)
    assert whole.losses.tolist() == pytest.approx([2.75, 1.75, -2.25])
    parts = [batch([-1.0], [True]), batch([-2.0, -6.0], [True, False])]
    means = column_means(sum(column_totals(entry, part, options) for part in parts))
    losses = torch.cat([evaluate(entry, part, options, means).losses for part in parts])
    torch.testing.assert_close(losses, whole.losses)
    one_sided = column_means(column_totals(entry, batch([-1.0], [True]), options))
    assert one_sided[0] == -1.0
    assert one_sided[1].isnan()

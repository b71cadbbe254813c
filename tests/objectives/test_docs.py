"""The guide names every objective and option, and its examples run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from accordant.objectives.registry import (
    get_objective,
    is_built_in,
    list_objectives,
    temporary_objectives,
)

DOCS = Path(__file__).parents[2] / "docs"
OBJECTIVES = [pytest.param(o, id=o.name) for o in list_objectives() if is_built_in(o)]


def written(default: object) -> str:
    """A default as the page writes it: 0.1, 1, true, none, logistic."""
    if isinstance(default, bool) or default is None:
        return str(default).lower()
    return f"{default:g}" if isinstance(default, int | float) else str(default)


@pytest.fixture(scope="module")
def page() -> str:
    return (DOCS / "objectives.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_every_objective_has_its_row_with_formula_and_feedback(objective, page: str):
    row = next((r for r in page.splitlines() if r.startswith(f"| [`{objective.name}`]")), None)
    assert row is not None, f"docs/objectives.md has no row for {objective.name}"
    _, _, feedback, reference, formula, _ = re.split(r"(?<!\\)\|", row)
    assert formula.strip().replace("\\|", "|") == f"`{objective.formula}`"
    assert feedback.strip() == ", ".join(objective.feedback)
    assert reference.strip() == ("yes" if objective.needs_reference else "no")


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_every_objective_has_its_section_with_paper_and_options(objective, page: str):
    section = page.partition(f"\n## {objective.name}\n")[2].partition("\n## ")[0]
    assert objective.paper.split()[0] in section
    rows = dict(re.findall(r"\| `(\w+)` \| (\S+) \|", section))
    assert rows == {option.name: written(option.default) for option in objective.options}


def test_the_guide_to_adding_a_loss_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    text = (DOCS / "adding-a-loss.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 4
    with temporary_objectives():
        namespace: dict[str, object] = {"__name__": "guide"}
        for block in blocks:
            exec(compile(block, "adding-a-loss.md", "exec"), namespace)
        assert get_objective("margin_hinge").options[0].name == "gap"
        assert get_objective("centred_hinge").batch_means is not None


def test_the_guide_to_the_logic_runs():
    text = (DOCS / "logic.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 5
    with temporary_objectives():
        namespace: dict[str, object] = {}
        for block in blocks:
            exec(compile(block, "logic.md", "exec"), namespace)


def test_the_guide_to_the_logic_has_every_loss_on_comparisons_with_a_formula():
    text = (DOCS / "logic.md").read_text(encoding="utf-8")
    for objective in list_objectives():
        if is_built_in(objective) and objective.feedback[-1] == "comparison":
            named = f"`{objective.name}`" in text
            assert named or objective.feedback[0] == "ranking", objective.name

"""Grids: which runs a sweep has, and what is refused before any of them starts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accordant.base.errors import UserError
from accordant.base.setting_values import load_settings, settings_to_yaml
from accordant.runs.settings import AlignConfig
from accordant.runs.sweep.grid import Trial, make_trials, read_axes, show_value

BASE = AlignConfig(data="pairs.jsonl", output_dir=Path("out"), seed=7)


def trials(*sources: str, base: AlignConfig = BASE) -> tuple[Trial, ...]:
    return make_trials(base, read_axes(sources))


def varied(*sources: str, base: AlignConfig = BASE) -> list[dict[str, Any]]:
    return [dict(trial.varied) for trial in trials(*sources, base=base)]


def test_every_combination_is_a_run_objective_by_objective() -> None:
    found = varied("learning_rate=1e-6,5e-6", "method=dpo,ipo")
    assert found == [
        {"method": method, "learning_rate": rate}
        for method in ("dpo", "ipo")
        for rate in (1e-6, 5e-6)
    ]


def test_a_value_lands_in_the_settings_of_its_run() -> None:
    (trial,) = trials(
        "method=dpo", "option.beta=0.3", "lora_rank=8", "lora_targets=[q_proj,v_proj]"
    )
    config = trial.config
    assert (config.method, config.options, config.lora_rank) == ("dpo", {"beta": 0.3}, 8)
    assert config.lora_targets == ("q_proj", "v_proj")
    assert trial.label == "dpo beta=0.3 lora_rank=8 lora_targets=q_proj+v_proj"


def test_what_is_given_for_one_objective_replaces_what_is_given_for_all() -> None:
    found = varied(
        "method=dpo,ipo",
        "ipo.tau=0.1,0.2",
        "dpo.beta=1",
        "learning_rate=1e-6",
        "ipo.learning_rate=1",
    )
    assert found == [
        {"method": "dpo", "learning_rate": 1e-6, "option.beta": 1.0},
        {"method": "ipo", "option.tau": 0.1, "learning_rate": 1.0},
        {"method": "ipo", "option.tau": 0.2, "learning_rate": 1.0},
    ]


def test_options_given_for_all_runs_stay_unless_they_vary() -> None:
    base = BASE.model_copy(update={"options": {"beta": 0.5, "label_smoothing": 0.1}})
    found = trials("method=dpo", "option.beta=1,2", base=base)
    assert [trial.config.options for trial in found] == [
        {"beta": 1.0, "label_smoothing": 0.1},
        {"beta": 2.0, "label_smoothing": 0.1},
    ]


def test_runs_share_the_cache_and_the_held_out_prompts_whatever_the_seed() -> None:
    found = [trial.config for trial in trials("seed=0,1,2", "method=dpo,sft")]
    assert {config.cache_dir for config in found} == {Path("out/cache")}
    assert {config.held_out_seed for config in found} == {7}
    assert {config.seed for config in found} == {0, 1, 2}
    assert len({config.output_dir for config in found}) == 6
    assert all(config.resume and not config.sweep for config in found)
    own = BASE.model_copy(update={"cache_dir": Path("mine"), "held_out_seed": 3})
    (trial,) = trials("seed=1", base=own)
    assert (trial.config.cache_dir, trial.config.held_out_seed) == (Path("mine"), 3)


def test_a_run_keeps_its_folder_when_an_axis_gets_further_values() -> None:
    before = {trial.name for trial in trials("method=dpo", "option.beta=0.1,1")}
    after = {trial.name for trial in trials("method=dpo,ipo", "dpo.beta=0.1,0.5,1")}
    assert before < after
    # However a number is written, it is one value and one folder.
    assert before == {trial.name for trial in trials("method=dpo", 'option.beta=1e-1,"1"')}


@given(st.lists(st.floats(1e-12, 1e3), min_size=1, max_size=20, unique_by=show_value))
def test_folders_of_different_runs_differ(rates: list[float]) -> None:
    names = [trial.name for trial in trials(f"learning_rate={','.join(map(repr, rates))}")]
    assert len(set(names)) == len(rates)
    assert all(name == Path(name).name and len(name) <= 120 for name in names)


def test_settings_of_a_run_survive_their_file(tmp_path: Path) -> None:
    (trial,) = trials("method=dpo", "dpo.beta=0.3", "learning_rate=2e-6", "seed=3")
    file = tmp_path / "run.yaml"
    file.write_text(settings_to_yaml(trial.config))
    assert load_settings(AlignConfig, config_file=file) == trial.config


def test_a_file_is_read_like_the_command_line_which_beats_it(tmp_path: Path) -> None:
    file = tmp_path / "sweep.yaml"
    file.write_text(
        "method: [dpo, ipo]\nlearning_rate: [1e-6, 5e-6]\noptions:\n  label_smoothing: 0.1\n"
        "dpo:\n  beta: [0.1, 0.3]\n"
    )
    from_file = varied(str(file), "method=dpo", "option.label_smoothing=0.2")
    assert from_file == varied(
        "method=dpo",
        "learning_rate=1e-6,5e-6",
        "option.label_smoothing=0.2",
        "dpo.beta=0.1,0.3",
    )


@pytest.mark.parametrize(
    ("sources", "message"),
    [
        (["method=dpo,ln_dop"], "--sweep method: there is no objective 'ln_dop'.*ln_dpo"),
        (["method=dpo", "option.gamma=1"], "option.gamma: objective 'dpo': there is no option"),
        (["method=dpo,ipo", "option.tau=1"], "objective 'dpo'.*--sweep OBJECTIVE.tau="),
        (["method=dpo", "dpo.beta=-1"], "dpo.beta: objective 'dpo'.*above 0"),
        (["method=dpo", "ipo.tau=1"], "'ipo' is no objective of this sweep.*method=ipo"),
        (["option.beta=1", "dpo.beta=1"], "'dpo' is no objective of this sweep"),
        (["leraning_rate=1"], "Did you mean 'learning_rate'"),
        (["learning_rate=1e-6,fast"], "--sweep learning_rate: found 'fast', expected a number"),
        (["learning_rate=0"], "above 0"),
        (["method=dpo", "dpo.leraning_rate=1"], "dpo.leraning_rate: objective 'dpo': there is no"),
        (["method=dpo", "dpo.method=ipo"], "no method of its own"),
        (["learning_rate="], "no values"),
        (["learning_rate=1,1.0"], "value 1 is listed 2 times"),
        (["seed=0", "seed=1"], "'seed' is given 2 times"),
        (["=1"], "expected KEY=VALUE"),
        (["a.b.c=1"], "expected KEY=VALUE"),
        (["seed=0,{a: 1}"], "a mapping"),
        (["none.yaml"], "none.yaml: there is no such file"),
        *[
            ([f"{name}=1"], f"cannot vary '{name}'")
            for name in (
                "data",
                "model",
                "judge",
                "sample_prompts",
                "output_dir",
                "resume",
                "sweep",
            )
        ],
    ],
)
def test_what_is_wrong_with_a_grid_is_refused(sources: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        trials(*sources)


def test_an_option_given_for_all_that_one_objective_lacks_is_refused() -> None:
    base = BASE.model_copy(update={"options": {"beta": 0.5}})
    with pytest.raises(UserError, match="--option: objective 'sft'"):
        trials("method=dpo,sft", base=base)


def test_mistakes_in_a_file_are_told_by_line(tmp_path: Path) -> None:
    file = tmp_path / "sweep.yaml"
    file.write_text("method: [dpo]\ndpo:\n  beta: [0.1, much]\n")
    with pytest.raises(UserError, match=r"sweep.yaml, line 3, key dpo.beta: objective 'dpo'"):
        trials(str(file))
    file.write_text("method: [dpo]\ndpo:\n  beta:\n    - 1\n    - {a: 2}\n")
    with pytest.raises(UserError, match=r"line 3.*mapping"):
        trials(str(file))
    file.write_text("")
    with pytest.raises(UserError, match="names nothing to vary"):
        trials(str(file))

"""Settings of the verbs: groups of the rooms, composed, with flags that stay flat."""

from __future__ import annotations

import itertools

import pytest
from pydantic import BaseModel

from accordant.base.settings import options_of
from accordant.feedback.settings import FeedbackSettings
from accordant.models.settings import ModelSettings
from accordant.runs.settings import AlignConfig, ChatConfig, CheckConfig
from accordant.training.settings import TrainingSettings

VERBS = [AlignConfig, CheckConfig, ChatConfig]


@pytest.mark.parametrize("verb", VERBS)
def test_every_field_of_a_verb_is_a_flag_with_help_in_a_panel(verb: type[BaseModel]):
    options = list(options_of(verb))
    flags = [option.flag for option in options]
    assert len(set(flags)) == len(flags)
    assert all(option.flag.startswith("--") and option.help.endswith(".") for option in options)


@pytest.mark.parametrize("verb", [AlignConfig, CheckConfig])
def test_help_begins_with_the_data_then_the_model(verb: type[BaseModel]):
    panels = [panel for panel, _ in itertools.groupby(option.panel for option in options_of(verb))]
    assert panels[:2] == ["Data", "Model"]
    names = [option.name for option in options_of(verb) if option.panel == "Model"]
    assert names[0] == "model"


def test_a_verb_is_each_of_its_groups():
    """So that a function can ask for the group it needs and be given the verb's settings."""
    assert issubclass(AlignConfig, (TrainingSettings, FeedbackSettings))
    assert issubclass(CheckConfig, (ModelSettings, FeedbackSettings))
    assert not issubclass(CheckConfig, TrainingSettings)


def test_the_judge_is_the_rule_that_suits_the_feedback_until_one_is_named():
    assert AlignConfig().judge_for("bundled") == "rule:concise"
    assert CheckConfig().judge_for("rows.jsonl") == "finished"
    assert AlignConfig(judge="shorter").judge_for("bundled") == "shorter"


def test_a_revision_is_of_the_model_it_was_named_with_and_of_no_other():
    settings = ModelSettings(model="org/name", revision="v2", trust_remote_code=True)
    assert settings.access() == {"revision": "v2", "trust_remote_code": True}
    assert settings.access("org/name")["revision"] == "v2"
    assert settings.access("org/other") == {"revision": None, "trust_remote_code": True}

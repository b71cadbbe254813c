"""Options: read from signatures, checked against what users write."""

from __future__ import annotations

from typing import Annotated, Literal

import pytest
from pydantic import Field

from accordant.base.errors import UserError
from accordant.base.options import Count, Positive, bind_values, read_options


def loss(
    scores,
    *,
    means,
    beta: Positive = 0.1,
    samples: Count = 4,
    link: Literal["logistic", "hinge"] = "logistic",
    joint: bool = False,
    clip: Annotated[float, Field(ge=1, lt=9)] | None = None,
):
    """A loss.

    Args:
        scores: what it takes.
        means: averages over the batch.
        beta: strength of the pull
            towards the reference.
        samples: how many.

    Returns:
        nothing.
    """


OPTIONS = read_options(loss)


def bind(**given: object) -> dict:
    return bind_values(loss, given, where="objective 'loss'")


def test_options_are_the_keyword_only_parameters_with_their_docstring():
    assert [option.name for option in OPTIONS] == ["beta", "samples", "link", "joint", "clip"]
    beta, samples, link, joint, clip = OPTIONS
    assert (beta.type_name, beta.default) == ("number", 0.1)
    assert beta.help == "strength of the pull towards the reference."
    assert (samples.help, samples.expects) == ("how many.", "a whole number at least 1")
    assert (link.kind, link.choices) == ("text", ("logistic", "hinge"))
    assert (joint.type_name, joint.help) == ("true or false", "")
    assert clip.expects == "a number at least 1 and below 9, or none"


def test_defaults_fill_in_what_the_user_leaves_out():
    assert bind(beta=0.5) == {
        "beta": 0.5,
        "samples": 4,
        "link": "logistic",
        "joint": False,
        "clip": None,
    }


@pytest.mark.parametrize(
    ("name", "given", "value"),
    [
        ("beta", 1, 1.0),
        ("beta", "1e-3", 0.001),
        ("samples", "8", 8),
        ("samples", 8.0, 8),
        ("joint", "true", True),
        ("link", "hinge", "hinge"),
        ("clip", "none", None),
        ("clip", 2, 2.0),
    ],
)
def test_numbers_and_truth_values_may_be_text(name: str, given: object, value: object):
    bound = bind(**{name: given})[name]
    assert bound == value
    assert type(bound) is type(value)


@pytest.mark.parametrize(
    ("name", "given", "mend"),
    [
        ("beta", 0, "a number above 0"),
        ("beta", "strong", "a number above 0"),
        ("beta", True, "a number above 0"),
        ("beta", float("nan"), "a number above 0"),
        ("beta", float("inf"), "a number above 0"),
        ("beta", None, "a number above 0"),
        ("beta", [0.1], "a number above 0"),
        ("samples", 2.5, "a whole number at least 1"),
        ("samples", 0, "a whole number at least 1"),
        ("joint", 1, "true or false"),
        ("link", "probit", "one of logistic, hinge"),
        ("clip", 9, "at least 1 and below 9"),
    ],
)
def test_a_wrong_value_says_what_is_expected(name: str, given: object, mend: str):
    with pytest.raises(UserError) as error:
        bind(**{name: given})
    assert name in error.value.message
    assert repr(given) in error.value.message
    assert mend in error.value.mend
    assert error.value.where == "objective 'loss'"


def test_an_unknown_option_suggests_the_nearest_and_lists_all():
    with pytest.raises(UserError, match=r"no option 'Bta'.*mean 'beta'.*beta, samples, link"):
        bind(Bta=0.1)


def test_an_option_without_default_or_type_is_refused_when_it_is_registered():
    def no_default(scores, *, beta: float): ...

    def no_type(scores, *, beta=0.1): ...

    def no_option(scores, *, betas: list[float] = ()): ...

    for function in (no_default, no_type, no_option):
        with pytest.raises(TypeError, match="beta"):
            read_options(function)


def test_an_annotated_type_brings_its_help_and_a_docstring_beats_it():
    Pull = Annotated[float, Field(gt=0, description="how hard it pulls.")]

    def told(scores, *, beta: Pull = 0.1):
        """A loss.

        Args:
            beta: how near it stays.
        """

    def silent(scores, *, beta: Pull = 0.1):
        """A loss."""

    for function in (told, silent):
        function.__annotations__["beta"] = Pull
    assert [read_options(f)[0].help for f in (told, silent)] == [
        "how near it stays.",
        "how hard it pulls.",
    ]
    assert read_options(silent)[0].expects == "a number above 0"

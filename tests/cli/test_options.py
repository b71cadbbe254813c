"""A settings model as options: what is not given stays free for YAML."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
import typer
from typer.testing import CliRunner

from accordant.base.errors import UserError
from accordant.base.settings import Settings, setting
from accordant.cli.options import options_from


class Bake(Settings):
    """Settings of an imagined verb."""

    flour: str = setting("rye", "Kind of flour.", panel="Dough")
    minutes: int = setting(40, "Minutes in the oven.", ge=1)
    shape: Literal["round", "long"] = setting("round", "Shape [of the loaf].")
    glaze: bool = setting(False, "Glaze it.")
    crust: bool = setting(True, "Bake it dark.")
    seeds: tuple[str, ...] = setting((), "What to strew on it.")
    spices: dict[str, float] = setting({}, "Grams of a spice.", flag="--spice")
    tin: Path | None = setting(None, "Tin to bake in.")


@pytest.fixture
def baked() -> list[tuple[Bake, bool]]:
    return []


@pytest.fixture
def bake(baked: list[tuple[Bake, bool]]) -> Any:
    app = typer.Typer(rich_markup_mode="rich")

    @app.command()
    @options_from(Bake, suggest={"flour": lambda: ["rye", "wheat"]})
    def bake(
        config: Bake, quiet: Annotated[bool, typer.Option("--quiet", help="Say nothing.")] = False
    ) -> None:
        baked.append((config, quiet))

    def run(*arguments: str) -> Bake:
        result = CliRunner().invoke(app, list(arguments), env={"COLUMNS": "160"})
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == 0, result.output
        return baked[-1][0] if "--help" not in arguments else result.output  # type: ignore[return-value]

    return run


def test_without_options_the_defaults_hold(bake: Any) -> None:
    assert bake() == Bake()


def test_every_kind_of_option_reaches_its_field(bake: Any) -> None:
    arguments = (
        "--flour=12 --minutes 50 --shape long --glaze --no-crust --seeds poppy --seeds sesame "
        "--spice salt=9 --spice caraway=1.5 --tin a/b"
    )
    assert bake(*arguments.split()) == Bake(
        flour="12",
        minutes=50,
        shape="long",
        glaze=True,
        crust=False,
        seeds=("poppy", "sesame"),
        spices={"salt": 9, "caraway": 1.5},
        tin=Path("a/b"),
    )


def test_what_is_not_given_is_left_to_the_file(bake: Any, tmp_path: Path) -> None:
    file = tmp_path / "bake.yaml"
    file.write_text("glaze: true\ncrust: false\nseeds: [poppy]\nminutes: 5\nspices: {salt: 1}\n")
    assert bake("--config", str(file)) == Bake(
        glaze=True, crust=False, seeds=("poppy",), minutes=5, spices={"salt": 1}
    )
    changed = bake("--config", str(file), "--no-glaze", "--crust", "--seeds=x", "--spice=salt=2")
    assert changed == Bake(glaze=False, crust=True, seeds=("x",), minutes=5, spices={"salt": 2})


def test_an_explicit_default_beats_the_file_too(bake: Any, tmp_path: Path) -> None:
    file = tmp_path / "bake.yaml"
    file.write_text("minutes: 5\nflour: wheat\n")
    again = bake("--config", str(file), "--minutes", "40", "--flour", "rye")
    assert again == Bake()


def test_the_verbs_own_options_stay(bake: Any, baked: list[tuple[Bake, bool]]) -> None:
    bake("--quiet")
    assert baked[-1] == (Bake(), True)


def test_a_wrong_value_is_told_by_its_option(bake: Any) -> None:
    with pytest.raises(UserError, match="--minutes: found '0', expected a number of at least 1"):
        bake("--minutes", "0")
    with pytest.raises(UserError, match=r"--shape: found 'lnog'.* Did you mean 'long'"):
        bake("--shape", "lnog")
    with pytest.raises(UserError, match="together"):
        bake("--glaze", "--no-glaze")
    with pytest.raises(UserError, match="twice"):
        bake("--minutes", "3", "--set", "minutes=4")


def test_help_shows_defaults_choices_and_only_the_useful_form_of_a_switch(bake: Any) -> None:
    text = bake("--help")
    assert "[default: rye]" in text
    assert "One of: round, long." in text
    assert "Shape [of the loaf]." in text
    assert "--glaze" in text
    assert "--no-glaze" not in text
    assert "--no-crust" in text
    assert "--config" in text
    assert "--set" in text

"""A settings model as the options of a verb.

Knows Typer and the machinery of `accordant.base.settings`. Knows no verb: `options_from(Model)`
makes every field an option, and hands the verb one finished, validated settings object.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any

import typer
from pydantic import BaseModel
from rich.markup import escape

from accordant.base.errors import UserError
from accordant.base.setting_values import load_settings
from accordant.base.settings import Option, options_of

_OFF = "no_"  # before the field's name: the parameter of `--no-field`
_PANEL = "Configuration"
_CONFIG_HELP = "YAML file with any of these settings; explicit options beat it."
_SET_HELP = "Any setting by its name in YAML; repeatable."
Suggest = Callable[[], list[str]]


def options_from(
    model: type[BaseModel], suggest: Mapping[str, Suggest] = MappingProxyType({})
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Decorate a verb `f(settings, ...)`: every field of `model` becomes an option of the verb.

    The verb's parameters after the first stay options of their own. `--config FILE` and
    `--set key=value` are added. An option that nobody gives is None, so that YAML may supply it.

    Args:
        model: the settings model.
        suggest: by field, what shell completion offers; called only then. Fields with a fixed
            set of words need none.
    """

    def decorate(verb: Callable[..., None]) -> Callable[..., None]:
        further = list(inspect.signature(verb, eval_str=True).parameters.values())[1:]
        fields = [*options_of(model)]

        @functools.wraps(verb)
        def run(**given: Any) -> None:
            extra = {parameter.name: given.pop(parameter.name) for parameter in further}
            switches = {o.name: _switches(o, given) for o in fields if o.kind == "switch"}
            config_file, assignments = given.pop("config_file_"), given.pop("assignments_")
            settings = load_settings(
                model,
                config_file=config_file,
                # What nobody wrote is None or empty here, and must not hide what YAML says.
                options={k: v for k, v in (given | switches).items() if v not in (None, [], ())},
                assignments=assignments or (),
            )
            verb(settings, **extra)

        # Typer reads annotations before the signature, which holds the options.
        run.__annotations__ = {}
        config = typer.Option("--config", metavar="FILE", help=_CONFIG_HELP, rich_help_panel=_PANEL)
        sets = typer.Option("--set", metavar="KEY=VALUE", help=_SET_HELP, rich_help_panel=_PANEL)
        run.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            [
                *(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in further),
                *(p for option in fields for p in _parameters(option, suggest.get(option.name))),
                _keyword("config_file_", Annotated[Path | None, config]),
                _keyword("assignments_", Annotated[list[str] | None, sets]),
            ]
        )
        return run

    return decorate


def _keyword(name: str, annotation: Any, default: Any = None) -> inspect.Parameter:
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation
    )


def _parameters(option: Option, suggest: Suggest | None) -> Iterator[inspect.Parameter]:
    """Make typer's parameters, all of text: the settings' model reads them, as from any source."""
    shown: dict[str, Any] = {
        "help": _help(option),
        "show_default": False,
        "rich_help_panel": option.panel or None,
    }
    if option.kind == "switch":
        on, off = option.flag, f"--no-{option.flag.removeprefix('--')}"
        for flag, name in ((on, option.name), (off, _OFF + option.name)):
            # Help shows the form that changes the default; the other is taken all the same.
            hidden = (flag == on) == (option.default_text == "on")
            switch = typer.Option(flag, hidden=hidden, **shown)
            yield _keyword(name, Annotated[bool, switch], default=False)
        return
    types: dict[str, Any] = {"path": Path | None, "text": str | None}
    annotation = types.get(option.kind, list[str] | None)
    complete = _completion(option, suggest)
    value = typer.Option(option.flag, metavar=_metavar(option), autocompletion=complete, **shown)
    yield _keyword(option.name, Annotated[annotation, value])


def _switches(option: Option, given: dict[str, Any]) -> bool | None:
    """Read what the two forms of a switch say together; None when neither was given."""
    on, off = given.pop(option.name), given.pop(_OFF + option.name)
    if on and off:
        raise UserError(f"given together with --no-{option.flag[2:]}.", where=option.flag)
    return True if on else False if off else None


def _help(option: Option) -> str:
    words = f" One of: {', '.join(option.choices)}." if option.choices else ""
    if option.kind == "switch":
        default = "on by default; this turns it off" if option.default_text == "on" else ""
    else:
        default = option.default_text and f"default: {option.default_text}"
        default = "required" if option.required else default
    return escape(option.help + words + (f" [{default}]" if default else ""))


def _metavar(option: Option) -> str:
    if option.kind == "mapping":
        return "NAME=VALUE"
    if option.choices:
        return "WORD"
    names = {"whole number": "INTEGER", "number": "NUMBER", "text": "TEXT", "path": "PATH"}
    return names.get(option.type_name.partition(",")[0], "VALUE")


def _completion(option: Option, suggest: Suggest | None) -> Callable[[str], list[str]] | None:
    if suggest is None and not option.choices:
        return None
    # Looked up when somebody presses the key: a registry may have to be imported for it.
    words = suggest or (lambda: list(option.choices))
    return lambda incomplete: [word for word in words() if word.startswith(incomplete)]

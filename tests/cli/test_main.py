"""The command as a person meets it: fast, helpful, and never a traceback for a mistake."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from typing import Any

import pytest

from accordant import __version__
from accordant.cli.verbs import list_verbs, load_verb
from tests.cli.conftest import command, environment, run_command

HEAVY = ("torch", "transformers", "datasets", "plotly", "peft", "accelerate", "scipy", "numpy")


def seconds(*arguments: str) -> float:
    """The fastest of five: other work on the machine only ever adds time."""
    times = []
    for _ in range(5):
        start = time.perf_counter()
        subprocess.run(arguments, check=True, capture_output=True, timeout=60)
        times.append(time.perf_counter() - start)
    return min(times)


def test_import_and_help_are_instant() -> None:
    # Targets are 0.3 s and 0.5 s; three times that allows for a slow and busy machine, and is
    # still far below what one heavy import costs.
    assert seconds(sys.executable, "-c", "import accordant") < 0.9
    assert seconds(*command("--help")) < 1.5


@pytest.mark.parametrize(
    "statement",
    [
        "import accordant; dir(accordant); accordant.Comparison; accordant.list_systems()",
        "from accordant.cli import verbs; [verbs.load_verb(name) for name in verbs.list_verbs()]",
    ],
)
def test_starting_up_loads_nothing_heavy(statement: str) -> None:
    code = f"import sys\n{statement}\nprint([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("verb", list_verbs())
def test_help_of_every_verb_shows_examples_and_every_option(cli: Any, verb: str) -> None:
    result = cli(verb, "--help")
    assert result.exit_code == 0
    assert "Examples" in result.output
    assert f"accordant {verb}" in result.output.partition("Examples")[2]
    for parameter in load_verb(verb).params:
        if not getattr(parameter, "hidden", False):
            assert parameter.help
            shown = parameter.opts if parameter.param_type_name == "option" else [parameter.metavar]
            assert any(name in result.output for name in shown)


def test_help_lists_every_verb_with_the_first_line_of_its_own_help(cli: Any) -> None:
    output = cli("--help").output
    assert "Examples" in output
    for verb, record in list_verbs().items():
        assert record.panel in output
        assert record.summary in output
        assert load_verb(verb).help.partition("\n")[0] == record.summary


def test_the_version_is_printed(cli: Any) -> None:
    assert cli("--version").output == f"accordant {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["algin"], "'align'"),
        (["align", "--modle", "x"], "--model"),
        (["catalogue", "--serach", "x"], "--search"),
        (["catalogue", "--room", "objectve"], "Did you mean 'objectives'?"),
        (["catalogue", "--state", "wroks"], "Did you mean 'works'?"),
        (["catalogue", "nudgin"], "Did you mean 'nudging'?"),
        (["reproduce", "nudgin"], "Did you mean 'nudging'?"),
        (["reproduce", "nudging"], "planned"),
        (["reproduce", "dove", "--seeds", "1"], "--seeds"),
        (["reproduce"], "SLUG"),
        (["objectives", "dpp"], "dpo"),
        (["objectives", "--feedback", "binry"], "Did you mean 'binary'?"),
        (["align"], "--data bundled"),
        (["align", "--data", "x", "--epochs", "many"], "--epochs: found 'many'"),
        (["align", "--data", "x", "--on-bad-row", "skp"], "Did you mean 'skip'?"),
        (["align", "--data", "x", "--set", "sed=1"], "Did you mean 'seed'?"),
        (["align", "--data", "x", "--set", "seed"], "expected key=value"),
        (["align", "--data", "x", "--option", "beta"], "expected name=value"),
        (["align", "--config", "missing.yaml"], "missing.yaml"),
        (["align", "--config"], "--config"),
        (["align", "--data", "x", "--resume", "--no-resume"], "--no-resume"),
        (["align", "surplus"], "surplus"),
    ],
)
def test_a_mistake_is_told_readably_with_exit_code_2(
    cli: Any, arguments: list[str], says: str
) -> None:
    result = cli(*arguments)
    assert result.exit_code == 2
    assert says in result.stderr
    assert result.stdout == ""
    assert "Traceback" not in result.output


def test_a_mistake_is_one_line_on_standard_error() -> None:
    done = run_command("align")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("error: --data: ")


def test_debug_shows_the_traceback_of_a_mistake() -> None:
    for done in (run_command("--debug", "align"), run_command("align", ACCORDANT_DEBUG="1")):
        assert "Traceback" in done.stderr
        assert "UserError" in done.stderr
        assert done.returncode != 0


@pytest.fixture
def waiting(monkeypatch: pytest.MonkeyPatch) -> str:
    """A program whose `align` and `catalogue` hang until they are interrupted."""
    return """
import sys, time, types
import accordant.cli.catalogue as catalogue
def hang(*arguments, **options):
    print("started", flush=True)
    time.sleep(60)
module = types.ModuleType("accordant.runs.align.execute")
module.run_align = hang
sys.modules["accordant.runs.align.execute"] = module
catalogue.list_systems = hang
from accordant.cli.main import main
main()
"""


@pytest.mark.parametrize(
    ("arguments", "resumable"), [(["align", "--data", "x"], True), (["catalogue"], False)]
)
def test_an_interruption_says_how_to_go_on(
    waiting: str, arguments: list[str], resumable: bool
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", waiting, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "started\n"
    process.send_signal(signal.SIGINT)
    _, messages = process.communicate(timeout=60)
    assert process.returncode == 130
    assert messages.startswith("interrupted.")
    assert ("--resume" in messages) == resumable
    assert "Traceback" not in messages


@pytest.mark.parametrize("arguments", [["catalogue"], ["catalogue", "--json"], ["--help"]])
def test_a_reader_that_goes_away_is_no_error_to_look_at(arguments: list[str]) -> None:
    process = subprocess.Popen(
        command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    messages = process.stderr.read()
    process.stderr.close()
    process.wait(timeout=60)
    assert messages == b""


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_completion_script_is_produced(shell: str) -> None:
    done = run_command(_ACCORDANT_COMPLETE=f"source_{shell}")
    assert done.returncode == 0
    assert "_ACCORDANT_COMPLETE" in done.stdout


@pytest.mark.parametrize(
    ("words", "offers"),
    [
        ("accordant ", set(list_verbs())),
        ("accordant reproduce nud", {"nudging"}),
        ("accordant catalogue --state ", {"works", "planned"}),
        ("accordant align --on-bad-row ", {"error", "skip"}),
        ("accordant align --method d", {"dpo"}),
        ("accordant align --learning-", {"--learning-rate"}),
    ],
)
def test_completion_offers_verbs_options_and_values(words: str, offers: set[str]) -> None:
    done = run_command(
        _ACCORDANT_COMPLETE="complete_bash",
        COMP_WORDS=words,
        COMP_CWORD=str(len(words.split(" ")) - 1),
    )
    assert offers <= set(done.stdout.split())
    assert done.stderr == ""


def test_json_is_printed_without_colours_or_wrapping() -> None:
    done = run_command("catalogue", "--json", FORCE_COLOR="1", COLUMNS="20")
    assert len(json.loads(done.stdout)) == 75


@pytest.mark.parametrize(
    ("word", "verb"),
    [
        ("train", "align"),
        ("trian", "align"),
        ("evaluate", "eval"),
        ("generate", "chat"),
        ("chekc", "check"),
        ("export", "merge"),
    ],
)
def test_a_near_miss_of_a_verb_suggests_it(cli: Any, word: str, verb: str) -> None:
    result = cli(word)
    assert result.exit_code == 2
    assert f"Did you mean '{verb}'?" in " ".join(result.stderr.split())

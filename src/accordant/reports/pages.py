"""Self-contained HTML pages and strict JSON: what every report is written with.

Knows templates, scripts, plots and files. Knows nothing of what a page reports. Everything that
came from people or models is escaped by the template, and a page forbids every script but its own
(by hash) and every request over the network.
"""

from __future__ import annotations

import base64
import dataclasses
import functools
import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from accordant._version import __version__
from accordant.base.errors import UserError
from accordant.base.files import write_whole
from accordant.statistics.wording import ends, number, percent

if TYPE_CHECKING:
    from accordant.reports.charts import Plot

_PARTS = Path(__file__).parent / "page"
# Control characters become their visible pictures, so that nothing in a text can hide.
_VISIBLE = {code: 0x2400 + code for code in range(32) if chr(code) not in "\n\t"} | {127: 0x2421}


def render_page(template: str, plots: Sequence[Plot], /, **values: Any) -> str:
    """A page that needs no other file and no network.

    Args:
        template: file in `page/`.
        plots: all plots that the page shows.
        values: what the template reads.
    """
    from jinja2 import Environment as Templates
    from jinja2 import FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    scripts = {"plotly_code": plotly_code(), "page_code": _read("report.js")}
    templates = Templates(
        loader=FileSystemLoader(_PARTS),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    templates.filters |= {
        "visible": visible,
        "number": number,
        "percent": percent,
        "spread": ends,
    }
    return templates.get_template(template).render(
        version=__version__,
        policy=_content_policy(scripts.values()),
        style=Markup(_read("report.css")),
        plots_json=Markup(_plots_json(plots)),
        **{name: Markup(code) for name, code in scripts.items()},
        **values,
    )


def visible(text: str) -> str:
    """The text with control characters replaced by their visible pictures."""
    return text.translate(_VISIBLE)


@functools.cache
def plotly_code() -> str:
    """The plotting library's script, as it stands in a page."""
    from plotly.offline import get_plotlyjs

    code: str = get_plotlyjs()
    # Parsers turn CR LF into LF before hashing; a closing tag inside would end the element.
    return code.replace("\r\n", "\n").replace("</script", "<\\/script")


def to_json(content: Mapping[str, Any]) -> str:
    """Strict JSON of records, mappings and numbers; what is not finite is null."""
    return json.dumps(to_plain(content), ensure_ascii=False, allow_nan=False, indent=1) + "\n"


def to_plain(value: Any) -> Any:
    """Dataclasses, mappings, sequences and numpy scalars as JSON values; not finite is None.

    A record is written field by field, or as its `to_json` says.
    """
    if hasattr(value, "to_json"):
        return to_plain(value.to_json())
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): to_plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [to_plain(inner) for inner in value]
    if hasattr(value, "tolist"):
        return to_plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | int | bool):
        return value
    return str(value)


def write_files(folder: Path, texts: Mapping[str, str]) -> None:
    """Write a report's files into `folder`; each appears whole or not at all.

    Raises:
        UserError: the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            # A lone surrogate (broken input) becomes its escape, in JSON valid as it stands.
            write_whole(folder / name, text.encode("utf-8", "backslashreplace"))
    except OSError as error:
        raise UserError(
            f"the report cannot be written: {error.strerror or error}.",
            where=str(folder),
            mend="Choose a folder that can be written and has 10 MB of space.",
        ) from error


def _plots_json(plots: Sequence[Plot]) -> str:
    """The figures as JSON that is inert inside a script element, whatever it contains."""
    figures = [
        {"id": plot.identifier, **json.loads(plot.figure.to_json(validate=True))} for plot in plots
    ]
    text = json.dumps(figures, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _content_policy(scripts: Iterable[str]) -> str:
    """A content security policy that allows the page's own scripts by hash, and no requests."""
    hashes = " ".join(map(_source_hash, scripts))
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )


@functools.lru_cache(maxsize=4)
def _source_hash(code: str) -> str:
    digest = hashlib.sha256(code.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _read(name: str) -> str:
    return (_PARTS / name).read_text(encoding="utf-8")

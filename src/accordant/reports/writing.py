"""Reports as files: the page, the same as strict JSON, and whatever lies beside them.

Knows reports and folders. Knows nothing of what a report says.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from accordant._version import __version__
from accordant.base.errors import UserError
from accordant.base.files import write_whole
from accordant.reports.pages import render_html
from accordant.reports.report import Report


def write_report(report: Report, folder: Path) -> tuple[Path, Path]:
    """Write a report's page and JSON into `folder`, replacing those of an earlier write.

    Returns:
        The paths of the page and of the JSON.

    Raises:
        UserError: the folder cannot be written.
    """
    page, data = folder / f"{report.name}.html", folder / f"{report.name}.json"
    # The page comes last: where it is, all of them are.
    texts = {data.name: render_json(report), **report.further, page.name: render_html(report)}
    write_files(folder, texts)
    return page, data


def json_values(report: Report) -> dict[str, Any]:
    """Return a report's record as JSON values, with `schema_version` and `verdict` in front."""
    head = {
        "schema_version": report.schema,
        "generator": f"accordant {__version__}",
        "verdict": report.verdict,
    }
    return head | dict(to_plain(report.record))


def render_json(report: Report) -> str:
    """Render a report as strict JSON; what is not finite (nothing measured) is null."""
    return to_json(json_values(report))


def to_json(content: Mapping[str, Any]) -> str:
    """Render records, mappings and numbers as strict JSON; what is not finite is null."""
    return json.dumps(to_plain(content), ensure_ascii=False, allow_nan=False, indent=1) + "\n"


def to_plain(value: Any) -> Any:
    """Return dataclasses, mappings, sequences and numpy scalars as JSON values.

    A record is written field by field, or as its `to_json` says; what is not finite is None.
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

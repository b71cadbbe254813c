"""Reports as data, and the one page, the one JSON and the one terminal writer of all verbs."""

from __future__ import annotations

from accordant.base.public import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "drawing": ("describe", "draw"),
        "pages": ("render_html",),
        "report": (
            "Answers",
            "Cell",
            "Column",
            "ComparedAnswer",
            "ComparedPair",
            "Facts",
            "Figures",
            "Findings",
            "Notice",
            "Plots",
            "Prose",
            "Report",
            "Section",
            "Table",
        ),
        "terminal": ("print_report",),
        "writing": ("render_json", "write_report"),
    },
)

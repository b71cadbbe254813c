"""Reports as data, and the one page, the one JSON and the one terminal writer of all verbs."""

from __future__ import annotations

from accordant.base.public import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "drawing": ("describe_chart", "draw_chart"),
        "finding_views": ("view_findings",),
        "pages": ("render_html",),
        "report": (
            "Answers",
            "Cell",
            "ComparedAnswer",
            "ComparedPair",
            "Facts",
            "Figures",
            "Findings",
            "Notice",
            "Part",
            "Plots",
            "Prose",
            "Report",
            "Section",
            "Table",
            "TableColumn",
            "columns",
        ),
        "terminal": ("print_report",),
        "writing": ("json_values", "render_json", "to_plain", "write_report"),
    },
)

"""The page of a check in a real browser."""

from __future__ import annotations

import re

from accordant.reports.writing import write_report
from accordant.runs.check_report import build_check_report
from tests.real.test_report_in_a_browser import open_page, pytestmark, with_script
from tests.reports.sample_findings import make_finding
from tests.runs.test_check_report import HOSTILE, make_report

__all__ = ["pytestmark"]


def test_every_plot_is_drawn_and_the_console_stays_empty(tmp_path):
    report = make_report(make_finding(HOSTILE), make_finding("quiet", "ok"), text=HOSTILE)
    page, _ = write_report(build_check_report(report), tmp_path)
    dom, console = open_page(page, tmp_path / "profile")
    assert console == []
    assert dom.count('data-drawn="yes"') == dom.count("data-plot=") == 8


def test_a_link_to_a_row_opens_its_whole_text(tmp_path):
    report = make_report(make_finding(severity="ok"))
    page, _ = write_report(build_check_report(report), tmp_path)
    code = (
        'document.querySelector(".row summary a").click();'
        "setTimeout(() => { document.title = [...document.querySelectorAll('details[open]')]"
        '.map((one) => one.id || one.className).join(" "); }, 500);'
    )
    dom, _ = open_page(with_script(page, code), tmp_path / "profile")
    title = re.search("<title>(.*?)</title>", dom)[1]
    assert title == "rows displacement-0-row-1"

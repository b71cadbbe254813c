from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from accordant.reports import writing
from accordant.runs.sweep.report import sweep_report
from tests.reports.sample_reports import comparison_report, every_kind_of_report
from tests.reports.test_report import write_report
from tests.runs.sweep.test_sweep_report import GRID, results

BROWSER = next(
    (found for name in ("chromium", "google-chrome", "chrome") if (found := shutil.which(name))),
    None,
)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="needs the chromium browser, not found")

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--enable-logging=stderr", "--virtual-time-budget=8000", "--window-size=1280,1000"),
)


def open_page(path, profile, *flags):
    """The page's DOM after its scripts have run, and what it wrote to the console."""
    done = subprocess.run(
        [BROWSER, *FLAGS, *flags, f"--user-data-dir={profile}", "--dump-dom", path.as_uri()],
        capture_output=True,
        text=True,
        timeout=180,
        check=True,
    )
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def with_script(page, code):
    """The same page with a script that runs last, and without the policy that would forbid it."""
    html = page.read_text(encoding="utf-8")
    html = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", html)
    page.write_text(html.replace("</body>", f"<script>{code}</script></body>"), encoding="utf-8")
    return page


@pytest.mark.parametrize("kind", sorted(every_kind_of_report()))
def test_every_visible_plot_is_drawn_and_the_console_stays_empty(kind, tmp_path):
    page, _ = write_report(every_kind_of_report()[kind], tmp_path)
    dom, console = open_page(page, tmp_path / "profile")
    assert console == []
    folded = dom.count('data-plot="further-')
    assert dom.count('class="plot') >= 1
    assert dom.count('data-drawn="yes"') == dom.count("data-plot=") - folded
    assert dom.count('class="plot-container plotly"') == dom.count('data-drawn="yes"')


def test_every_plot_of_a_sweep_is_drawn_and_the_console_stays_empty(tmp_path):
    dom, console = open_page(
        writing.write_report(sweep_report(results(*GRID)), tmp_path)[0], tmp_path / "profile"
    )
    assert console == []
    assert dom.count('data-drawn="yes"') == dom.count("data-plot=") == 5


def test_a_script_that_is_not_the_pages_own_does_not_run(tmp_path):
    page, _ = write_report(comparison_report(), tmp_path)
    html = page.read_text(encoding="utf-8")
    page.write_text(html.replace("</body>", "<script>document.title = 'taken'</script></body>"))
    dom, console = open_page(page, tmp_path / "profile")
    assert "<title>taken</title>" not in dom
    assert any("Content Security Policy" in line for line in console)


def test_answers_can_be_searched_filtered_and_unfolded(tmp_path):
    page, _ = write_report(comparison_report(), tmp_path)
    steps = """
    const say = () => document.getElementById("shown").textContent;
    const act = (id, key, value) => {
      const one = document.getElementById(id);
      one[key] = value;
      one.dispatchEvent(new Event("input", { bubbles: true }));
      return say();
    };
    const fold = document.querySelector("button.fold");
    const before = fold.getAttribute("aria-expanded");
    fold.click();
    document.title = [
      act("search", "value", "basil WINDOWSILL"), act("search", "value", ""),
      act("outcome", "value", "loss"), act("changed", "checked", true),
      act("outcome", "value", "tie"), before, fold.getAttribute("aria-expanded"),
    ].join(" | ");
    """
    dom, _ = open_page(with_script(page, steps), tmp_path / "profile")
    title = re.search(r"<title>(.*?)</title>", dom).group(1)
    assert title.split(" | ") == [
        *("6 of 24 prompts", "24 of 24 prompts", "4 of 24 prompts", "4 of 24 prompts"),
        *("0 of 24 prompts", "false", "true"),
    ]


def test_nothing_overflows_a_phone(tmp_path):
    page, _ = write_report(comparison_report(), tmp_path)
    steps = """
    const wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
    document.title = `overflow ${wide}`;
    """
    page = with_script(page, steps)
    outer = tmp_path / "outer.html"
    outer.write_text(
        "<iframe id=f src=report.html width=360 height=800></iframe><script>"
        "f.onload = () => setTimeout(() => { document.title = f.contentDocument ? "
        "f.contentDocument.title : 'closed' }, 2000)</script>"
    )
    dom, _ = open_page(outer, tmp_path / "profile", "--allow-file-access-from-files")
    assert "<title>overflow 0</title>" in dom

"use strict";
(() => {
  const root = document.documentElement;
  root.classList.add("js");
  const scheme = window.matchMedia("(prefers-color-scheme: dark)");
  const specifications = JSON.parse(document.getElementById("plots").textContent);
  const byId = new Map(specifications.map((one) => [one.id, one]));

  // Plots: colours of text and grid come from the page's own variables.
  function themed(layout) {
    const style = getComputedStyle(root);
    const colour = (name) => style.getPropertyValue(name).trim();
    const copy = structuredClone(layout);
    copy.font = { ...copy.font, color: colour("--text"), family: colour("--sans") };
    copy.hoverlabel = { bgcolor: colour("--card"), bordercolor: colour("--line"), font: { color: colour("--text") } };
    copy.modebar = { bgcolor: "rgba(0,0,0,0)", color: colour("--muted"), activecolor: colour("--accent") };
    for (const key of Object.keys(copy)) {
      if (!/^[xy]axis\d*$/.test(key)) continue;
      Object.assign(copy[key], {
        gridcolor: colour("--grid"), linecolor: colour("--line"), tickcolor: colour("--line"),
        tickfont: { color: colour("--muted") },
      });
      const title = copy[key].title;
      copy[key].title = { ...title, font: { color: colour("--muted"), size: 12 } };
    }
    for (const note of copy.annotations || []) note.font = { ...note.font, color: colour("--muted") };
    return copy;
  }
  const settings = {
    responsive: true, displaylogo: false,
    displayModeBar: window.matchMedia("(hover: hover)").matches ? "hover" : false,
    modeBarButtonsToRemove: ["select2d", "lasso2d", "zoomIn2d", "zoomOut2d", "pan2d"],
  };
  function draw(element) {
    const one = byId.get(element.dataset.plot);
    if (!one || element.closest("details:not([open])")) return;
    Plotly.react(element, one.data, themed(one.layout), settings);
    element.dataset.drawn = "yes";
  }
  const plots = [...document.querySelectorAll("[data-plot]")];
  const drawAll = () => plots.forEach(draw);
  drawAll();
  scheme.addEventListener("change", drawAll);
  window.addEventListener("afterprint", drawAll);
  window.addEventListener("beforeprint", () => {
    document.querySelectorAll("details").forEach((one) => { one.open = true; });
    drawAll();
    plots.forEach((one) => one.dataset.drawn && Plotly.Plots.resize(one));
  });
  document.querySelectorAll("details").forEach((one) => {
    one.addEventListener("toggle", () => one.open && one.querySelectorAll("[data-plot]").forEach(draw));
  });

  // A link to a row opens it, and what it lies in.
  function openTarget() {
    let one = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const target = one;
    for (; one; one = one.parentElement) if (one.tagName === "DETAILS") one.open = true;
    if (target) target.scrollIntoView();
  }
  window.addEventListener("hashchange", openTarget);
  if (location.hash) openTarget();

  // Answers: long texts fold, and rows can be searched and filtered.
  const rows = [...document.querySelectorAll(".answers tbody tr")];
  for (const text of document.querySelectorAll(".answers .text")) {
    if (text.textContent.length < 420 && text.textContent.split("\n").length < 8) continue;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "fold";
    const set = (folded) => {
      text.classList.toggle("folded", folded);
      button.textContent = folded ? "Show all" : "Show less";
      button.setAttribute("aria-expanded", String(!folded));
    };
    button.addEventListener("click", () => set(!text.classList.contains("folded")));
    set(true);
    text.after(button);
  }
  const search = document.getElementById("search");
  if (!search) return;
  const outcome = document.getElementById("outcome");
  const changed = document.getElementById("changed");
  const shown = document.getElementById("shown");
  const contents = rows.map((row) =>
    [...row.querySelectorAll(".text")].map((one) => one.textContent).join("\n").toLowerCase());
  function filter() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    rows.forEach((row, index) => {
      const keep = (!outcome.value || row.dataset.outcome === outcome.value)
        && (!changed.checked || row.dataset.changed === "yes")
        && words.every((word) => contents[index].includes(word));
      row.hidden = !keep;
      count += keep;
    });
    shown.textContent = `${count} of ${rows.length} prompts`;
  }
  for (const one of [search, outcome, changed]) one.addEventListener("input", filter);
  filter();
})();


"use strict";
// The tables are in the page already: this sorts and searches them, and draws the timeline. What is chosen stands in the
// address, #sort=bytes&order=desc&search=numpy&from=1.5&to=20 (milliseconds), so that it can be kept and passed on.

const data = JSON.parse(document.getElementById("data").textContent);
const timeline = document.getElementById("timeline");
const search = document.getElementById("search");
const table = document.getElementById("table");
const headers = [...table.tHead.rows[0].cells];
const rows = [...table.tBodies[0].rows]; // in the order of data.modules
const LANE = 20, BAR = 17, STRIP = 4, AXIS = 22;
const whole = { from: data.from, to: Math.max(data.to, data.from + 0.001) };
const view = { ...whole, sort: "start", order: "asc", search: "", chosen: -1 };

// ---- the address

function readAddress() {
  const given = new URLSearchParams(location.hash.slice(1));
  const number = (name) => (given.get(name) !== null && isFinite(given.get(name)) ? Number(given.get(name)) : whole[name]);
  Object.assign(view, { from: number("from"), to: number("to"), search: given.get("search") ?? "" });
  if (!(view.from < view.to)) Object.assign(view, whole);
  const header = headers.find((each) => each.dataset.key === given.get("sort"));
  view.sort = header ? header.dataset.key : "start";
  view.order = ["asc", "desc"].includes(given.get("order")) ? given.get("order") : firstOrder(view.sort);
}

function writeAddress() {
  const kept = new URLSearchParams();
  if (view.sort !== "start" || view.order !== "asc") {
    kept.set("sort", view.sort);
    if (view.order !== firstOrder(view.sort)) kept.set("order", view.order);
  }
  if (view.search) kept.set("search", view.search);
  for (const end of ["from", "to"]) if (view[end] !== whole[end]) kept.set(end, view[end].toFixed(3));
  history.replaceState(null, "", "#" + kept);
}

function firstOrder(key) {
  const numeric = headers.find((each) => each.dataset.key === key).classList.contains("n");
  return numeric && key !== "start" ? "desc" : "asc";
}

// ---- the table

function value(row, column) {
  const cell = row.cells[column];
  return "v" in cell.dataset ? Number(cell.dataset.v) : cell.textContent;
}

function showTable() {
  const column = headers.findIndex((each) => each.dataset.key === view.sort);
  const sign = view.order === "asc" ? 1 : -1;
  const compare = (a, b) => (typeof a === "number" ? a - b : a < b ? -1 : a > b ? 1 : 0);
  const keyed = rows.map((row, number) => ({ row, number, key: value(row, column) }));
  keyed.sort((a, b) => sign * compare(a.key, b.key) || a.number - b.number);
  table.tBodies[0].append(...keyed.map((each) => each.row));
  for (const each of headers) each.ariaSort = each.dataset.key !== view.sort ? null : sign > 0 ? "ascending" : "descending";
  const matching = data.modules.filter(matches).length;
  rows.forEach((row, number) => {
    row.hidden = !matches(data.modules[number]);
    row.classList.toggle("chosen", number === view.chosen);
  });
  document.getElementById("matches").textContent = view.search ? `${matching} of ${rows.length}` : `${rows.length} modules`;
}

function matches(module) {
  const wanted = view.search.toLowerCase();
  return !wanted || [module.name, module.by, module.from].some((text) => text.toLowerCase().includes(wanted));
}

// ---- the timeline

function element(parent, name, attributes, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, each] of Object.entries(attributes)) made.setAttribute(key, each);
  if (text !== undefined) made.textContent = text;
  parent.append(made);
  return made;
}

function showTimeline() {
  const width = timeline.clientWidth;
  const scale = width / (view.to - view.from);
  const x = (time) => (time - view.from) * scale;
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const lanes = element(svg, "g", {});
  let top = AXIS;
  for (const thread of data.threads) {
    const mine = data.modules.filter((module) => module.thread === thread);
    if (data.threads.length > 1) {
      element(svg, "text", { x: 0, y: top + 13, class: "thread" }, `thread ${thread}`);
      top += 18;
    }
    for (const module of mine) drawBar(lanes, module, x, top + module.depth * LANE, width);
    top += (Math.max(...mine.map((module) => module.depth)) + 1) * LANE + 6;
  }
  drawAxis(svg, x, width, top);
  svg.append(lanes);
  svg.setAttribute("height", top);
  timeline.replaceChildren(svg);
}

function drawBar(parent, module, x, top, width) {
  const clip = (time) => Math.min(Math.max(x(time), -2), width + 2);
  const left = clip(module.start), right = clip(module.start + module.total);
  if (right <= 0 || left >= width) return;
  const number = data.modules.indexOf(module);
  const classes = ["bar", matches(module) ? "" : "dim", number === view.chosen ? "chosen" : ""];
  const bar = element(parent, "g", { class: classes.join(" ").trim(), "data-number": number });
  const size = Math.max(right - left, 0.6);
  element(bar, "rect", { x: left, y: top, width: size, height: BAR, rx: size > 6 ? 2 : 0, fill: `var(--${module.kind})` });
  if (size > 3) {
    for (const [phase, from, to] of module.phases) {
      const start = clip(from), strip = clip(to) - start;
      if (strip > 0.3) element(bar, "rect", { x: start, y: top + BAR - STRIP, width: strip, height: STRIP, fill: `var(--${phase})` });
    }
  }
  const shown = Math.max(left, 0), room = Math.floor((Math.min(right, width) - shown - 6) / 6.3);
  if (room >= 3) {
    const name = module.name.length <= room ? module.name : module.name.slice(0, room - 1) + "…";
    element(bar, "text", { x: shown + 3, y: top + 10.5 }, name);
  }
  element(bar, "title", {}, describe(module));
}

function drawAxis(svg, x, width, height) {
  const axis = element(svg, "g", { class: "axis" });
  const rough = (view.to - view.from) / Math.max(width / 110, 1);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((each) => each >= rough);
  for (let tick = Math.ceil(view.from / step); tick * step <= view.to; tick++) {
    const at = x(tick * step);
    element(axis, "line", { x1: at, x2: at, y1: 16, y2: height });
    const text = element(axis, "text", { x: at, y: 11, "text-anchor": at < 30 ? "start" : at > width - 30 ? "end" : "middle" });
    text.textContent = `${(tick * step).toFixed(Math.max(0, -Math.floor(Math.log10(step))))} ms`;
  }
}

function describe(module) {
  const times = ["total", "own", "found", "decoded", "executed"].map((each) => `${each} ${module[each].toFixed(2)}`).join(", ");
  const importer = module.by ? `, imported by ${module.by}` : "";
  return `${module.name} (${module.kind}${module.from ? ", " + module.from : ""})${importer}: ${times} ms, ${module.bytes.toLocaleString("en")} bytes`;
}

function zoom(from, to) {
  const span = Math.min(Math.max(to - from, 0.005), whole.to - whole.from);
  const middle = (from + to) / 2;
  view.from = Math.min(Math.max(middle - span / 2, whole.from), whole.to - span);
  view.to = view.from + span;
  writeAddress();
  showTimeline();
}

function zoomBy(factor, at = (view.from + view.to) / 2) {
  zoom(at - (at - view.from) * factor, at + (view.to - at) * factor);
}

const ZOOMS = {
  in: () => zoomBy(0.5),
  out: () => zoomBy(2),
  all: () => zoom(whole.from, whole.to),
  left: () => zoom(view.from - (view.to - view.from) / 4, view.to - (view.to - view.from) / 4),
  right: () => zoom(view.from + (view.to - view.from) / 4, view.to + (view.to - view.from) / 4),
};

function choose(number, scroll) {
  view.chosen = number;
  document.getElementById("details").textContent = number < 0 ? "" : describe(data.modules[number]);
  showTable();
  showTimeline();
  if (scroll && number >= 0) rows[number].scrollIntoView({ block: "nearest" });
}

// ---- what the reader does

function barAt(target) {
  const bar = target.closest(".bar");
  return bar ? Number(bar.dataset.number) : -1;
}

function timeAt(event) {
  const box = timeline.getBoundingClientRect();
  return view.from + ((event.clientX - box.left) / box.width) * (view.to - view.from);
}

timeline.addEventListener("pointerdown", (down) => {
  if (down.button !== 0) return;
  const start = timeAt(down), box = timeline.getBoundingClientRect();
  let range = null;
  const move = (event) => {
    if (!range && Math.abs(event.clientX - down.clientX) < 5) return;
    range ??= element(timeline.firstChild, "rect", { class: "range", y: 0, height: "100%" });
    range.setAttribute("x", Math.min(event.clientX, down.clientX) - box.left);
    range.setAttribute("width", Math.abs(event.clientX - down.clientX));
  };
  const up = (event) => {
    removeEventListener("pointermove", move);
    removeEventListener("pointerup", up);
    if (range) zoom(Math.min(start, timeAt(event)), Math.max(start, timeAt(event)));
    else choose(barAt(down.target), true);
  };
  addEventListener("pointermove", move);
  addEventListener("pointerup", up);
});
timeline.addEventListener("dblclick", (event) => {
  const module = data.modules[view.chosen];
  if (module && event.detail) zoom(module.start - module.total * 0.02, module.start + module.total * 1.02);
});
timeline.addEventListener("wheel", (event) => {
  if (!event.ctrlKey) return; // else the page scrolls
  event.preventDefault();
  zoomBy(event.deltaY > 0 ? 1.25 : 0.8, timeAt(event));
}, { passive: false });
timeline.addEventListener("keydown", (event) => {
  const action = { "+": "in", "=": "in", "-": "out", 0: "all", ArrowLeft: "left", ArrowRight: "right" }[event.key];
  if (!action) return;
  event.preventDefault();
  ZOOMS[action]();
});
for (const button of document.querySelectorAll("[data-zoom]")) button.addEventListener("click", ZOOMS[button.dataset.zoom]);
document.getElementById("controls").addEventListener("submit", (event) => event.preventDefault());
search.addEventListener("input", () => {
  view.search = search.value;
  writeAddress();
  showTable();
  showTimeline();
});
for (const header of headers) {
  header.firstElementChild.addEventListener("click", () => {
    const key = header.dataset.key;
    view.order = key !== view.sort ? firstOrder(key) : view.order === "asc" ? "desc" : "asc";
    view.sort = key;
    writeAddress();
    showTable();
  });
}
table.addEventListener("click", (event) => {
  const row = event.target.closest("tbody tr");
  if (row) choose(rows.indexOf(row), false);
});
addEventListener("hashchange", show);
new ResizeObserver(showTimeline).observe(timeline);

function show() {
  readAddress();
  search.value = view.search;
  showTable();
  showTimeline();
}

for (const id of ["controls", "hint"]) document.getElementById(id).hidden = false;
show();

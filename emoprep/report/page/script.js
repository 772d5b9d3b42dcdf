"use strict";
// The page is readable without this; it adds sorting, copying, the map's pointer, and the change of theme.
const all = (selector, root = document) => [...root.querySelectorAll(selector)];

// ---- copying ------------------------------------------------------------------------------------------------
async function copy(text, button) {
  let done = false;
  try { await navigator.clipboard.writeText(text); done = true; } catch { /* not there on file:// in every browser */ }
  if (!done) {
    const area = document.createElement("textarea");
    area.value = text;
    area.style.position = "fixed";
    document.body.append(area);
    area.select();
    done = document.execCommand("copy");
    area.remove();
    button.focus();
  }
  const name = button.textContent;
  button.textContent = done ? "Copied" : "Not allowed here";
  setTimeout(() => { button.textContent = name; }, 1500);
}

// A spreadsheet runs what begins like a formula; a text gets an apostrophe, a number stays a number.
const IS_NUMBER = /^[+-]?\d+(\.\d+)?(e[+-]?\d+)?$/i;
function field(text) {
  if (/^[=+\-@\t\r]/.test(text) && !IS_NUMBER.test(text)) text = "'" + text;
  return /[",\r\n]/.test(text) ? '"' + text.replaceAll('"', '""') + '"' : text;
}
const csv = (rows) => rows.map((row) => row.map((cell) => field(String(cell))).join(",") + "\r\n").join("");
const raw = (cell) => cell.dataset.v ?? cell.textContent.trim();
const table = (element) => csv([...element.rows].map((row) => [...row.cells].map(raw)));

for (const button of all("button.csv")) {
  button.hidden = false;
  button.addEventListener("click", () => copy(table(button.parentElement.querySelector("table")), button));
}
for (const button of all("button[data-copy]")) {
  button.hidden = false;
  button.addEventListener("click", () => copy(button.dataset.copy, button));
}

// ---- sorting ------------------------------------------------------------------------------------------------
function sort(head, column, numbers) {
  const body = head.closest("table").tBodies[0];
  const up = head.getAttribute("aria-sort") === (numbers ? "descending" : "ascending") ? numbers : !numbers;
  for (const other of head.parentElement.cells) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", up ? "ascending" : "descending");
  const key = (row) => (numbers ? parseFloat(raw(row.cells[column])) : raw(row.cells[column]));
  const compare = (a, b) => (numbers ? a - b : a.localeCompare(b, undefined, { numeric: true }));
  const rows = [...body.rows].map((row) => [key(row), row]);
  const known = rows.filter(([value]) => !numbers || !Number.isNaN(value));
  known.sort(([a], [b]) => (up ? compare(a, b) : compare(b, a)));
  // What has no number comes last, whichever way.
  body.append(...known.map(([, row]) => row), ...rows.filter((row) => !known.includes(row)).map(([, row]) => row));
}
for (const head of all("thead th")) {
  const button = document.createElement("button");
  button.type = "button";
  button.append(...head.childNodes);
  head.append(button);
  const column = head.cellIndex;
  button.addEventListener("click", () => sort(head, column, !head.dir));
}

// ---- theme, navigation, print -------------------------------------------------------------------------------
const root = document.documentElement, theme = document.getElementById("theme");
const dark = matchMedia("(prefers-color-scheme: dark)");
const shown = () => root.dataset.theme ?? (dark.matches ? "dark" : "light");
function name() { theme.textContent = shown() === "dark" ? "Light" : "Dark"; theme.setAttribute("aria-label", `${theme.textContent} theme`); }
try { const kept = localStorage.getItem("emoprep-theme"); if (kept) root.dataset.theme = kept; } catch { /* no storage */ }
theme.hidden = false;
theme.addEventListener("click", () => {
  root.dataset.theme = shown() === "dark" ? "light" : "dark";
  try { localStorage.setItem("emoprep-theme", root.dataset.theme); } catch { /* no storage */ }
  name();
});
dark.addEventListener("change", name);
name();

const links = new Map(all("nav li a").map((link) => [link.hash.slice(1), link]));
const inView = new IntersectionObserver((entries) => {
  for (const entry of entries) if (entry.isIntersecting) {
    for (const link of links.values()) link.removeAttribute("aria-current");
    const link = links.get(entry.target.id), row = link.closest("ul");
    link.setAttribute("aria-current", "true");
    row.scrollLeft = link.offsetLeft - row.offsetLeft - row.clientWidth / 3;
  }
}, { rootMargin: "-15% 0px -75%" });
for (const section of all("main > section")) inView.observe(section);

let folded = [];
addEventListener("beforeprint", () => { folded = all("details.fold:not([open], .unprinted)"); for (const fold of folded) fold.open = true; });
addEventListener("afterprint", () => { for (const fold of folded) fold.open = false; });

// ---- map ----------------------------------------------------------------------------------------------------
const scatter = document.getElementById("scatter");
if (scatter) {
  const data = JSON.parse(document.getElementById("points").textContent);
  const drawing = scatter.querySelector(".stage svg"), tip = scatter.querySelector(".tip"), lines = scatter.querySelector(".links");
  const { scale, left, top } = data.frame;
  const [low, high] = data.frame.bounds, within = (number, axis) => Math.min(Math.max(number, low[axis]), high[axis]);
  const xy = data.xy.map((steps) => Number((steps * data.step).toPrecision(5)));
  const px = data.keys.map((_, row) => [left + scale * within(xy[2 * row], 0), top - scale * within(xy[2 * row + 1], 1)]);
  const hidden = new Set(), key = (row) => data.prefix + data.keys[row], label = (row) => data.labels[data.class[row]] ?? "no class";
  // The native tooltip of a title would cover ours.
  const title = drawing.querySelector("title");
  drawing.setAttribute("aria-label", title.textContent);
  title.remove();

  function nearest(event) {
    const box = drawing.getBoundingClientRect(), zoom = drawing.viewBox.baseVal.width / box.width;
    const x = (event.clientX - box.left) * zoom, y = (event.clientY - box.top) * zoom;
    let best = -1, least = (event.pointerType === "touch" ? 24 : 12) * zoom;
    for (let row = 0; row < px.length; row++) {
      const away = Math.hypot(px[row][0] - x, px[row][1] - y);
      if (away < least && !hidden.has(data.class[row])) { least = away; best = row; }
    }
    return best;
  }
  function draw(kind, attributes) {
    const element = document.createElementNS("http://www.w3.org/2000/svg", kind);
    for (const [attribute, value] of Object.entries(attributes)) element.setAttribute(attribute, value);
    lines.append(element);
  }
  function point(row) {
    lines.replaceChildren();
    tip.hidden = row < 0;
    if (row < 0) return;
    const [x, y] = px[row], parents = data.parents[row];
    draw("circle", { cx: x, cy: y, r: 8 });
    for (const parent of parents ?? []) {
      draw("line", { x1: x, y1: y, x2: px[parent][0], y2: px[parent][1] });
      draw("circle", { cx: px[parent][0], cy: px[parent][1], r: 8 });
    }
    tip.textContent = `${key(row)}\n${label(row)}, ${parents ? "made" : "real"}`
      + (parents ?? []).map((parent) => `\nfrom ${key(parent)} (${label(parent)})`).join("");
    const zoom = drawing.clientWidth / drawing.viewBox.baseVal.width, wide = tip.offsetWidth;
    tip.style.left = `${Math.max(0, Math.min(x * zoom + 14, drawing.clientWidth - wide))}px`;
    tip.style.top = `${y * zoom + 14}px`;
  }
  drawing.addEventListener("pointermove", (event) => point(nearest(event)));
  drawing.addEventListener("pointerdown", (event) => point(nearest(event)));
  drawing.addEventListener("pointerleave", (event) => { if (event.pointerType !== "touch") point(-1); });

  for (const button of all(".toggles button", scatter)) {
    button.disabled = false;
    button.addEventListener("click", () => {
      const show = button.getAttribute("aria-pressed") === "false", number = Number(button.dataset.class);
      button.setAttribute("aria-pressed", show);
      if (show) hidden.delete(number); else hidden.add(number);
      drawing.querySelector(`g[data-class="${number}"]`).style.display = show ? "" : "none";
      point(-1);
    });
  }
  const button = document.getElementById("copy-points");
  button.hidden = false;
  button.addEventListener("click", () => copy(csv([["key", "class", "made", "x", "y", "parents"], ...data.keys.map((_, row) =>
    [key(row), label(row), row in data.parents ? 1 : 0, xy[2 * row], xy[2 * row + 1], (data.parents[row] ?? []).map(key).join(" ")])]), button));
}

"use strict";
// Without this script everything is readable; with it sliders move and explanations stay on the screen.
const follow = (input, owner, property) => {
  const apply = () => owner.style.setProperty(property, input.value + "%");
  input.addEventListener("input", apply);
  apply();
};
for (const input of document.querySelectorAll("input.opacity")) follow(input, input.closest(".explained"), "--opacity");
for (const input of document.querySelectorAll(".pair input")) follow(input, input.closest(".pair"), "--wipe");

for (const button of document.querySelectorAll(".save")) {
  button.hidden = false;
  button.addEventListener("click", () => {
    const source = document.getElementById(button.dataset.picture).getAttribute("href");
    const link = document.createElement("a");
    link.href = source;
    link.download = button.dataset.picture + "." + source.slice("data:image/".length, source.indexOf(";"));
    link.click();
  });
}

// Tables: long ones are sorted and filtered in a window of their own, wide ones say that they go on to the side.
const LONG = 15;
const numberIn = (text) => {
  const found = text.replaceAll(",", "").match(/^[<>]?\s*([+-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?)/i);
  return found ? Number(found[1]) : null;
};
const order = (column, down) => (first, second) => {
  const [a, b] = [first, second].map((row) => row.cells[column].textContent.trim());
  const empty = (a === "" || a === "-") - (b === "" || b === "-");
  if (empty) return empty;
  const [x, y] = [numberIn(a), numberIn(b)];
  return (down ? -1 : 1) * (x !== null && y !== null ? x - y : a.localeCompare(b, undefined, { numeric: true }));
};
const make = (kind, name, text = "") => Object.assign(document.createElement(kind), { className: name, textContent: text });
const sortable = (table) => {
  const heads = [...table.tHead.rows[0].cells], body = table.tBodies[0];
  heads.forEach((head, column) => {
    const name = head.firstChild?.firstChild?.textContent ?? head.textContent;
    const button = make("button", "sort", "\u21c5");
    button.type = "button";
    button.setAttribute("aria-label", `Sort by ${name.trim()}`);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") !== "descending";
      for (const one of heads) {
        one.removeAttribute("aria-sort");
        one.querySelector(".sort").textContent = "\u21c5";
      }
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      button.textContent = down ? "\u2193" : "\u2191";
      body.append(...[...body.rows].sort(order(column, down)));
    });
    head.append(" ", button);
  });
};
const filterable = (table, box) => {
  const rows = [...table.tBodies[0].rows];
  const field = make("p", "filter"), label = make("label", "", "Filter "), input = make("input", "");
  const told = make("span", "note", `${rows.length} rows`);
  input.type = "search";
  told.setAttribute("role", "status");
  input.addEventListener("input", () => {
    const wanted = input.value.trim().toLowerCase();
    for (const row of rows) row.hidden = !row.textContent.toLowerCase().includes(wanted);
    const left = rows.filter((row) => !row.hidden).length;
    told.textContent = left === rows.length ? `${left} rows` : `${left} of ${rows.length} rows`;
  });
  label.append(input);
  field.append(label, " ", told);
  box.before(field);
};
const boxes = [...document.querySelectorAll(".scroll")];
for (const box of boxes) {
  const table = box.querySelector("table:not(.matrix)");
  if (!table?.tHead || table.tBodies[0].rows.length <= LONG) continue;
  box.classList.add("long");
  sortable(table);
  filterable(table, box);
}
const measure = (box) => {
  const wide = box.scrollWidth > box.clientWidth + 1;
  box.classList.toggle("wider", wide);
  if (!wide && box.scrollHeight <= box.clientHeight + 1) {
    for (const name of ["tabindex", "role", "aria-label"]) box.removeAttribute(name);
    return;
  }
  const heading = box.querySelector("caption") ?? box.closest("section")?.querySelector("h2");
  box.tabIndex = 0;
  box.setAttribute("role", "region");
  box.setAttribute("aria-label", `Table that scrolls: ${heading?.textContent.trim() ?? ""}`);
};
const sizes = new ResizeObserver((seen) => seen.forEach((one) => measure(one.target)));
for (const box of boxes) sizes.observe(box);

const margin = 8;
// Fixed, so that tables that scroll do not cut it off.
const settle = (term) => {
  const tip = term.querySelector(".tip"), place = term.getBoundingClientRect();
  Object.assign(tip.style, { position: "fixed", left: "0", top: "0" });
  const { width, height } = tip.getBoundingClientRect(), { clientWidth, clientHeight } = document.documentElement;
  const below = place.bottom + 4 + height <= clientHeight;
  tip.style.left = `${Math.max(margin, Math.min(place.left, clientWidth - margin - width))}px`;
  tip.style.top = `${below ? place.bottom + 4 : Math.max(margin, place.top - 4 - height)}px`;
};
for (const term of document.querySelectorAll(".term")) {
  term.addEventListener("pointerenter", () => settle(term));
  term.addEventListener("focus", () => settle(term));
  term.addEventListener("keydown", (event) => { if (event.key === "Escape") term.blur(); });
}

const contents = document.querySelector("nav details");
if (window.matchMedia("(max-width: 68rem)").matches) contents.open = false;
// Browsers end lines behind every hyphen, and `--` alone says nothing: options as `--data` stay whole.
const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
const commanding = [];
while (texts.nextNode()) {
  const text = texts.currentNode;
  if (text.data.includes("--") && !text.parentElement.closest("svg, script, style, option")) commanding.push(text);
}
for (const text of commanding) {
  const parts = text.data.split(/(?<![^\s(])(--[a-z][\w-]*)/);
  text.replaceWith(...parts.map((part, place) => {
    if (place % 2 === 0) return part;
    const option = document.createElement("span");
    option.className = "option";
    option.textContent = part;
    return option;
  }));
}

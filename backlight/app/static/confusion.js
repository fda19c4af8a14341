"use strict";
// Which classes are taken for which: a matrix where it fits, else the most frequent mistakes; each opens its pictures.
const Confusion = (() => {
  const MOST_CLASSES = 12;
  const MOST_LISTED = 40;

  const cell = ({ count, share, right, words, pick }) => {
    if (!count) return Dom.make("td", {}, Dom.make("span", { class: "note" }, "0"));
    const button = Dom.make("button", { type: "button", class: right ? "cell right" : "cell", "aria-label": words, onclick: pick }, String(count));
    button.style.setProperty("--share", `${Math.round(100 * share)}%`);
    return Dom.make("td", {}, button);
  };

  const matrix = ({ classes, mistakes }, onpick) => {
    const counts = new Map(mistakes.map((one) => [`${one.true},${one.predicted}`, one.count]));
    const count = (row, column) => (row === column ? row.right : counts.get(`${row.index},${column.index}`) || 0);
    const rows = classes.filter((one) => one.n);
    const head = Dom.make("tr", {}, Dom.make("th", { scope: "col" }, "is \\ taken for"),
      classes.map((one) => Dom.make("th", { scope: "col" }, Dom.make("span", { class: "clipped", title: one.label }, Dom.first(one.label)))));
    const body = rows.map((row) => Dom.make("tr", {},
      Dom.make("th", { scope: "row" }, Dom.make("span", { class: "clipped", title: row.label }, Dom.first(row.label))),
      classes.map((column) => cell({
        count: count(row, column), share: count(row, column) / row.n, right: row === column,
        words: `${count(row, column)} of “${Dom.first(row.label)}” taken for “${Dom.first(column.label)}”: show them`,
        pick: () => onpick({ true: row.index, predicted: column.index }),
      }))));
    return Dom.make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "What is taken for what" },
      Dom.make("table", { class: "confusion" },
        Dom.make("caption", {}, "Rows: what it is. Columns: what it is taken for. A number opens its pictures."),
        Dom.make("thead", {}, head), Dom.make("tbody", {}, body)));
  };

  const list = ({ mistakes, kinds }, onpick) => {
    const shown = mistakes.slice(0, MOST_LISTED);
    const more = kinds > shown.length ? `The ${shown.length} most frequent of ${kinds} kinds of mistakes; ` : "";
    return Dom.make("div", {},
      Dom.make("p", { class: "note" }, `${more || "Every kind of mistake; "}a line opens its pictures.`),
      Dom.make("ul", { class: "mistakes", tabindex: "0", "aria-label": "Mistakes, most frequent first" }, shown.map((one) =>
        Dom.make("li", {}, Dom.make("button", { type: "button", onclick: () => onpick({ true: one.true, predicted: one.predicted }) },
          Dom.make("span", { class: "value" }, `${one.count} × `),
          `“${Dom.first(one.names[0])}” taken for “${Dom.first(one.names[1])}”`)))));
  };

  const complete = ({ mistakes, kinds }) => mistakes.length === kinds;

  // `onpick` is called with the numbers of the true and of the predicted class.
  const build = (told, onpick) => {
    if (!told.kinds) return Dom.make("p", { class: "note" }, "It takes none for another.");
    return told.classes.length <= MOST_CLASSES && complete(told) ? matrix(told, onpick) : list(told, onpick);
  };

  return { build };
})();

"use strict";
// Two pictures on top of one another with a handle between them.
const Wipe = (() => {
  const build = (left, right, label) => {
    const under = Dom.make("img", { class: "whole", alt: left });
    const over = Dom.make("img", { class: "whole over", alt: right });
    const input = Dom.make("input", { type: "range", min: 0, max: 100, value: 50, "aria-label": label });
    const element = Dom.make("div", { class: "pair" }, under, over,
      Dom.make("span", { class: "handle" }), Dom.make("span", { class: "side left" }, left),
      Dom.make("span", { class: "side right" }, right), input);
    input.addEventListener("input", () => element.style.setProperty("--wipe", `${input.value}%`));
    const show = (before, after) => { under.src = before; over.src = after; };
    return { element, show };
  };

  return { build };
})();

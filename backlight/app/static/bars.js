"use strict";
// Classes with their probabilities, and how these moved.
const Bars = (() => {
  const row = ({ label, probability }, before) => {
    const bar = Dom.make("span", { class: "bar probability" });
    bar.style.setProperty("width", `${100 * Math.max(0, probability)}%`);
    const mark = before === undefined ? null : Dom.make("span", { class: "was" });
    mark?.style.setProperty("left", `${100 * before}%`);
    const [now, then] = [probability, before].map((share) => (share === undefined ? "" : Dom.percent(share)));
    return Dom.make("li", {},
      Dom.make("span", { class: "label clipped", title: label }, label),
      Dom.make("span", { class: "value" }, then && then !== now ? `${now}, was ${then}` : now),
      Dom.make("span", { class: "track", "aria-hidden": "true" }, bar, mark));
  };

  // `before` are the classes of the untouched picture: where one of them is shown, what it was is shown too.
  const show = (owner, predictions, before = null) => {
    const known = new Map((before || []).map((one) => [one.index, one.probability]));
    owner.replaceChildren(Dom.make("ol", { class: "bars" }, predictions.map((one) => row(one, known.get(one.index)))));
  };

  return { show };
})();

"use strict";
// Compare: two models on the same picture, what each sees and why.
const Compare = (() => {
  const askers = [Work.asker(), Work.asker()];
  let models, columns, select, note;

  const fill = async (column, model) => {
    const { current } = Picture.state;
    const { ask } = askers[model];
    const seen = await ask("predict", { picture: current, model });
    if (!seen) return null;
    Bars.show(column.answers, seen.predictions);
    const answer = await ask("explain", { picture: current, model, words: { methods: select.value } });
    if (!answer) return null;
    const [one] = answer.maps;
    column.stage.replaceChildren(
      Dom.make("img", { class: "whole base", src: seen.view, alt: `What ${models[model].title} sees, in gray` }),
      Dom.make("img", { class: "layer heat", src: one.heat, alt: `Map of ${one.method} for ${answer.target}` }));
    Repeat.show(column.repeat, answer, { picture: current, model, report: { methods: select.value } });
    return seen.predictions[0];
  };

  const show = async () => {
    if (!Picture.state.seen) return;
    const [first, second] = await Promise.all(columns.map(fill));
    if (!first || !second) return;
    const same = Dom.first(first.label) === Dom.first(second.label);
    note.textContent = same ? `Both see “${Dom.first(first.label)}”.` : `One sees “${Dom.first(first.label)}”, the other “${Dom.first(second.label)}”.`;
  };

  const build = (panel) => {
    const both = models[0].methods.filter((one) => one.quick && models[1].methods.some((other) => other.name === one.name));
    select = Dom.make("select", { onchange: show }, both.map((one) => Dom.make("option", { value: one.name, selected: one.name === "gradcam" }, one.name.replaceAll("_", " "))));
    note = Dom.make("p", { class: "verdict", "aria-live": "polite" });
    columns = models.map(() => ({ stage: Dom.make("div", { class: "stack stage" }), answers: Dom.make("div"), repeat: Dom.make("div") }));
    panel.append(Dom.make("div", { class: "controls" }, Dom.field("Method", select)), note,
      Dom.make("div", { class: "beside" }, columns.map((one, model) =>
        Dom.make("div", {}, Dom.make("h3", {}, models[model].title), one.answers, one.stage, one.repeat))));
  };

  const start = (state) => {
    models = state.models;
    if (models.length === 2) Tabs.add("compare", "Compare", { build, show });
  };

  return { start };
})();

"use strict";
// Imagine: a picture of a class, made by the model itself, as it forms.
const Imagine = (() => {
  const { ask, cancel } = Work.asker();
  let stops, target, steps, image, answers, verdict, progress, go, stop, repeat;

  const busy = (working) => {
    stop.hidden = progress.hidden = !working;
    go.disabled = working;
  };

  const frame = (one) => {
    image.src = one.png;
    image.hidden = false;
    progress.value = one.step / one.steps;
    verdict.textContent = `Step ${one.step} of ${one.steps} …`;
    Bars.show(answers, one.predictions);
  };

  const describe = (answer) => {
    const [first] = answer.after;
    if (first.label === answer.name) return `The model itself sees “${Dom.first(answer.name)}” in it, with ${Dom.percent(first.probability)}.`;
    return `The model itself does not see “${Dom.first(answer.name)}” in it, but “${Dom.first(first.label)}”: take more steps.`;
  };

  const make = async () => {
    const wanted = target.picked();
    if (!wanted) return Work.fail("Name a class of this model first.");
    busy(true);
    const answer = await ask("visualize", { words: { what: "class", subjects: `index:${wanted.index}`, steps: steps.value }, onframe: frame });
    busy(false);
    if (!answer) { verdict.textContent = "Stopped."; return undefined; }
    image.src = answer.png;
    image.hidden = false;
    image.alt = `What the model imagines as ${answer.name}`;
    Bars.show(answers, answer.after);
    verdict.textContent = describe(answer);
    const name = `class-${Dom.first(answer.name).replaceAll(" ", "-")}.png`;
    return Repeat.show(repeat, answer, { files: [["Save the picture", name, () => answer.png]] });
  };

  const build = (panel) => {
    target = Classes.box("Class", "goldfish", () => {});
    steps = Dom.make("select", {}, stops.map((value) => Dom.make("option", { value }, `${value} steps`)));
    go = Dom.make("button", { type: "button", class: "main", onclick: make }, "Make the picture");
    stop = Dom.make("button", { type: "button", hidden: true, onclick: cancel }, "Stop");
    progress = Dom.make("progress", { hidden: true, max: 1, value: 0, "aria-label": "Steps taken" });
    image = Dom.make("img", { class: "whole", alt: "", hidden: true });
    answers = Dom.make("div");
    verdict = Dom.make("p", { class: "verdict", "aria-live": "polite" }, "Name a class: the model paints what excites it most, from noise.");
    repeat = Dom.make("div");
    panel.append(Dom.make("div", { class: "controls" }, target.element, Dom.field("How long", steps), go, stop, progress), verdict,
      Dom.make("div", { class: "beside" }, Dom.make("div", { class: "stage" }, image), answers), repeat);
  };

  const start = ({ choices }) => {
    stops = choices.steps;
    Tabs.add("imagine", "Imagine a class", { build, show: () => {} });
  };

  return { start };
})();

"use strict";
// Fool it: how little has to change until the model says something else.
const Attack = (() => {
  const { ask, cancel } = Work.asker();
  let levels, count, panel, slider, shown, target, wipe, noise, before, after, verdict, progress, stop, repeat;

  const eps = () => levels[Number(slider.value)];
  const manySteps = () => Dom.chosen(panel, "attack") === "pgd";

  const words = () => {
    const wanted = target.picked();
    const method = manySteps() ? `pgd:steps=${count},stop=false` : "fgsm";
    return { method, eps: `${eps()}/255`, ...(wanted ? { target: `index:${wanted.index}` } : {}) };
  };

  const describe = (answer) => {
    const levels = Math.round(answer.distance * 255);
    const change = `No value of any pixel changed by more than ${levels} of 255.`;
    if (answer.success) return `Fooled: it took this for “${Dom.first(answer.label_before)}”, now for “${Dom.first(answer.label_after)}”. ${change}`;
    return `Not fooled: it still says “${Dom.first(answer.label_after)}”. ${change} ${answer.note || ""}`;
  };

  const frame = (one) => {
    wipe.show(Picture.state.seen.view, one.png);
    Bars.show(after, one.predictions);
    progress.value = one.step / Math.max(1, one.steps);
    verdict.textContent = `Step ${one.step} of ${one.steps} …`;
  };

  const finish = (answer) => {
    const { current, seen } = Picture.state;
    wipe.show(seen.view, answer.png);
    noise.src = answer.perturbation_png;
    noise.hidden = false;
    Bars.show(before, answer.before);
    Bars.show(after, answer.after, answer.before);
    verdict.textContent = describe(answer);
    verdict.classList.toggle("fooled", answer.success);
    const stem = current.name.replace(/\.[^.]*$/, "");
    Repeat.show(repeat, answer, { picture: current, files: [["Save the attacked picture", `${stem}-attacked.png`, () => answer.png]] });
  };

  const show = async () => {
    const { current, seen } = Picture.state;
    if (!seen) return;
    const many = manySteps();
    stop.hidden = progress.hidden = !many;
    const answer = await ask("attack", { picture: current, words: words(), onframe: many ? frame : null });
    if (!answer) return;
    stop.hidden = progress.hidden = true;
    finish(answer);
  };

  const halt = () => {
    cancel();
    stop.hidden = progress.hidden = true;
    verdict.textContent = "Stopped.";
  };

  const build = (owner) => {
    panel = owner;
    slider = Dom.make("input", { type: "range", min: 0, max: levels.length - 1, value: levels.indexOf(2) });
    shown = Dom.make("output", { class: "value" });
    const tell = () => {
      shown.textContent = `${eps()} of 255`;
      slider.setAttribute("aria-valuetext", `${eps()} of 255`);
    };
    const soon = Dom.settled(120, show);
    slider.addEventListener("input", () => { tell(); if (!manySteps()) soon(); });
    slider.addEventListener("change", () => { if (manySteps()) soon(); });
    target = Classes.box("Make it say", "anything else", show);
    const kinds = Dom.choice("attack", "How", [["fgsm", "one step, at once (FGSM)"], ["pgd", `${count} steps, watched (PGD)`]], show);
    progress = Dom.make("progress", { hidden: true, max: 1, value: 0, "aria-label": "Steps taken" });
    stop = Dom.make("button", { type: "button", hidden: true, onclick: halt }, "Stop");
    wipe = Wipe.build("before", "after", "How much of the attacked picture is shown");
    noise = Dom.make("img", { class: "whole", alt: "What was added, ten times as strong", hidden: true });
    [before, after] = [Dom.make("div"), Dom.make("div")];
    verdict = Dom.make("p", { class: "verdict", "aria-live": "polite" });
    repeat = Dom.make("div");
    const strength = Dom.field("Largest change of a value", slider);
    strength.append(shown);
    owner.append(
      Dom.make("div", { class: "controls" }, strength, kinds, target.element, stop, progress), verdict,
      Dom.make("div", { class: "beside" },
        Dom.make("figure", {}, wipe.element, Dom.make("figcaption", {}, "Move the handle: before and after.")),
        Dom.make("figure", {}, noise, Dom.make("figcaption", {}, "What was added, ten times as strong."))),
      Dom.make("div", { class: "beside" },
        Dom.make("div", {}, Dom.make("h3", {}, "Before"), before), Dom.make("div", {}, Dom.make("h3", {}, "After"), after)),
      repeat);
    tell();
  };

  const start = ({ choices }) => {
    [levels, count] = [choices.eps, choices.steps_of_attack];
    Tabs.add("attack", "Fool it", { build, show });
  };

  return { start };
})();

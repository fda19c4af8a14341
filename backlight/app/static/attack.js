"use strict";
// Fool it: how little has to change until the model says something else.
const Attack = (() => {
  const { ask, cancel } = Work.asker();
  let norms, panel, counted, slider, shown, strength, kinds, target, wipe, noise, before, after, verdict, progress, stop, repeat, found;

  const norm = () => norms[Number(counted.value)];
  const size = () => norm().sizes[Number(slider.value)];
  const kind = () => norm().kinds.find(([name]) => name === Dom.chosen(panel, "attack"));
  const manySteps = () => kind()[1].includes("steps=");
  const written = () => (norm().name === "linf" ? `${size().replace("/255", "")} of 255` : size());

  const words = () => {
    const wanted = target.picked();
    const own = norm().name === "linf" ? {} : { norm: norm().name };
    return { method: kind()[1], eps: size(), ...own, ...(wanted ? { target: `index:${wanted.index}` } : {}) };
  };

  const CHANGES = {
    linf: ({ distance }) => `No value of any pixel changed by more than ${Math.round(distance * 255)} of 255.`,
    l2: ({ distance }) => `All changes together have a length of ${Dom.number(distance)}.`,
    l1: ({ distance, changed_pixels: pixels }) => `All changes together add up to ${Dom.number(distance)}, in ${pixels} pixels.`,
    l0: ({ distance, changed_pixels: pixels }) => `${distance} values changed, in ${pixels} pixels.`,
  };

  // What to try next: more steps where one was not enough, then a larger change.
  const advice = () => {
    const steps = norm().kinds.find(([, spec]) => spec.includes("steps="));
    return steps && !manySteps() ? `Try “${steps[2]}”, or a larger change.` : "Try a larger change.";
  };

  const describe = (answer) => {
    const change = CHANGES[answer.norm](answer);
    const beyond = answer.eps !== null && answer.distance > answer.eps && answer.label_after !== answer.label_before;
    if (!answer.success && beyond) return `Not fooled within ${written()}: it says “${Dom.first(answer.label_after)}” only beyond that. ${change}`;
    if (answer.success) return `Fooled: it took this for “${Dom.first(answer.label_before)}”, now for “${Dom.first(answer.label_after)}”. ${change}`;
    return `Not fooled: it still says “${Dom.first(answer.label_after)}”. ${change} ${answer.note || advice()}`;
  };

  const frame = (one) => {
    found.hidden = false;
    wipe.show(Picture.state.seen.view, one.png);
    Bars.show(after, one.predictions);
    progress.value = one.step / Math.max(1, one.steps);
    verdict.textContent = `Step ${one.step} of ${one.steps} …`;
  };

  const finish = (answer) => {
    const { current, seen } = Picture.state;
    found.hidden = false;
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

  const tell = () => {
    shown.textContent = written();
    slider.setAttribute("aria-valuetext", written());
  };

  // What the sizes and the attacks are depends on how changes are counted.
  const recount = () => {
    const { title, sizes, first, kinds: offered } = norm();
    slider.max = sizes.length - 1;
    slider.value = sizes.indexOf(first);
    strength.querySelector("label").textContent = `${title[0].toUpperCase()}${title.slice(1)}`;
    kinds.replaceChildren(Dom.choice("attack", "How", offered.map(([name, , told]) => [name, told]), show));
    tell();
  };

  const build = (owner) => {
    panel = owner;
    slider = Dom.make("input", { type: "range", min: 0 });
    shown = Dom.make("output", { class: "value" });
    const soon = Dom.settled(120, show);
    slider.addEventListener("input", () => { tell(); if (!manySteps()) soon(); });
    slider.addEventListener("change", () => { if (manySteps()) soon(); });
    strength = Dom.field("", slider);
    strength.append(shown);
    counted = Dom.make("select", { onchange: () => { recount(); show(); } }, norms.map((one, place) => Dom.make("option", { value: place }, one.title)));
    kinds = Dom.make("div");
    target = Classes.box("Make it say", "anything else", show);
    progress = Dom.make("progress", { hidden: true, max: 1, value: 0, "aria-label": "Steps taken" });
    stop = Dom.make("button", { type: "button", hidden: true, onclick: halt }, "Stop");
    wipe = Wipe.build("before", "after", "How much of the attacked picture is shown");
    noise = Dom.make("img", { class: "whole", alt: "What was added, ten times as strong", hidden: true });
    [before, after] = [Dom.make("div"), Dom.make("div")];
    verdict = Dom.make("p", { class: "verdict", "aria-live": "polite" });
    repeat = Dom.make("div");
    // Nothing stands there before there is something to see.
    found = Dom.make("div", { hidden: true },
      Dom.make("div", { class: "beside" },
        Dom.make("figure", {}, wipe.element, Dom.make("figcaption", {}, "Move the handle: before and after.")),
        Dom.make("figure", {}, noise, Dom.make("figcaption", {}, "What was added, ten times as strong."))),
      Dom.make("div", { class: "beside" },
        Dom.make("div", {}, Dom.make("h3", {}, "Before"), before), Dom.make("div", {}, Dom.make("h3", {}, "After"), after)));
    owner.append(
      Dom.make("div", { class: "controls" }, strength, kinds, target.element, ...(norms.length > 1 ? [Dom.field("Counted as", counted)] : []), stop, progress),
      verdict, found, repeat);
    recount();
  };

  const start = ({ choices }) => {
    const count = choices.steps_of_attack;
    const most = {
      name: "linf", title: "largest change of a value", sizes: choices.eps.map((one) => `${one}/255`), first: "2/255",
      kinds: [["fgsm", "fgsm", "one step, at once (FGSM)"], ["pgd", `pgd:steps=${count},stop=false`, `${count} steps, watched (PGD)`]],
    };
    norms = [most, ...choices.norms];
    Tabs.add("attack", "Fool it", { build, show });
  };

  return { start };
})();

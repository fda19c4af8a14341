"use strict";
// Why: a map of what speaks for a class, over what the model sees.
const Explain = (() => {
  const { ask, cancel } = Work.asker();
  let stage, select, target, note, repeat, legend, stop;

  const layers = (view, one) => [
    Dom.make("img", { class: "whole base", src: view, alt: "What the model sees, in gray" }),
    Dom.make("img", { class: "layer heat", src: one.heat, alt: `Map of ${one.method}: how strongly each place counts` }),
    Dom.make("img", { class: "layer signed", src: one.signed, alt: `Map of ${one.method}: for or against` })];

  const about = (one, name) => {
    const where = one.layer ? ` It reads the layer ${one.layer}.` : "";
    const empty = one.seen ? "" : " The map is the same everywhere: there is nothing to see.";
    return `What speaks for “${name}”, by ${one.method}.${where}${empty} ${one.notes.join("; ")}`.trim();
  };

  const show = async () => {
    const { current, seen } = Picture.state;
    if (!seen) return;
    const words = { methods: select.value };
    const wanted = target.picked();
    if (wanted) words.target = `index:${wanted.index}`;
    stop.hidden = false;
    const answer = await ask("explain", { picture: current, words });
    stop.hidden = true;
    if (!answer) return;
    const [one] = answer.maps;
    stage.replaceChildren(...layers(seen.view, one));
    note.textContent = about(one, answer.target);
    const name = `${current.name.replace(/\.[^.]*$/, "")}-${one.method}.png`;
    Repeat.show(repeat, answer, { picture: current, report: { methods: words.methods }, files: [["Save the map", name, () => one.png]] });
  };

  const options = (methods) => [["At once", true], ["Takes longer", false]].map(([title, quick]) =>
    Dom.make("optgroup", { label: title }, methods.filter((one) => one.quick === quick).map((one) =>
      Dom.make("option", { value: one.name, selected: one.name === "gradcam" }, one.name.replaceAll("_", " ")))));

  const build = (methods) => (panel) => {
    select = Dom.make("select", { onchange: show }, options(methods));
    target = Classes.box("What speaks for", "what it sees first", show);
    const opacity = Dom.make("input", { type: "range", min: 0, max: 100, step: 5, value: 75 });
    const shown = Dom.choice("signs", "Show", [["heat", "how strongly it counts"], ["signed", "for (red) or against (blue)"]]);
    stop = Dom.make("button", { type: "button", hidden: true, onclick: cancel }, "Stop");
    stage = Dom.make("div", { class: "stack stage" });
    legend = Dom.make("p", { class: "legend" },
      Dom.make("span", { class: "heat-scale" }, "little", Dom.make("i"), "much"),
      Dom.make("span", { class: "signed-scale" }, "against", Dom.make("i"), "for"));
    note = Dom.make("p", { "aria-live": "polite" });
    repeat = Dom.make("div");
    const owner = Dom.make("div", { class: "explained" },
      Dom.make("div", { class: "controls" }, Dom.field("Method", select), target.element, Dom.field("Opacity", opacity), shown, stop),
      stage, legend, note, repeat);
    const apply = () => owner.style.setProperty("--opacity", `${opacity.value}%`);
    opacity.addEventListener("input", apply);
    apply();
    panel.append(owner);
  };

  const start = ({ models }) => Tabs.add("explain", "Why?", { build: build(models[0].methods), show });

  return { start };
})();

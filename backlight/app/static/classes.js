"use strict";
// A box for one class of the model, searched while it is typed into.
const Classes = (() => {
  let labels = [];

  // In the demonstration only some of the classes are offered.
  const start = ({ models, choices }) => {
    labels = models[0].labels;
    const offered = choices.classes ? choices.classes.map((index) => labels[index]) : labels;
    const list = Dom.make("datalist", { id: "classes" }, offered.map((label) => Dom.make("option", { value: label })));
    document.body.append(list);
  };

  // The class meant by what was typed: its name, or the first word of it, without case; null where there is none.
  const meant = (text) => {
    const wanted = text.trim().toLowerCase();
    const exact = labels.findIndex((label) => label.toLowerCase() === wanted);
    const near = exact >= 0 ? exact : labels.findIndex((label) => Dom.first(label).toLowerCase() === wanted);
    return near >= 0 ? { index: near, label: labels[near] } : null;
  };

  // `onpick` is called with the class, or null where the box is empty.
  const box = (title, hint, onpick) => {
    const input = Dom.make("input", { type: "search", list: "classes", autocomplete: "off", placeholder: hint });
    input.addEventListener("change", () => {
      const found = meant(input.value);
      const wrong = input.value.trim() !== "" && found === null;
      input.setCustomValidity(wrong ? "no class of this model is called so" : "");
      input.setAttribute("aria-invalid", String(wrong));
      if (wrong) Work.fail(`No class of this model is called “${input.value}”.`);
      else onpick(found);
    });
    return { element: Dom.field(title, input), input, picked: () => meant(input.value) };
  };

  return { start, box, meant };
})();

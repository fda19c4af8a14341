"use strict";
// Elements made of data: text stays text, whatever it is.
const Dom = (() => {
  const make = (tag, attributes = {}, ...children) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else if (value === true) element.setAttribute(name, "");
      else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
    }
    element.append(...children.flat().filter((child) => child !== null && child !== undefined));
    return element;
  };

  const find = (name) => document.getElementById(name);

  // As reports write shares: never rounded to none or to all.
  const percent = (share) => {
    if (!Number.isFinite(share)) return "not a number";
    if (share === 0 || share === 1) return `${100 * share}%`;
    if (share < 0.001) return "<0.1%";
    if (share > 0.999) return ">99.9%";
    return `${(100 * share).toFixed(share >= 0.0995 && share <= 0.9895 ? 0 : 1)}%`;
  };

  const number = (value) => (Number.isFinite(value) ? String(Number(value.toPrecision(3))) : "not a number");

  // Calls that follow each other quickly become the last of them.
  const settled = (milliseconds, call) => {
    let timer = 0;
    return (...values) => {
      clearTimeout(timer);
      timer = setTimeout(() => call(...values), milliseconds);
    };
  };

  const save = (name, address) => {
    const link = make("a", { href: address, download: name });
    document.body.append(link);
    link.click();
    link.remove();
  };

  let numbered = 0;
  const field = (title, input, hint = "") => {
    numbered += 1;
    input.id = input.id || `field-${numbered}`;
    const told = hint ? make("span", { class: "note" }, hint) : null;
    return make("div", { class: "field-row" }, make("label", { for: input.id }, title), input, told);
  };

  const choice = (name, title, options, onchange) =>
    make("fieldset", { class: "choice" }, make("legend", {}, title),
      options.map(([value, words], place) =>
        make("label", {}, make("input", { type: "radio", name, value, checked: place === 0, onchange }), ` ${words}`)));

  const chosen = (owner, name) => owner.querySelector(`input[name="${name}"]:checked`).value;

  // The first of a label's names; one that turns the direction of writing turns its own alone.
  const first = (label) => {
    const name = label.split(",")[0];
    return /[\u202a-\u202e\u2066-\u2069]/.test(name) ? `\u2068${name}\u2069` : name;
  };

  return { make, find, percent, number, settled, save, field, choice, chosen, first };
})();

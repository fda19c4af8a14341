"use strict";
// Without this script everything is readable; with it sliders move and explanations stay on the screen.
const follow = (input, owner, property) => {
  const apply = () => owner.style.setProperty(property, input.value + "%");
  input.addEventListener("input", apply);
  apply();
};
for (const input of document.querySelectorAll("input.opacity")) follow(input, input.closest(".explained"), "--opacity");
for (const input of document.querySelectorAll(".pair input")) follow(input, input.closest(".pair"), "--wipe");

for (const button of document.querySelectorAll(".save")) {
  button.hidden = false;
  button.addEventListener("click", () => {
    const source = document.getElementById(button.dataset.picture).getAttribute("href");
    const link = document.createElement("a");
    link.href = source;
    link.download = button.dataset.picture + "." + source.slice("data:image/".length, source.indexOf(";"));
    link.click();
  });
}

const margin = 8;
const settle = (term) => {
  const tip = term.querySelector(".tip");
  tip.style.transform = "";
  const box = tip.getBoundingClientRect();
  const right = document.documentElement.clientWidth - margin - box.right;
  const shift = box.left < margin ? margin - box.left : Math.min(0, right);
  tip.style.transform = `translateX(${shift}px)`;
};
for (const term of document.querySelectorAll(".term")) {
  term.addEventListener("pointerenter", () => settle(term));
  term.addEventListener("focus", () => settle(term));
  term.addEventListener("keydown", (event) => { if (event.key === "Escape") term.blur(); });
}

const contents = document.querySelector("nav details");
if (window.matchMedia("(max-width: 68rem)").matches) contents.open = false;

"use strict";
// Hide a spot: what does the answer hang on? A square follows the click, or the arrow keys.
const Cover = (() => {
  const { ask } = Work.asker();
  let choices, stage, view, square, side, answers, note, repeat;
  let place = null;

  const share = () => choices.sides[Number(side.value)] / 100;

  const draw = () => {
    square.hidden = place === null;
    if (place === null) return;
    for (const [name, middle] of [["left", place.x], ["top", place.y]]) square.style.setProperty(name, `${100 * (middle - share() / 2)}%`);
    for (const name of ["width", "height"]) square.style.setProperty(name, `${100 * share()}%`);
  };

  const describe = (predictions) => {
    const first = Picture.state.seen.predictions[0];
    const still = predictions[0].index === first.index;
    const now = predictions.find((one) => one.index === first.index);
    const left = now ? Dom.percent(now.probability) : "less than any of these";
    return `“${Dom.first(first.label)}” had ${Dom.percent(first.probability)} and has ${left} with this spot hidden. ` +
      (still ? "The answer stays." : `The answer is now “${Dom.first(predictions[0].label)}”.`);
  };

  const look = async () => {
    draw();
    if (place === null) return;
    const { current, seen } = Picture.state;
    const cover = [place.x, place.y, share()].map((value) => value.toFixed(2)).join(",");
    const answer = await ask("predict", { picture: current, words: { cover } });
    if (!answer) return;
    Bars.show(answers, answer.predictions, seen.predictions);
    note.textContent = describe(answer.predictions);
    Repeat.show(repeat, answer, { picture: current });
  };

  const clamp = (value) => Math.min(1, Math.max(0, Math.round(value / choices.grid) * choices.grid));
  const soon = Dom.settled(80, look);

  const click = (event) => {
    const box = view.getBoundingClientRect();
    place = { x: clamp((event.clientX - box.left) / box.width), y: clamp((event.clientY - box.top) / box.height) };
    look();
  };

  const key = (event) => {
    const step = Math.max(choices.grid, 0.05);
    const [x, y] = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step], Enter: [0, 0], " ": [0, 0] }[event.key] || [];
    if (x === undefined) return;
    event.preventDefault();
    place = place ? { x: clamp(place.x + x), y: clamp(place.y + y) } : { x: 0.5, y: 0.5 };
    draw();
    soon();
  };

  const show = () => {
    const { seen } = Picture.state;
    if (!seen) return;
    view.src = seen.view;
    Bars.show(answers, seen.predictions);
    note.textContent = "Click a place in the picture, or move the square with the arrow keys.";
    repeat.replaceChildren();
    look();
  };

  const clear = () => {
    place = null;
    draw();
    show();
  };

  const build = (panel) => {
    view = Dom.make("img", { class: "whole", alt: "What the model sees" });
    square = Dom.make("span", { class: "square", hidden: true });
    stage = Dom.make("button", { type: "button", class: "stage spot", "aria-label": "Hide a spot: click it, or move it with the arrow keys", onclick: (event) => (event.detail ? click(event) : null), onkeydown: key }, view, square);
    side = Dom.make("input", { type: "range", min: 0, max: choices.sides.length - 1, value: Math.floor(choices.sides.length / 3), oninput: () => { draw(); soon(); } });
    answers = Dom.make("div");
    note = Dom.make("p", { class: "verdict", "aria-live": "polite" });
    repeat = Dom.make("div");
    panel.append(
      Dom.make("div", { class: "controls" }, Dom.field("Size of the square", side), Dom.make("button", { type: "button", onclick: clear }, "Hide nothing")),
      note, Dom.make("div", { class: "beside" }, stage, Dom.make("div", {}, Dom.make("h3", {}, "What it sees now"), answers)), repeat);
  };

  const start = (state) => {
    choices = state.choices;
    Tabs.add("cover", "Hide a spot", { build, show });
  };

  return { start };
})();

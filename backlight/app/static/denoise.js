"use strict";
// Denoise: near the picture and smooth; alpha says how much smoothness counts.
const Denoise = (() => {
  const { ask } = Work.asker();
  let alphas, slider, shown, wipe, verdict, repeat;

  const alpha = () => alphas[Number(slider.value)];
  const words = () => (alpha() === "auto" ? "as the noise asks" : alpha());

  const describe = (answer) => {
    const [strength, from, to] = [answer.alpha, answer.start, answer.objective].map(Dom.number);
    if (from === to) return `Hardly anything changed: with alpha ${strength} there is next to no noise to take away. Move the slider for a smoother picture.`;
    return `Smoothed with alpha ${strength}: distance and roughness together went from ${from} to ${to} in ${answer.steps} steps (${answer.stopped}).`;
  };

  const show = async () => {
    const { current, seen } = Picture.state;
    if (!seen) return;
    wipe.show(current.url, current.url);
    const answer = await ask("denoise", { picture: current, words: { alpha: alpha() } });
    if (!answer) return;
    wipe.show(current.url, answer.png);
    verdict.textContent = describe(answer);
    const name = `${current.name.replace(/\.[^.]*$/, "")}-denoised.png`;
    Repeat.show(repeat, answer, { picture: current, report: null, files: [["Save the picture", name, () => answer.png]] });
  };

  const build = (panel) => {
    slider = Dom.make("input", { type: "range", min: 0, max: alphas.length - 1, value: 0 });
    shown = Dom.make("output", { class: "value" });
    const tell = () => {
      shown.textContent = words();
      slider.setAttribute("aria-valuetext", words());
    };
    const soon = Dom.settled(150, show);
    slider.addEventListener("input", () => { tell(); soon(); });
    wipe = Wipe.build("before", "after", "How much of the picture without noise is shown");
    verdict = Dom.make("p", { class: "verdict", "aria-live": "polite" });
    repeat = Dom.make("div");
    const row = Dom.field("Alpha: how smooth", slider);
    row.append(shown);
    panel.append(Dom.make("div", { class: "controls" }, row), verdict, Dom.make("div", { class: "stage wide-stage" }, wipe.element), repeat);
    tell();
  };

  const start = ({ choices }) => {
    alphas = choices.alphas;
    Tabs.add("denoise", "Denoise", { build, show });
  };

  return { start };
})();

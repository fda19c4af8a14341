"use strict";
// The demonstration: the same questions, answered from files that were written before. It takes the place of live.js.
const Answers = (() => {
  const known = new Map();
  const add = (key, record) => known.set(key, record);
  return { add, get: (key) => known.get(key), state: null, samples: [] };
})();

const Server = (() => {
  const PAUSE = 120;
  const ours = new WeakSet();
  const missing = "This is no part of the demonstration. With `backlight app` the page answers it.";

  const pause = (signal) => new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, PAUSE);
    signal?.addEventListener("abort", () => { clearTimeout(timer); reject(signal.reason); }, { once: true });
  });

  const key = (verb, picture, words, model) =>
    [verb, picture ? picture.name : "", model, ...Object.entries(words).map((pair) => pair.join("=")).sort()].join("|");

  const ask = async (verb, { picture = null, words = {}, model = 0, signal = null, onframe = null } = {}) => {
    if (picture && !ours.has(picture.blob)) throw new Error(missing);
    const record = Answers.get(key(verb, picture, words, model));
    if (!record) throw new Error(missing);
    for (const frame of onframe ? record.frames : []) {
      await pause(signal);
      onframe(frame);
    }
    return record.answer;
  };

  const sample = async (number) => {
    const [head, data] = Answers.samples[number].split(",");
    const bytes = Uint8Array.from(atob(data), (one) => one.charCodeAt(0));
    const blob = new Blob([bytes], { type: head.slice(5, head.indexOf(";")) });
    ours.add(blob);
    return blob;
  };

  return { live: false, ask, sample, state: async () => Answers.state };
})();

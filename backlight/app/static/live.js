"use strict";
// What the page asks of the program behind it: every question is a job that says how it gets on.
const Server = (() => {
  const token = new URLSearchParams(location.search).get("token") || "";
  const call = (address, options = {}) =>
    fetch(address, { ...options, headers: { "X-Backlight-Token": token }, cache: "no-store" });

  const explained = async (answer) => {
    let told = {};
    try {
      told = await answer.json();
    } catch {
      // What is no JSON says nothing.
    }
    return new Error(told.error || `the program answered ${answer.status}`);
  };

  const pause = (milliseconds, signal) =>
    new Promise((resolve, reject) => {
      const timer = setTimeout(resolve, milliseconds);
      signal?.addEventListener("abort", () => { clearTimeout(timer); reject(signal.reason); }, { once: true });
    });

  const send = async (address, body, signal, onwaiting) => {
    for (;;) {
      const answer = await call(address, { method: "POST", body, signal });
      if (answer.status !== 503) return answer;
      onwaiting?.({ ahead: null });
      await pause(1000, signal);
    }
  };

  const parse = (block) => {
    const lines = block.split("\n");
    const value = (name) => lines.filter((line) => line.startsWith(`${name}: `)).map((line) => line.slice(name.length + 2));
    return { kind: value("event")[0], data: JSON.parse(value("data").join("\n")) };
  };

  async function* events(answer) {
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      text += value;
      const blocks = text.split("\n\n");
      text = blocks.pop();
      for (const block of blocks) if (block.startsWith("event")) yield parse(block);
    }
  }

  // Resolves to the answer; rejects with AbortError where `signal` ended it, with the reason where it failed.
  const ask = async (verb, { picture = null, words = {}, model = 0, signal = null, onframe = null, onwaiting = null } = {}) => {
    const query = new URLSearchParams({ ...words, model });
    if (picture) query.set("name", picture.name);
    const answer = await send(`/api/${verb}?${query}`, picture ? picture.blob : "", signal, onwaiting);
    if (!answer.ok) throw await explained(answer);
    const { job } = await answer.json();
    const stream = await call(`/api/job/${job}`, { signal });
    if (!stream.ok) throw await explained(stream);
    for await (const { kind, data } of events(stream)) {
      if (kind === "waiting") onwaiting?.(data);
      else if (kind === "frame") onframe?.(data);
      else if (kind === "done") return data;
      else if (kind === "failed") throw new Error(data.error);
      else if (kind === "cancelled") throw new DOMException("cancelled", "AbortError");
    }
    throw new Error("the program ended");
  };

  const state = async () => {
    const answer = await call("/api/state");
    if (!answer.ok) throw await explained(answer);
    return answer.json();
  };

  const sample = async (number) => {
    const answer = await call(`/api/sample/${number}`);
    if (!answer.ok) throw await explained(answer);
    return answer.blob();
  };

  return { live: true, ask, state, sample };
})();

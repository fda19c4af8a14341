"use strict";
// One question at a time for each tool: a newer one ends the older, and people see what goes on.
const Work = (() => {
  const status = () => Dom.find("status");
  let running = 0;

  const say = (state, text) => {
    status().textContent = text;
    status().dataset.state = state;
  };
  const fail = (text) => say("failed", text);
  const rest = () => { if (running === 1) say("ready", "Ready"); };

  const asker = () => {
    let controller = null;
    const cancel = () => controller?.abort();
    const ask = async (verb, options = {}) => {
      cancel();
      const own = new AbortController();
      controller = own;
      running += 1;
      say("working", "Working …");
      try {
        const waiting = ({ ahead }) => say("working", ahead === 0 ? "Working …" : "Waiting for other work to end …");
        const answer = await Server.ask(verb, { onwaiting: waiting, ...options, signal: own.signal });
        rest();
        return own.signal.aborted ? null : answer;
      } catch (error) {
        if (error.name === "AbortError") rest();
        else fail(error.message);
        return null;
      } finally {
        running -= 1;
      }
    };
    return { ask, cancel };
  };

  return { asker, fail };
})();

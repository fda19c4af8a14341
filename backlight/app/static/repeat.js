"use strict";
// How to do it again without this page, and how to take it along.
const Repeat = (() => {
  const copied = (button, text) => async () => {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  };

  const block = (title, text) => {
    const button = Dom.make("button", { type: "button", class: "small", "aria-label": `Copy: ${title}` }, "Copy");
    button.addEventListener("click", copied(button, text));
    const code = Dom.make("pre", { tabindex: "0", "aria-label": title }, Dom.make("code", {}, text));
    return [Dom.make("p", { class: "row" }, Dom.make("strong", {}, title), button), code];
  };

  const saver = (title, name, address) =>
    Dom.make("button", { type: "button", onclick: () => Dom.save(name, address()) }, title);

  const reporter = (picture, words, model) => {
    const { ask, cancel } = Work.asker();
    const button = Dom.make("button", { type: "button" }, "Save as a report");
    let busy = false;
    button.addEventListener("click", async () => {
      if (busy) return cancel();
      busy = true;
      button.textContent = "Writing the report … (stop)";
      const answer = await ask("report", { picture, words, model });
      busy = false;
      button.textContent = "Save as a report";
      if (!answer) return undefined;
      const address = URL.createObjectURL(new Blob([answer.html], { type: "text/html" }));
      Dom.save(`${picture.name.replace(/\.[^.]*$/, "")}-report.html`, address);
      return URL.revokeObjectURL(address);
    });
    return button;
  };

  // `files` are [title, name, () => address] of what can be saved; `report` has the words of the report, or is null.
  const show = (owner, answer, { files = [], picture = null, report = {}, model = 0 } = {}) => {
    const buttons = files.map((one) => saver(...one));
    if (picture && Server.live && report) buttons.push(reporter(picture, report, model));
    const { command, python } = answer.repeat;
    const open = owner.querySelector("details")?.open || false;
    owner.replaceChildren(
      Dom.make("p", { class: "row" }, buttons),
      Dom.make("details", { class: "repeat", open },
        Dom.make("summary", {}, "Do it again without this page"),
        block("Command line", command), block("Python", python)));
  };

  return { show };
})();

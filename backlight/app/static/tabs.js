"use strict";
// Tools beside one another, one shown at a time (WAI-ARIA, pattern of tabs).
const Tabs = (() => {
  const tools = [];
  let shown = null;

  const select = (tool, focus = false) => {
    shown = tool;
    for (const one of tools) {
      const here = one === tool;
      one.tab.setAttribute("aria-selected", String(here));
      one.tab.tabIndex = here ? 0 : -1;
      one.panel.hidden = !here;
    }
    if (focus) tool.tab.focus();
    refresh();
  };

  // Where everything stands in one column, what was chosen is brought to the top: the answer would be out of sight.
  const near = () => { if (matchMedia("(max-width: 56rem)").matches) Dom.find("tabs").scrollIntoView(); };

  // A tool that is looked at works at once; one that is not waits until it is.
  const refresh = () => {
    if (!shown || !shown.stale) return;
    shown.stale = false;
    shown.show();
  };

  const changed = () => {
    for (const one of tools) one.stale = true;
    refresh();
  };

  const move = (event) => {
    const place = tools.indexOf(shown);
    const next = { ArrowRight: place + 1, ArrowLeft: place - 1, Home: 0, End: tools.length - 1 }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    select(tools[(next + tools.length) % tools.length], true);
  };

  const add = (name, title, { build, show }) => {
    const tab = Dom.make("button", {
      type: "button", role: "tab", id: `tab-${name}`, "aria-controls": `panel-${name}`, "aria-selected": "false", tabindex: "-1",
      onclick: () => { select(tool); near(); }, onkeydown: move,
    }, title);
    const panel = Dom.make("div", { role: "tabpanel", id: `panel-${name}`, "aria-labelledby": `tab-${name}`, hidden: true });
    const tool = { name, tab, panel, show, stale: true };
    tools.push(tool);
    Dom.find("tabs").append(tab);
    Dom.find("panels").append(panel);
    build(panel);
    return tool;
  };

  const start = () => select(tools[0]);
  const open = (name) => { select(tools.find((one) => one.name === name), true); near(); };

  return { add, start, changed, open };
})();

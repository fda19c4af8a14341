"use strict";
// Browse: what the model says of a data set; chosen and ordered by hand, and every picture opens in the other tools.
const Browse = (() => {
  const [looker, pager, opener, reporter] = [Work.asker(), Work.asker(), Work.asker(), Work.asker()];
  const ORDERS = [["highest-loss", "most wrong first"], ["most-confident", "surest first"], ["least-confident", "least sure first"],
    ["lowest-loss", "most right first"], ["stored", "as the data has them"]];
  const WHICH = [["all", "all"], ["wrong", "wrong only"], ["right", "right only"]];
  let models, data, told = null, page = 0;
  let model, truth, taken, which, order, verdict, progress, stop, again, save, confusion, gallery, turns, opened, repeat, chooser;

  const place = () => Number(model.value);

  const words = () => {
    const chosen = { which: which.value, order: order.value, page };
    if (truth.value !== "") chosen.true = truth.value;
    if (taken.value !== "") chosen.predicted = taken.value;
    return chosen;
  };

  const say = (one) => (one.right ? `${Dom.first(one.names[0])}: right` : `${Dom.first(one.names[0])} taken for ${Dom.first(one.names[1])}`);

  const decoded = (uri) => new Blob([Uint8Array.from(atob(uri.split(",")[1]), (one) => one.charCodeAt(0))], { type: "image/png" });

  const open = async (one) => {
    const answer = await opener.ask("open", { words: { row: one.row }, model: place() });
    if (!answer) return;
    Picture.use(decoded(answer.png), answer.name);
    opened.replaceChildren(
      Dom.make("span", {}, `Opened ${answer.id}. Now: `),
      ...[["explain", "Why?"], ["attack", "Fool it"], ["cover", "Hide a spot"]].map(([name, title]) =>
        Dom.make("button", { type: "button", class: "small", onclick: () => Tabs.open(name) }, title)),
      Dom.make("button", { type: "button", class: "small", onclick: () => Dom.save(answer.name, answer.png) }, "Save the picture"));
    opened.scrollIntoView({ block: "nearest" });
  };

  const thumbnail = (one) => {
    const image = one.uri ? Dom.make("img", { class: one.tiny ? "pixels" : "", src: one.uri, alt: "" }) : Dom.make("span", { class: "note" }, "cannot be shown");
    return Dom.make("li", {}, Dom.make("button", { type: "button", class: one.right ? "thumb" : "thumb wrong", title: one.id, onclick: () => open(one) },
      image, Dom.make("span", { class: "clipped" }, say(one)), Dom.make("span", { class: "value" }, `${Dom.percent(one.confidence)} sure`)));
  };

  const turn = async (to) => {
    page = to;
    const answer = await pager.ask("show", { words: words(), model: place() });
    if (!answer) return;
    const { total, size, pictures } = answer;
    const pages = Math.max(1, Math.ceil(total / size));
    gallery.replaceChildren(...pictures.map(thumbnail));
    const step = (title, next, possible) => Dom.make("button", { type: "button", disabled: !possible, onclick: () => turn(next) }, title);
    const where = total ? `${page * size + 1} to ${Math.min(total, (page + 1) * size)} of ${total}` : "no picture is so";
    turns.replaceChildren(step("Earlier", page - 1, page > 0), Dom.make("span", { role: "status" }, where), step("Later", page + 1, page + 1 < pages));
    Repeat.show(repeat, answer);
  };

  const pick = (pair) => {
    [truth.value, taken.value, which.value] = [pair.true, pair.predicted, "all"];
    turn(0);
    gallery.scrollIntoView({ block: "nearest" });
  };

  const offer = (select, classes) => {
    const kept = select.value;
    select.replaceChildren(Dom.make("option", { value: "" }, "any class"), ...classes.map((one) => Dom.make("option", { value: one.index }, Dom.first(one.label).slice(0, 60))));
    select.value = classes.some((one) => String(one.index) === kept) ? kept : "";
  };

  const describe = () => {
    const [low, high] = told.interval.map(Dom.percent);
    const broken = told.broken ? ` ${told.broken} could not be read or judged.` : "";
    return `${told.right} of ${told.n} right: ${Dom.percent(told.accuracy)}, plausibly ${low} to ${high}.${broken}`;
  };

  const working = (busy) => { stop.hidden = progress.hidden = !busy; };

  const look = async () => {
    told = null;
    working(true);
    again.hidden = save.hidden = chooser.hidden = confusion.hidden = true;
    verdict.textContent = `Looking at ${data.n} pictures …`;
    const frame = ({ step, steps }) => { progress.value = step / steps; verdict.textContent = `Looked at ${step} of ${steps} pictures …`; };
    told = await looker.ask("browse", { model: place(), onframe: frame });
    working(false);
    again.hidden = told !== null;
    save.hidden = told === null;
    if (!told) { verdict.textContent = "The pictures were not looked at."; return; }
    verdict.textContent = describe();
    offer(truth, told.classes.filter((one) => one.n));
    offer(taken, told.classes);
    chooser.hidden = confusion.hidden = false;
    confusion.replaceChildren(Confusion.build(told, pick));
    await turn(0);
  };

  const report = async () => {
    const answer = await reporter.ask("browse", { model: place(), words: { report: "yes" } });
    if (!answer) return;
    const address = URL.createObjectURL(new Blob([answer.html], { type: "text/html" }));
    Dom.save("evaluation.html", address);
    URL.revokeObjectURL(address);
  };

  const menu = (options, onchange) => Dom.make("select", { onchange }, options.map(([value, title]) => Dom.make("option", { value }, title)));

  const clear = () => {
    for (const one of [truth, taken]) one.value = "";
    which.value = "all";
    turn(0);
  };

  const build = (panel) => {
    const first = () => turn(0);
    model = menu(models.map((one, number) => [number, one.title]), look);
    [truth, taken, which, order] = [menu([["", "any class"]], first), menu([["", "any class"]], first), menu(WHICH, first), menu(ORDERS, first)];
    verdict = Dom.make("p", { class: "verdict", "aria-live": "polite" });
    progress = Dom.make("progress", { hidden: true, max: 1, value: 0, "aria-label": "Pictures looked at" });
    stop = Dom.make("button", { type: "button", hidden: true, onclick: looker.cancel }, "Stop");
    again = Dom.make("button", { type: "button", class: "main", hidden: true, onclick: look }, "Look at them");
    save = Dom.make("button", { type: "button", hidden: true, onclick: report }, "Save as a report");
    [confusion, opened, repeat] = [Dom.make("div"), Dom.make("p", { class: "row", "aria-live": "polite" }), Dom.make("div")];
    gallery = Dom.make("ul", { class: "gallery", "aria-label": "Pictures" });
    turns = Dom.make("div", { class: "row" });
    chooser = Dom.make("div", { hidden: true },
      Dom.make("div", { class: "controls" }, Dom.field("Is", truth), Dom.field("Taken for", taken), Dom.field("Show", which),
        Dom.field("Order", order), Dom.make("button", { type: "button", onclick: clear }, "Show all")),
      Dom.make("p", { class: "note" }, "Click a picture to open it in the other tools."), opened, gallery, turns, repeat);
    panel.append(
      Dom.make("h2", {}, data.name), Dom.make("div", { class: "row" }, verdict, progress, stop, again, save),
      ...(models.length > 1 ? [Dom.field("Model", model)] : []), confusion, chooser);
  };

  // What was looked at stays: another picture is no other data.
  const show = () => { if (!told) look(); };

  // Without data the question is asked all the same: what is lacking is said where it would be answered.
  const without = (panel) => panel.append(
    Dom.make("p", { class: "verdict" }, "Whom does it confuse? That takes pictures of which it is known what they are."),
    Dom.make("p", {}, "Start the program with a folder of class folders, or any other data set, and look through it here:"),
    Dom.make("pre", { tabindex: "0", "aria-label": "Command line" }, Dom.make("code", {}, "backlight app --data photos/")));

  const start = (state) => {
    ({ models, data } = state);
    if (data) Tabs.add("browse", "Browse the data", { build, show });
    else if (Server.live) Tabs.add("browse", "Browse the data", { build: without, show: () => {} });
  };

  return { start };
})();

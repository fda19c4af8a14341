"use strict";
// The picture that everything is about: dropped, pasted, chosen or a sample.
const Picture = (() => {
  const state = { current: null, seen: null, limits: null };
  const { ask } = Work.asker();

  const show = (picture) => {
    const image = Dom.find("photo");
    image.src = picture.url;
    image.alt = `The picture: ${picture.name}`;
    image.hidden = false;
    Dom.find("invitation").hidden = true;
    Dom.find("name").textContent = picture.name;
  };

  const look = async () => {
    const picture = state.current;
    const answer = await ask("predict", { picture });
    if (!answer || picture !== state.current) return;
    state.seen = answer;
    Bars.show(Dom.find("answers"), answer.predictions);
    Repeat.show(Dom.find("answers-repeat"), answer, { picture });
    Tabs.changed();
  };

  const use = (blob, name) => {
    if (blob.size > state.limits.bytes) {
      Work.fail(`${name} has ${Math.round(blob.size / 1e6)} MB; at most ${Math.round(state.limits.bytes / 1e6)} are taken`);
      return;
    }
    if (state.current) URL.revokeObjectURL(state.current.url);
    state.current = { blob, name, url: URL.createObjectURL(blob) };
    state.seen = null;
    show(state.current);
    look();
  };

  const useFile = (file) => { if (file) use(file, file.name || "pasted.png"); };

  const useSample = async (number, name) => {
    try {
      use(await Server.sample(number), name);
    } catch (error) {
      Work.fail(error.message);
    }
  };

  const listen = () => {
    const drop = document.body;
    drop.addEventListener("dragover", (event) => { event.preventDefault(); Dom.find("drop").classList.add("over"); });
    drop.addEventListener("dragleave", () => Dom.find("drop").classList.remove("over"));
    drop.addEventListener("drop", (event) => {
      event.preventDefault();
      Dom.find("drop").classList.remove("over");
      useFile(event.dataTransfer.files[0]);
    });
    document.addEventListener("paste", (event) => {
      const file = [...event.clipboardData.files].find((one) => one.type.startsWith("image/"));
      if (file) useFile(file);
    });
    Dom.find("file").addEventListener("change", (event) => { useFile(event.target.files[0]); event.target.value = ""; });
  };

  const start = ({ samples, limits }) => {
    state.limits = limits;
    listen();
    Dom.find("samples").append(...samples.map((name, number) =>
      Dom.make("button", { type: "button", onclick: () => useSample(number, name) }, name.replace(/\.[^.]*$/, ""))));
    useSample(0, samples[0]);
  };

  return { state, start, use };
})();

"use strict";
// Begin: what can be chosen comes from the program, then the first sample is looked at.
(async () => {
  try {
    const state = await Server.state();
    const [model] = state.models;
    Dom.find("about").textContent = `${model.title}, ${model.labels.length} classes`;
    document.title = `Backlight: ${model.title}`;
    Classes.start(state);
    Explain.start(state);
    Attack.start(state);
    Cover.start(state);
    Imagine.start(state);
    Denoise.start(state);
    Compare.start(state);
    Browse.start(state);
    Tabs.start();
    Picture.start(state);
  } catch (error) {
    Work.fail(error.message);
  }
})();

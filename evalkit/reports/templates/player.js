"use strict";
// Videos of a page: worst moments as marks, and several side by side. It comes before the page's own script.
const player = (() => {
  document.documentElement.classList.add("js");
  const $$ = (selector, within = document) => [...within.querySelectorAll(selector)];

  // Worst moments: each of the list becomes a button, and a bar shows where in the video they are.
  const markMoments = (holder, video, jump) => {
    const list = holder.querySelector(".moments ol");
    if (!list || list.previousElementSibling?.className === "bar") return;
    const bar = document.createElement("div");
    bar.className = "bar";
    bar.setAttribute("aria-hidden", "true"); // the buttons below say the same
    for (const item of list.children) {
      const go = () => jump(Number(item.dataset.start));
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = item.textContent;
      button.addEventListener("click", go);
      item.replaceChildren(button);
      const mark = document.createElement("span");
      mark.title = button.textContent;
      mark.addEventListener("click", go);
      bar.append(mark);
    }
    list.before(bar);
    const place = () => {
      const ends = [...list.children].map((item) => Number(item.dataset.end));
      const length = Number.isFinite(video.duration) && video.duration > 0 ? video.duration : Math.max(...ends);
      [...list.children].forEach(({ dataset }, at) => {
        const { style } = bar.children[at];
        const start = Math.min(Number(dataset.start), length);
        style.left = `${(100 * start) / length}%`;
        style.width = `${(100 * (Math.min(Number(dataset.end), length) - start)) / length}%`;
      });
    };
    video.addEventListener("loadedmetadata", place);
    place();
  };
  // Videos side by side: the first is the clock of the others.
  const stage = document.querySelector(".stage");
  if (!stage) return { markMoments };
  const controls = document.querySelector(".controls");
  const play = controls.querySelector(".play");
  const slider = controls.querySelector("input");
  const clock = controls.querySelector("output");
  const videos = () => $$("video", stage);
  const isPlaying = () => videos().some((video) => !video.paused && !video.ended);
  const lengthOf = () => Math.max(0, ...videos().map((video) => video.duration || 0));
  const frame_s = () => 1 / Math.max(1, ...$$("figure", stage).map((figure) => Number(figure.dataset.fps)));

  const show = () => {
    const at = Math.max(0, ...videos().map((video) => video.currentTime));
    slider.max = lengthOf();
    slider.value = at;
    clock.value = `${at.toFixed(2)} s`;
    const playing = isPlaying();
    play.textContent = playing ? "Pause all" : "Play all";
    play.setAttribute("aria-pressed", playing);
  };
  const seek = (time_s) => {
    for (const video of videos()) {
      if (video.readyState === 0) video.preload = "auto";
      video.currentTime = Math.min(Math.max(0, time_s), video.duration || time_s);
    }
    show();
  };
  const pause = () => { videos().forEach((video) => video.pause()); show(); };
  const start = () => {
    const all = videos();
    if (all.length && all.every((video) => video.ended)) seek(0);
    const at = all.length ? all[0].currentTime : 0;
    for (const video of all) {
      if (video.ended) continue;
      if (Math.abs(video.currentTime - at) > 0.04) video.currentTime = at;
      video.play().catch(() => {});
    }
    show();
    requestAnimationFrame(keepTogether);
  };
  const keepTogether = () => {
    const [first, ...others] = videos();
    if (!first || !isPlaying()) { show(); return; }
    if (!first.ended)
      for (const video of others)
        if (!video.ended && !video.seeking && Math.abs(video.currentTime - first.currentTime) > 0.08) video.currentTime = first.currentTime;
    show();
    requestAnimationFrame(keepTogether);
  };
  const toggle = () => (isPlaying() ? pause() : start());
  const step = (n_frames) => {
    pause();
    const at = videos().length ? videos()[0].currentTime : 0;
    seek(at + n_frames * frame_s());
  };
  const listen = (chosen) => $$("figure", stage).forEach((figure) => {
    const sounds = figure === chosen;
    figure.querySelector("video").muted = !sounds;
    figure.querySelector("input[type=radio]").checked = sounds;
  });
  const dress = (figure) => {
    const video = figure.querySelector("video");
    video.controls = false;
    video.preload = "metadata";
    for (const event of ["loadedmetadata", "seeked", "ended", "pause", "play"]) video.addEventListener(event, show);
    video.addEventListener("loadeddata", () => { if (video.currentTime === 0) video.currentTime = 1e-4; }); // paints the first frame
    video.addEventListener("error", () => { figure.querySelector(".trouble").textContent = "This video cannot be played here."; });
    figure.querySelector("input[type=radio]").addEventListener("change", () => listen(figure));
    markMoments(figure, video, (time_s) => { pause(); seek(time_s); });
    figure.querySelector(".away").addEventListener("click", () => choose(figure.dataset.trial, false));
  };
  const mark = () => document.getElementById("moment-starts").replaceChildren(...$$(".moments li", stage).map((item) => new Option("", item.dataset.start)));
  const template = document.getElementById("player");
  const choose = (trial, wanted) => {
    pause();
    $$(`.pick[value="${CSS.escape(trial)}"]`).forEach((box) => { box.checked = wanted; });
    const there = stage.querySelector(`figure[data-trial="${CSS.escape(trial)}"]`);
    if (!wanted) { there?.remove(); }
    else if (!there) {
      const source = document.getElementById(`t-${trial}`);
      const figure = template.content.firstElementChild.cloneNode(true);
      Object.assign(figure.dataset, { trial, fps: source.dataset.fps });
      figure.querySelector("video").src = source.dataset.src;
      figure.querySelector(".what").textContent = source.dataset.caption;
      const moments = source.querySelector(".moments")?.cloneNode(true);
      if (moments) {
        moments.querySelector(".bar")?.remove();
        $$("button", moments).forEach((button) => button.replaceWith(button.textContent));
        figure.append(moments);
      }
      stage.append(figure);
      dress(figure);
    }
    const figures = $$("figure", stage);
    if (figures.length && !figures.some((figure) => !figure.querySelector("video").muted)) listen(figures[0]);
    document.querySelector(".nobody").hidden = figures.length > 0;
    mark();
    show();
  };
  $$("figure", stage).forEach(dress);
  const first = stage.querySelector("figure");
  if (first) listen(first);
  addEventListener("change", (event) => {
    if (event.target.matches(".pick")) choose(event.target.value, event.target.checked);
  });
  mark();
  play.addEventListener("click", toggle);
  slider.addEventListener("input", () => { pause(); seek(Number(slider.value)); });
  controls.querySelector(".back").addEventListener("click", () => step(-1));
  controls.querySelector(".on").addEventListener("click", () => step(1));
  document.getElementById("side-by-side").addEventListener("keydown", (event) => {
    if (event.target.matches("input, button, a, summary") && event.key === " ") return;
    if (event.target.matches("input")) return;
    const action = { " ": toggle, k: toggle, ",": () => step(-1), ".": () => step(1), ArrowLeft: () => step(-1), ArrowRight: () => step(1) }[event.key];
    if (action) { event.preventDefault(); action(); }
  });
  show();
  return { markMoments };
})();

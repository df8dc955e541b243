"use strict";
(() => {
  const root = document.documentElement;
  root.classList.add("js");
  const $$ = (selector, within = document) => [...within.querySelectorAll(selector)];

  // Tables: a head becomes a button; rows without a value stay at the end.
  const keyOf = (row, column) => {
    const cell = row.cells[column];
    const text = cell.dataset.v ?? cell.textContent.trim();
    if (text === "" || cell.classList.contains("absent")) return null;
    const number = Number(text);
    return Number.isNaN(number) ? text : number;
  };
  const compare = (a, b) =>
    typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), undefined, { numeric: true });
  const sortBy = (table, head, column) => {
    const falling = head.getAttribute("aria-sort") === "ascending";
    $$("th", table).forEach((other) => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", falling ? "descending" : "ascending");
    const rows = [...table.tBodies[0].rows].map((row) => [keyOf(row, column), row]);
    rows.sort(([a], [b]) => (a === null || b === null ? (a === null) - (b === null) : falling ? compare(b, a) : compare(a, b)));
    table.tBodies[0].append(...rows.map(([, row]) => row));
  };
  for (const table of $$("table.sortable")) {
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      if (head.classList.contains("script")) return;
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => sortBy(table, head, column));
    });
  }

  // What is opened shows its first frame.
  for (const details of $$("details.trial"))
    details.addEventListener("toggle", () => { const video = details.querySelector("video"); if (video) video.preload = "metadata"; });

  // A link to a trial opens it.
  const openTarget = () => {
    const target = location.hash && document.getElementById(location.hash.slice(1));
    if (target instanceof HTMLDetailsElement) target.open = true;
  };
  addEventListener("hashchange", openTarget);
  openTarget();

  // Videos side by side: the first is the clock of the others.
  const stage = document.querySelector(".stage");
  if (!stage) return;
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
    video.addEventListener("error", () => { figure.querySelector(".trouble").textContent = "This video cannot be played here."; });
    figure.querySelector("input[type=radio]").addEventListener("change", () => listen(figure));
    const worst = figure.querySelector(".worst");
    if (worst) worst.addEventListener("click", () => { pause(); seek(Number(worst.dataset.at)); });
    figure.querySelector(".away").addEventListener("click", () => choose(figure.dataset.trial, false));
  };
  const mark = () => document.getElementById("worst").replaceChildren(...$$(".worst", stage).map((worst) => new Option("", worst.dataset.at)));
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
      const worst = figure.querySelector(".worst");
      if (source.dataset.worst) { worst.dataset.at = source.dataset.worst; worst.textContent = `worst moment, ${Number(source.dataset.worst).toFixed(2)} s`; }
      else worst.remove();
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
})();

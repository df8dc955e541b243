"use strict";
(() => {
  const root = document.documentElement;
  root.classList.add("js");
  const $$ = (selector, within = document) => [...within.querySelectorAll(selector)];

  // Every trial: a page of them is in the document. The others are text until somebody asks for one.
  const pager = document.querySelector(".pager");
  const trialTable = document.querySelector("#trials table.sortable");
  const folds = document.querySelector("#trials .unfolding");
  const nOnPage = trialTable.tBodies[0].rows.length;
  const detailsOf = new Map();
  let ordered = []; // every row
  let wanted = []; // words that a row has to have
  let from = 0;
  const parse = (tag, text) => {
    const template = document.createElement("template");
    template.innerHTML = text;
    return $$(tag, template.content);
  };
  const inflate = async (text) => {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"))).json();
  };
  const readTrials = async () => {
    const first = [...trialTable.tBodies[0].rows];
    const more = await inflate(document.getElementById("more-trials").textContent);
    ordered = [...first, ...parse("tr", `<table><tbody>${more.map(([row]) => row).join("")}</table>`)];
    const details = [...folds.children, ...more.map(([, text]) => text)];
    ordered.forEach((row, place) => detailsOf.set(row, details[place]));
  };
  let reading;
  const readOnce = () => (reading ??= readTrials());
  const isWanted = (row) => { const text = row.textContent.toLowerCase(); return wanted.every((word) => text.includes(word)); };
  const unfold = (row) => {
    if (typeof detailsOf.get(row) === "string") detailsOf.set(row, parse("details", detailsOf.get(row))[0]);
    return detailsOf.get(row);
  };
  const turnTo = (place) => {
    const rows = wanted.length ? ordered.filter(isWanted) : ordered;
    from = Math.max(0, Math.min(place, Math.floor((rows.length - 1) / nOnPage) * nOnPage));
    const shown = rows.slice(from, from + nOnPage);
    trialTable.tBodies[0].replaceChildren(...shown);
    folds.replaceChildren(...shown.map(unfold));
    const staged = new Set($$(".stage figure").map((figure) => figure.dataset.trial));
    $$(".pick", trialTable.closest("section")).forEach((box) => { box.checked = staged.has(box.value); });
    pager.querySelector("output").value = `${Math.min(from + 1, rows.length)} to ${from + shown.length} of ${rows.length}`;
    pager.querySelector(".earlier").disabled = from === 0;
    pager.querySelector(".later").disabled = from + nOnPage >= rows.length;
  };
  if (pager) {
    const turn = async (n) => { await readOnce(); turnTo(from + n); };
    pager.querySelector(".earlier").addEventListener("click", () => turn(-nOnPage));
    pager.querySelector(".later").addEventListener("click", () => turn(nOnPage));
    pager.querySelector("input").addEventListener("input", async (event) => {
      await readOnce();
      wanted = event.target.value.toLowerCase().split(/\s+/).filter(Boolean);
      turnTo(0);
    });
  }

  // Tables: a head becomes a button; rows without a value stay at the end.
  const keyOf = (row, column) => {
    const cell = row.cells[column];
    const text = cell.dataset.v ?? cell.textContent.trim();
    if (text === "" || cell.classList.contains("absent")) return null;
    const number = Number(text);
    return Number.isNaN(number) ? text : number;
  };
  const { compare: compareTexts } = new Intl.Collator(undefined, { numeric: true });
  const compare = (a, b) => (typeof a === "number" && typeof b === "number" ? a - b : compareTexts(String(a), String(b)));
  const sortBy = async (table, head, column) => {
    const falling = head.getAttribute("aria-sort") === "ascending";
    $$("th", table).forEach((other) => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", falling ? "descending" : "ascending");
    const isPaged = pager !== null && table === trialTable;
    if (isPaged) await readOnce();
    const rows = (isPaged ? ordered : [...table.tBodies[0].rows]).map((row) => [keyOf(row, column), row]);
    rows.sort(([a], [b]) => (a === null || b === null ? (a === null) - (b === null) : falling ? compare(b, a) : compare(a, b)));
    const sorted = rows.map(([, row]) => row);
    if (isPaged) { ordered = sorted; turnTo(0); } else table.tBodies[0].append(...sorted);
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
  document.addEventListener("toggle", ({ target }) => {
    const video = target.matches("details.trial") && target.querySelector("video");
    if (video) video.preload = "metadata";
  }, true);

  // A link to a trial opens it, on whatever page it is.
  const openTarget = async () => {
    const target = () => location.hash && document.getElementById(location.hash.slice(1));
    if (pager && location.hash.startsWith("#t-") && !target()) {
      await readOnce();
      pager.querySelector("input").value = "";
      wanted = [];
      const place = ordered.findIndex((row) => row.querySelector("a").hash === location.hash);
      if (place >= 0) turnTo(place - (place % nOnPage));
      target()?.scrollIntoView();
    }
    if (target() instanceof HTMLDetailsElement) target().open = true;
  };
  addEventListener("hashchange", openTarget);
  openTarget();

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
  const markDetails = (details) => {
    const video = details.querySelector("video");
    if (video) markMoments(details, video, (time_s) => {
      video.preload = "auto";
      video.pause();
      video.currentTime = time_s;
    });
  };
  document.addEventListener("toggle", ({ target }) => { if (target.matches("details.trial")) markDetails(target); }, true);

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
})();

"use strict";
// Videos of a page: worst moments as marks, and several side by side, in step. It comes before the page's own script.
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

  const isOver = (video) => video.ended || (video.duration > 0 && video.currentTime >= video.duration - 1e-3);
  const isReady = (video) => video.error !== null || (!video.seeking && video.readyState >= (isOver(video) ? 2 : 3));

  const MOST_S = 0.25; // apart: all stop and set off anew together
  const LEAST_S = 0.003; // apart: nothing is done
  const MOST_NUDGE = 0.3; // of the rate: who is nudged is not heard
  const GAIN = 4; // of the rate, for each second apart
  const PATIENCE_MS = 5000; // with a video that does not get ready
  const setRate = (video, rate) => { if (video.playbackRate !== rate) video.playbackRate = rate; };
  const nudge = (apart_s) => 1 + (Math.abs(apart_s) < LEAST_S ? 0 : Math.max(-MOST_NUDGE, Math.min(MOST_NUDGE, Math.round(200 * GAIN * apart_s) / 200)));

  const stages = [];
  const makeStage = (stage, place) => {
    const group = stage.closest("[data-player], section");
    const controls = $$(".controls", group).find((one) => one.querySelector(".play"));
    const play = controls.querySelector(".play");
    const slider = controls.querySelector("input[type=range]");
    const clock = controls.querySelector("output");
    const starts = controls.querySelector("datalist");
    const words = { play: play.dataset.play ?? "Play all", pause: play.dataset.pause ?? "Pause all" };
    if (starts) { starts.id = `moment-starts-${place}`; slider.setAttribute("list", starts.id); }
    let wanted = false; // whether they shall play
    let target = null; // where they were sent while they stand
    let turn = 0; // of starting: a later one, or a pause, calls an earlier one off

    const videos = () => $$("video", stage).filter((video) => video.hasAttribute("src") && video.error === null);
    const lengthOf = () => Math.max(0, ...videos().map((video) => video.duration || 0));
    const fps = () => Math.max(1, ...$$("figure", stage).map((figure) => Number(figure.dataset.fps)));
    const leader = () => {
      const going = videos().filter((video) => !isOver(video));
      return going.find((video) => !video.muted) ?? going[0];
    };
    const timeNow = () => leader()?.currentTime ?? Math.max(0, ...videos().map((video) => video.currentTime));

    const show = () => {
      const at = target ?? timeNow();
      slider.max = lengthOf();
      slider.value = at;
      clock.value = `${at.toFixed(2)} s`;
      play.textContent = wanted ? words.pause : words.play;
      play.setAttribute("aria-pressed", wanted);
    };
    const send = (video, time_s) => {
      video.preload = "auto";
      setRate(video, 1);
      video.currentTime = Math.min(time_s, video.duration || time_s);
    };
    const seek = (time_s) => {
      target = Math.min(Math.max(0, time_s), lengthOf() || time_s);
      videos().forEach((video) => send(video, target));
      show();
    };
    const rest = () => { wanted = false; turn += 1; videos().forEach((video) => video.pause()); };
    const pause = () => {
      const was = wanted;
      const at = timeNow();
      rest();
      if (was) seek(at); else show();
    };
    const readied = (video) => new Promise((done) => {
      const look = () => {
        if (!isReady(video)) return;
        for (const event of ["canplay", "seeked", "error"]) video.removeEventListener(event, look);
        done();
      };
      for (const event of ["canplay", "seeked", "error"]) video.addEventListener(event, look);
      look();
      setTimeout(done, PATIENCE_MS);
    });
    // All go to one place, wait for each other there, and set off together.
    const start = async () => {
      if (!videos().length) return;
      pauseOthers(stage);
      wanted = true;
      const own = (turn += 1);
      const at = target ?? timeNow();
      videos().forEach((video) => video.pause());
      seek(videos().every(isOver) && at >= lengthOf() - 1e-3 ? 0 : at);
      await Promise.all(videos().map(readied));
      if (own !== turn) return;
      target = null;
      videos().filter((video) => !isOver(video)).forEach((video) => video.play().catch(() => {}));
      keepTogether(own);
    };
    const keepTogether = (own) => {
      if (own !== turn) return;
      const first = leader();
      if (!first) { rest(); show(); return; }
      if (isApart(first)) { start(); return; }
      show();
      requestAnimationFrame(() => keepTogether(own));
    };
    // Bring the others to the leader by a little more or less speed; say whether one of them is too far for that.
    const isApart = (first) => {
      setRate(first, 1);
      const others = videos().filter((video) => video !== first && !isOver(video));
      for (const video of others) {
        const apart_s = playhead.of(first) - playhead.of(video);
        if (video.paused || Math.abs(apart_s) > MOST_S) return true;
        setRate(video, nudge(apart_s));
      }
      return false;
    };
    const toggle = () => (wanted ? pause() : start());
    const step = (n_frames) => {
      if (wanted) pause();
      const at = target ?? timeNow();
      seek((Math.max(0, Math.floor(at * fps() + 0.02)) + n_frames) / fps() + 5e-4); // just within the frame
    };
    const playable = () => $$("figure", stage).filter((figure) => figure.querySelector("video")); // an attempt that failed has none
    const listen = (chosen) => playable().forEach((figure) => {
      const sounds = figure === chosen;
      figure.querySelector("video").muted = !sounds;
      const radio = figure.querySelector("input[type=radio]");
      if (radio) radio.checked = sounds;
    });
    const dress = (figure) => {
      const video = figure.querySelector("video");
      const radio = figure.querySelector("input[type=radio]");
      const still = figure.querySelector("img.still");
      if (still) video.poster = still.src;
      video.controls = false;
      video.preload = "metadata";
      video.preservesPitch = false; // who is nudged is not heard, and keeping the pitch makes the nudge inexact
      playhead.follow(video);
      for (const event of ["loadedmetadata", "seeked", "ended", "pause", "play"]) video.addEventListener(event, show);
      video.addEventListener("loadeddata", () => { if (target === null && !wanted && video.currentTime === 0) video.currentTime = 1e-4; }); // paints the first frame
      video.addEventListener("error", () => {
        figure.querySelector(".trouble").textContent = document.documentElement.dataset.elsewhere ?? stage.dataset.trouble ?? "This video cannot be played here.";
      });
      if (radio) { radio.name = `sound-${place}`; radio.addEventListener("change", () => listen(figure)); }
      markMoments(figure, video, (time_s) => { if (wanted) pause(); seek(time_s); });
      figure.querySelector(".away")?.addEventListener("click", () => choose(figure.dataset.trial, false));
    };
    const mark = () => starts?.replaceChildren(...$$(".moments li", stage).map((item) => new Option("", item.dataset.start)));
    const template = group.querySelector("template");
    const choose = (trial, isWanted) => {
      $$(`.pick[value="${CSS.escape(trial)}"]`).forEach((box) => { box.checked = isWanted; });
      const there = stage.querySelector(`figure[data-trial="${CSS.escape(trial)}"]`);
      if (!isWanted) { there?.querySelector("video").pause(); there?.remove(); }
      else if (!there) {
        const source = document.getElementById(`t-${trial}`);
        const figure = template.content.firstElementChild.cloneNode(true);
        Object.assign(figure.dataset, { trial, fps: source.dataset.fps });
        figure.querySelector(".what").textContent = source.dataset.caption;
        const moments = source.querySelector(".moments")?.cloneNode(true);
        if (moments) {
          moments.querySelector(".bar")?.remove();
          $$("button", moments).forEach((button) => button.replaceWith(button.textContent));
          figure.append(moments);
        }
        const at = target ?? timeNow();
        figure.querySelector("video").src = source.dataset.src;
        stage.append(figure);
        dress(figure);
        if (wanted) start(); // all wait for the new one
        else if (at > 1e-3) seek(at);
      }
      const figures = $$("figure", stage);
      if (figures.length && !figures.some((figure) => !figure.querySelector("video").muted)) listen(figures[0]);
      const nobody = group.querySelector(".nobody");
      if (nobody) nobody.hidden = figures.length > 0;
      mark();
      show();
    };
    playable().forEach(dress);
    const [first] = playable();
    if (first) listen(first);
    mark();
    play.addEventListener("click", toggle);
    slider.addEventListener("input", () => { if (wanted) pause(); seek(Number(slider.value)); });
    controls.querySelector(".back").addEventListener("click", () => step(-1));
    controls.querySelector(".on").addEventListener("click", () => step(1));
    group.addEventListener("keydown", (event) => {
      if (event.target.matches("input") || event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.target.matches("button, a, summary") && event.key === " ") return;
      const action = { " ": toggle, k: toggle, ",": () => step(-1), ".": () => step(1), ArrowLeft: () => step(-1), ArrowRight: () => step(1) }[event.key];
      if (action) { event.preventDefault(); action(); }
    });
    show();
    return { stage, choose, pause: () => { if (wanted) pause(); } };
  };

  // One stage plays at a time, or one video elsewhere on the page.
  const pauseOthers = (chosen) => {
    for (const one of stages) if (one.stage !== chosen) one.pause();
    for (const video of $$("video")) if (!video.closest(".stage")) video.pause();
  };
  document.addEventListener("play", ({ target }) => { if (!target.closest(".stage")) stages.forEach((one) => one.pause()); }, true);
  stages.push(...$$(".stage").filter((stage) => stage.querySelector("video")).map(makeStage));
  const chosen = stages.find(({ stage }) => stage.closest("#side-by-side")) ?? stages[0];
  addEventListener("change", ({ target }) => {
    if (chosen && target.matches(".pick")) chosen.choose(target.value, target.checked);
  });
  return { markMoments };
})();

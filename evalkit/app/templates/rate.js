"use strict";
// A presentation: its videos are played to their end, one at a time or in step, and then its answers open.
const prepare = (item) => {
  const form = item.querySelector("form");
  const answers = form.querySelector(".answers");
  const state = item.querySelector(".state");
  const videos = [...item.querySelectorAll("video")];
  const inStep = item.dataset.mode === "step";
  const words = item.dataset;
  const fps = Number(item.dataset.fps) || 25;
  const longestGap_s = 0.1; // between two played parts: a pause may cost some frames, a skip costs more
  const ended = new Set();
  let latest = videos[0];
  let trouble = "";
  let isSent = false;

  const missing_s = ({ played, duration }) => {
    const edges = [0];
    for (let part = 0; part < played.length; part += 1) edges.push(played.start(part), played.end(part));
    edges.push(duration);
    let missing = 0;
    for (let edge = 0; edge < edges.length; edge += 2) {
      const gap = edges[edge + 1] - edges[edge];
      if (gap > longestGap_s) missing += gap;
    }
    return missing;
  };
  const isWatched = (video) => ended.has(video) && missing_s(video) <= 0.02 * video.duration;
  const isPlaying = (video) => !video.paused && !video.ended;
  const questions = () => [...form.querySelectorAll(".question")];
  const isAnswered = (question) => question.querySelector("input:checked") !== null;

  // --- what is said
  const say = (text, kind = "") => {
    if (state.textContent !== text) state.textContent = text;
    state.className = `state ${kind}`;
  };
  const nameOf = (video, all) => (isPlaying(video) ? words.pause : ended.has(video) ? all.again : all.play);
  const show = () => {
    const open = videos.every(isWatched);
    answers.disabled = !open;
    const waiting = videos.find((video) => !isWatched(video));
    if (trouble) say(trouble, "trouble");
    else if (open) say(words.watched, "ready");
    else if (ended.has(waiting) && !isPlaying(waiting)) say(words.skipped, "trouble");
    else say(waiting === videos[0] ? words.toWatch : words.toWatchNext);
    if (inStep) {
      const button = item.querySelector(".play");
      const playing = videos.some(isPlaying);
      button.textContent = playing ? words.pause : videos.every(({ ended: over }) => over) ? button.dataset.again : button.dataset.play;
      return;
    }
    item.querySelectorAll(".play").forEach((button, place) => {
      button.textContent = nameOf(videos[place], button.dataset);
      button.classList.toggle("main", !open && videos[place] === (videos.find(isPlaying) ?? waiting));
    });
  };

  // --- one at a time
  const start = (video) => { trouble = ""; if (video.error) video.load(); video.play().catch((error) => { if (error.name === "NotSupportedError") fail(); }); };
  const toggle = (video) => {
    if (isPlaying(video)) { video.pause(); return; }
    videos.filter((other) => other !== video).forEach((other) => other.pause());
    latest = video;
    start(video);
  };
  const fail = () => { trouble = words.unplayable; show(); };

  // --- in step: nobody is let run ahead; who has no sound is the one that is hurried or slowed
  const shown_s = new Map();
  const follow = (video) => video.requestVideoFrameCallback?.((_now, { mediaTime }) => { shown_s.set(video, mediaTime); follow(video); });
  const keepTogether = () => {
    if (!videos.some(isPlaying)) return;
    const [muted, heard] = videos[0].muted ? videos : [videos[1], videos[0]];
    const ahead_s = playhead.of(muted) - playhead.of(heard);
    const running = videos.every((video) => isPlaying(video) && !video.seeking);
    if (running && Math.abs(ahead_s) > 0.25) (ahead_s > 0 ? muted : heard).currentTime -= Math.abs(ahead_s);
    muted.playbackRate = running && Math.abs(ahead_s) > 0.25 / fps ? 1 - Math.max(-0.1, Math.min(0.1, 2 * ahead_s)) : 1;
    heard.playbackRate = 1;
    requestAnimationFrame(keepTogether);
  };
  const last = () => Math.round(Math.min(...videos.map(({ duration }) => duration || 0)) * fps) - 1;
  const frameOf = (video) => Math.floor((shown_s.get(video) ?? video.currentTime) * fps + 0.01);
  const goTo = (frame) => {
    const to_s = (Math.max(0, Math.min(last(), frame)) + 0.5) / fps; // the middle of the frame, so that no rounding shows its neighbour
    for (const video of videos) { shown_s.delete(video); video.currentTime = to_s; }
  };
  const pauseBoth = () => {
    videos.forEach((video) => video.pause());
    if (!videos.some(({ ended: over }) => over)) goTo(Math.min(...videos.map(frameOf)));
  };
  const toggleBoth = () => {
    if (videos.some(isPlaying)) { pauseBoth(); return; }
    if (videos.every(({ ended: over }) => over)) videos.forEach((video) => { video.currentTime = 0; });
    videos.filter(({ ended: over }) => !over).forEach(start);
    requestAnimationFrame(keepTogether);
  };
  const step = (n_frames) => {
    videos.forEach((video) => video.pause());
    goTo(Math.floor(videos[0].currentTime * fps + 0.01) + n_frames);
  };
  const sounds = () => [...item.querySelectorAll(".sound input")];
  const listen = (place) => {
    videos.forEach((video, other) => { video.muted = other !== place; });
    sounds()[place].checked = true;
  };

  videos.forEach((video, place) => {
    const along = video.parentElement.querySelector("progress");
    const tell = () => { along.max = video.duration || 1; along.value = video.currentTime; };
    video.addEventListener("timeupdate", () => { tell(); show(); });
    video.addEventListener("ended", () => { ended.add(video); tell(); show(); });
    const size = () => { if (video.videoHeight) video.style.setProperty("--aspect", video.videoWidth / video.videoHeight); };
    video.addEventListener("loadedmetadata", size); // all as large, whatever their pixels
    size(); // it may have been there before the script
    for (const event of ["loadedmetadata", "play", "pause"]) video.addEventListener(event, show);
    video.addEventListener("error", () => { video.pause(); fail(); }); // Play asks for it again
    video.addEventListener("click", () => (inStep ? toggleBoth() : toggle(video)));
    video.addEventListener("contextmenu", (event) => event.preventDefault());
    if (inStep) { follow(video); playhead.follow(video); }
    else item.querySelectorAll(".play")[place].addEventListener("click", () => toggle(video));
    if (video.error) fail();
  });
  if (inStep) {
    item.querySelector(".play").addEventListener("click", toggleBoth);
    item.querySelector(".back").addEventListener("click", () => step(-1));
    item.querySelector(".on").addEventListener("click", () => step(1));
    sounds().forEach((input, place) => input.addEventListener("change", () => listen(place)));
    listen(0);
  }

  // --- the keyboard
  const answer = (place) => {
    if (answers.disabled) return;
    const focused = document.activeElement?.closest(".question");
    const question = focused ?? questions().find((one) => !isAnswered(one)) ?? questions()[0];
    const choice = question.querySelectorAll("input")[place];
    if (!choice) return;
    choice.checked = true;
    (questions().find((one) => !isAnswered(one))?.querySelector("input") ?? form.querySelector(".send")).focus();
  };
  const play = () => (inStep ? toggleBoth() : toggle(videos.find(isPlaying) ?? (isWatched(latest) ? videos.find((video) => !isWatched(video)) : latest) ?? latest));
  const onKey = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const on = event.target;
    const isChoice = on.matches?.("input[type=radio]");
    const isPressed = on.matches?.("button, a, summary");
    const act = (action) => { event.preventDefault(); action(); };
    if (/^[1-5]$/.test(event.key)) act(() => answer(Number(event.key) - 1));
    else if (event.key === " " && !isChoice && !isPressed) act(play);
    else if (event.key === "Enter" && !isChoice && !isPressed && !answers.disabled) act(() => form.requestSubmit());
    else if (inStep && event.key.toLowerCase() === "s") act(() => listen(videos[0].muted ? 0 : 1));
    else if (inStep && !isChoice && event.key === "ArrowLeft") act(() => step(-1));
    else if (inStep && !isChoice && event.key === "ArrowRight") act(() => step(1));
  };
  document.addEventListener("keydown", onKey);
  form.addEventListener("submit", (event) => {
    if (isSent || answers.disabled) { event.preventDefault(); return; }
    isSent = true;
    videos.forEach((video) => video.pause());
    form.querySelector(".send").setAttribute("aria-busy", "true");
  });
  item.querySelectorAll(".players button").forEach((button) => { button.disabled = false; }); // they were, as long as nobody listened
  if (document.activeElement === document.body) item.querySelector("[autofocus]").focus();
  show();
  return () => { document.removeEventListener("keydown", onKey); videos.forEach((video) => { video.pause(); video.removeAttribute("src"); video.load(); }); };
};
document.querySelectorAll("main .item").forEach(prepare);

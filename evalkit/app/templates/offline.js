"use strict";
// A rater's way on a page without a server: videos are in it, answers stay in the browser until they are saved as a file.
(() => {
  const study = JSON.parse(document.getElementById("study").textContent);
  const main = document.querySelector("main");
  const place = `evalkit ${study.ticket}`;
  const state = { language: "", answers: [] };
  let isKept = true;
  let leave = () => {};

  const keep = () => { try { localStorage.setItem(place, JSON.stringify(state)); } catch { isKept = false; } };
  try { Object.assign(state, JSON.parse(localStorage.getItem(place) ?? "{}")); } catch { isKept = false; }
  keep();

  const urls = new Map();
  const urlOf = (clip) => {
    if (!urls.has(clip)) {
      const bytes = Uint8Array.from(atob(study.clips[clip]), (letter) => letter.charCodeAt(0));
      urls.set(clip, URL.createObjectURL(new Blob([bytes], { type: "video/mp4" })));
    }
    return urls.get(clip);
  };

  const save = () => {
    const text = JSON.stringify({ format: study.format, ticket: study.ticket, language: state.language, answers: state.answers });
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
    link.download = study.file;
    link.click();
    const saved = main.querySelector(".saved");
    if (saved) saved.textContent = saved.dataset.saved.replace("{file}", study.file);
  };

  const put = (name) => {
    leave();
    leave = () => {};
    document.documentElement.lang = language();
    main.replaceChildren(document.getElementById(`${name}-${language()}`).content.cloneNode(true));
    main.querySelectorAll(".save").forEach((button) => button.addEventListener("click", save));
    main.querySelector("[autofocus]")?.focus();
    scrollTo(0, 0);
  };
  const isAs = (tag) => (navigator.languages[0] ?? "").slice(0, 2) === tag.slice(0, 2);
  const language = () => {
    const tag = location.hash.slice(1);
    return study.languages.includes(tag) ? tag : state.language || (study.languages.find(isAs) ?? study.languages[0]);
  };

  const show = () => {
    const answered = new Set(state.answers.map(({ presentation }) => presentation));
    const position = study.presentations.findIndex(({ nonce }) => !answered.has(nonce));
    if (position < 0) put("thanks");
    else showItem(study.presentations[position], position);
  };
  const showStart = () => {
    put("start");
    const n = state.answers.length;
    const part = main.querySelector(".part");
    part.hidden = n === 0;
    part.firstElementChild.textContent = n === 1 ? part.firstElementChild.dataset.one : part.firstElementChild.dataset.other.replace("{n}", n);
    main.querySelector(".not-kept").hidden = isKept;
    main.querySelector("form").addEventListener("submit", (event) => {
      event.preventDefault();
      state.language = language();
      keep();
      show();
    });
  };
  const showItem = ({ nonce, practice, clips }, position) => {
    put("item");
    const heading = main.querySelector("h1");
    const bar = main.querySelector(".progress progress");
    heading.textContent = heading.textContent.replace("{position}", position + 1);
    bar.setAttribute("aria-label", heading.textContent);
    bar.value = position;
    main.querySelector(".practice").hidden = !practice;
    const item = main.querySelector(".item");
    item.querySelectorAll("video").forEach((video, side) => { video.src = urlOf(clips[side]); });
    leave = prepare(item);
    let ended_ms = 0;
    item.addEventListener("ended", () => { ended_ms = performance.now(); }, true);
    item.querySelector("form").addEventListener("submit", (event) => {
      if (event.defaultPrevented) return;
      event.preventDefault();
      const given = Object.fromEntries([...new FormData(event.target)].filter(([name]) => name !== "presentation"));
      state.answers.push({
        presentation: nonce,
        given: given.preferred ?? Object.fromEntries(Object.entries(given).map(([question, score]) => [question, Number(score)])),
        took_s: Math.round(performance.now() - ended_ms) / 1000,
      });
      keep();
      show();
    });
  };
  addEventListener("hashchange", () => { if (main.querySelector(".languages")) showStart(); });
  if (state.answers.length === study.presentations.length) show();
  else showStart();
})();

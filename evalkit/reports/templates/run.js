"use strict";
(() => {
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
    const others = parse("tr", `<table><tbody>${more.map(([row]) => row).join("")}</table>`);
    const names = [...trialTable.tHead.rows[0].cells].map((head) => head.textContent); // what a card names its cells by
    for (const row of others) [...row.cells].forEach((cell, column) => { cell.dataset.label = names[column]; });
    ordered = [...first, ...others];
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
    const staged = new Set($$("#side-by-side .stage figure").map((figure) => figure.dataset.trial));
    $$(".pick", trialTable.closest("section")).forEach((box) => { box.checked = staged.has(box.value); });
    const numbers = { from: Math.min(from + 1, rows.length), to: from + shown.length, n: rows.length };
    pager.querySelector("output").value = pager.dataset.range.replace(/\{(\w+)\}/g, (_, name) => numbers[name]);
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

  // Tables: a head becomes a button. First what is best comes first, then what is worst; rows without a value stay at the end.
  const keyOf = (row, column) => {
    const cell = row.cells[column];
    const text = cell.dataset.v ?? cell.textContent.trim();
    if (text === "" || text === "–" || cell.classList.contains("absent")) return null;
    const number = Number(text);
    return Number.isNaN(number) ? text : number;
  };
  const { compare: compareTexts } = new Intl.Collator(undefined, { numeric: true });
  const compare = (a, b) => (typeof a === "number" && typeof b === "number" ? a - b : compareTexts(String(a), String(b)));
  const limit = (text, open) => (text === undefined ? open : Number(text));
  const badnessOf = ({ better, low, high }) => ({
    higher: (value) => -value,
    zero: Math.abs,
    band: low === undefined && high === undefined ? undefined : (value) => Math.max(limit(low, -Infinity) - value, value - limit(high, Infinity), 0),
  })[better] ?? ((value) => value);
  const sortBy = async (table, head, column, toWorst = head.dataset.sorted === "best") => {
    $$("th", table).forEach((other) => { other.removeAttribute("aria-sort"); delete other.dataset.sorted; });
    const { better } = head.dataset;
    head.dataset.sorted = toWorst ? "worst" : "best";
    head.setAttribute("aria-sort", better === "zero" || better === "band" ? "other" : toWorst === (better === "higher") ? "ascending" : "descending");
    if (better) head.querySelector("button").title = document.body.dataset[toWorst ? "worstFirst" : "bestFirst"];
    const isPaged = pager !== null && table === trialTable;
    if (isPaged) await readOnce();
    const badness = badnessOf(head.dataset);
    const keyed = (row) => {
      const key = keyOf(row, column);
      return typeof key === "number" ? badness(key) : key;
    };
    const rows = (isPaged ? ordered : [...table.tBodies[0].rows]).map((row) => [keyed(row), row]);
    rows.sort(([a], [b]) => (a === null || b === null ? (a === null) - (b === null) : toWorst ? compare(b, a) : compare(a, b)));
    const sorted = rows.map(([, row]) => row);
    if (isPaged) { ordered = sorted; turnTo(0); } else table.tBodies[0].append(...sorted);
  };
  for (const table of $$("table.sortable")) {
    const choice = document.createElement("select"); // on a phone, where heads have no place
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      if (head.classList.contains("script") || head.textContent.trim() === "") return;
      choice.add(new Option(head.textContent.trim(), column));
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => sortBy(table, head, column));
    });
    choice.selectedIndex = -1;
    choice.addEventListener("change", () => sortBy(table, table.tHead.rows[0].cells[choice.value], choice.value, false));
    const label = document.createElement("label");
    label.className = "sort-by small";
    label.append(`${document.body.dataset.bestFirst}:`, choice);
    table.closest(".wide").before(label);
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

  const markDetails = (details) => {
    const video = details.querySelector("video");
    if (video) player.markMoments(details, video, (time_s) => {
      video.preload = "auto";
      video.pause();
      video.currentTime = time_s;
    });
  };
  document.addEventListener("toggle", ({ target }) => { if (target.matches("details.trial")) markDetails(target); }, true);
})();

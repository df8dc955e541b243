"use strict";
(() => {
  document.documentElement.classList.add("js");
  const list = document.querySelector("ul.runs");
  const field = document.getElementById("f-text");
  const told = document.getElementById("count");
  const rows = Array.from(list.children);
  const filter = () => {
    const wanted = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    let n = 0;
    for (const row of rows) {
      row.hidden = !wanted.every((word) => row.dataset.words.includes(word));
      n += row.hidden ? 0 : 1;
    }
    told.textContent = told.dataset.one.replace("#", n);
  };
  field.addEventListener("input", filter);
  const boxes = Array.from(document.querySelectorAll("input[name=run]"));
  const limit = () => {
    const full = boxes.filter((box) => box.checked).length >= 2;
    for (const box of boxes) box.disabled = full && !box.checked;
  };
  for (const box of boxes) box.addEventListener("change", limit);
  limit();
  const every = Number(list.dataset.refresh);
  const isBusy = () => boxes.some((box) => box.checked) || document.hidden ||
    (document.activeElement && document.activeElement.closest("form.filters"));
  if (every) setInterval(() => { if (!isBusy()) location.reload(); }, every * 1000);
})();

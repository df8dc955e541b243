"use strict";
(() => {
  const root = document.documentElement;
  root.classList.add("js");
  const KEY = "evalkit-theme";
  let kept = null;
  try { kept = localStorage.getItem(KEY); } catch { /* a page may be forbidden to remember */ }
  if (kept === "light" || kept === "dark") root.dataset.theme = kept;
  const asked = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme ?? (asked.matches ? "dark" : "light")) === "dark";
  const show = () => document.querySelectorAll("button.theme").forEach((button) => button.setAttribute("aria-pressed", isDark()));
  document.addEventListener("click", ({ target }) => {
    if (!target.closest("button.theme")) return;
    root.dataset.theme = isDark() ? "light" : "dark";
    try { localStorage.setItem(KEY, root.dataset.theme); } catch { /* as above */ }
    show();
  });
  asked.addEventListener("change", show);
  document.addEventListener("DOMContentLoaded", show);
})();

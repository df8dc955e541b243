"use strict";
// Videos that are in this file: each gets an address of its own, before anything else of the page looks for it.
(() => {
  const clips = JSON.parse(document.getElementById("clips-in-this-file").textContent);
  const addresses = clips.map((text) => {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    return URL.createObjectURL(new Blob([bytes], { type: "video/mp4" }));
  });
  for (const one of document.querySelectorAll("[data-clip]")) {
    const address = addresses[Number(one.dataset.clip)];
    if (one instanceof HTMLVideoElement) one.src = address;
    else one.dataset.src = address;
  }
})();

"use strict";
// Clips one below the other: worst moments as marks, the first picture of a video once it is near, and one outcome alone.
(() => {
  const clips = [...document.querySelectorAll("article.clip")];
  const near = new IntersectionObserver((found) => {
    for (const { target, isIntersecting } of found)
      if (isIntersecting) { target.preload = "metadata"; near.unobserve(target); }
  }, { rootMargin: "600px" });
  for (const clip of clips) {
    const video = clip.querySelector("video");
    if (!video) continue;
    near.observe(video);
    video.addEventListener("play", () => {
      for (const other of document.querySelectorAll("video")) if (other !== video) other.pause();
    });
    const trouble = clip.querySelector(".trouble");
    video.addEventListener("loadedmetadata", () => { if (video.currentTime === 0) video.currentTime = 1e-4; }); // paints the first frame
    video.addEventListener("error", () => { trouble.hidden = false; });
    player.markMoments(clip, video, (time_s) => {
      video.pause();
      video.preload = "auto";
      video.currentTime = time_s;
      video.scrollIntoView({ block: "nearest" });
    });
  }
  const choice = document.getElementById("outcome");
  choice?.addEventListener("change", () => {
    for (const more of document.querySelectorAll(".clips-more")) more.open = Boolean(choice.value);
    for (const shown of document.querySelectorAll("[data-outcome]")) shown.hidden = Boolean(choice.value) && shown.dataset.outcome !== choice.value;
  });
})();

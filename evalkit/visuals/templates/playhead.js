"use strict";
// Where a video is, for videos that play in step. What it shows and what it says of itself (its sound follows that) can be two
// frames apart, as browsers choose frames by the cadence of the screen: of two that say the same, one may show a later frame.
// A place is nearer to what is shown, as that is what people compare, and not all of the way, so that no sound is a frame off.
const playhead = (() => {
  const lead_s = new WeakMap(); // by how much the frames shown are ahead, smoothed over ten of them
  const follow = (video) => video.requestVideoFrameCallback?.((_now, { mediaTime, expectedDisplayTime }) => {
    const says_s = video.currentTime + (video.playbackRate * (expectedDisplayTime - performance.now())) / 1000;
    const before_s = lead_s.get(video) ?? mediaTime - says_s;
    if (!video.paused && !video.seeking) lead_s.set(video, before_s + 0.1 * (mediaTime - says_s - before_s));
    follow(video);
  });
  const most_s = 0.035; // a machine that is late shows all late, and clocks are all that is left to hold
  const counted = (lead) => Math.max(-most_s, Math.min(most_s, 0.75 * lead));
  return { follow, of: (video) => video.currentTime + counted(lead_s.get(video) ?? 0) };
})();

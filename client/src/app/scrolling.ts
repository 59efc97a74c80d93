/** How far the page is scrolled, as entries of the history remember it. */

const GESTURES = ["wheel", "pointerdown", "keydown"] as const;

let wanted: number | null = null;

/** Where the page is about to be scrolled, px: the entry that the browser went to was left there. Null when the user decides. */
export const wantedScroll = (): number | null => wanted;

export function forgetScroll(): void {
  wanted = null;
}

/** Scrolls there as soon as enough pictures are there, whatever comes and goes meanwhile, unless the user moves first. */
export function scrollBack(to: number): () => void {
  if (to === 0) {
    // It is reached at once: nobody is held at the top while pictures come.
    forgetScroll();
    window.scrollTo({ top: 0, behavior: "instant" });
    return () => undefined;
  }
  wanted = to;
  let reached = 0; // the page may still be too short
  const reach = (): void => {
    if (wanted === null) return;
    window.scrollTo({ top: wanted, behavior: "instant" });
    reached = window.scrollY;
  };
  const onScroll = (): void => {
    const end = document.documentElement.scrollHeight - window.innerHeight;
    const ours = [wanted ?? 0, reached, end].some((place) => Math.abs(window.scrollY - place) <= 2);
    if (!ours) forgetScroll(); // a scrollbar was dragged, which no other event tells
  };
  const growth = new ResizeObserver(reach);
  growth.observe(document.body);
  for (const gesture of GESTURES) window.addEventListener(gesture, forgetScroll, { capture: true, passive: true });
  window.addEventListener("scroll", onScroll, { passive: true });
  reach();
  return () => {
    growth.disconnect();
    for (const gesture of GESTURES) window.removeEventListener(gesture, forgetScroll, { capture: true });
    window.removeEventListener("scroll", onScroll);
  };
}

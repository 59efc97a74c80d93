/** From one answer to the next: what stays glides to its new place, what is new fades in, what goes fades out below. */

import type { Place } from "./layout";

const GLIDE_MS = 280;
const FADE_MS = 180;
const EASE = "cubic-bezier(0.2, 0.8, 0.2, 1)";

interface Shown {
  node: HTMLElement;
  place: Place<unknown>;
}

export interface Snapshot {
  /** Height of the list's upper edge in the window, px. */
  top: number;
  tiles: ReadonlyMap<number, Shown>;
}

interface Box {
  left: number;
  top: number;
  width: number;
  height: number;
}

export const stillness = (): boolean => window.matchMedia("(prefers-reduced-motion: reduce)").matches;

const move = ({ left, top }: { left: number; top: number }): string => `translate(${left}px, ${top}px)`;

/** Where a tile is seen: underway, if it glides. */
function seenAt({ node, place }: Shown): Box {
  if (!node.getAnimations().some((animation) => animation.id === "glide")) return place;
  const { a, d, e, f } = new DOMMatrixReadOnly(getComputedStyle(node).transform);
  return { left: e, top: f, width: a * place.width, height: d * place.height };
}

/** Lays what was seen at a place below the list until everything else has come to rest. */
function leave(node: HTMLElement, at: Box, below: HTMLElement): void {
  // A mere picture: without what lies on it or under it.
  for (const part of node.querySelectorAll(":scope > :not([data-id])")) part.remove();
  for (const attribute of ["data-tile", "data-score"]) node.removeAttribute(attribute);
  Object.assign(node.style, { transform: move(at), width: `${at.width}px`, height: `${at.height}px` });
  below.append(node);
  const faded = node.animate([{ opacity: 1 }, { opacity: 1, offset: 0.8 }, { opacity: 0 }], GLIDE_MS);
  faded.onfinish = () => node.remove();
  faded.oncancel = () => node.remove();
}

/** Moves nothing where the user wants no motion. `below` takes what has left the answer until it has faded. */
export function glide(before: Snapshot, now: Snapshot, below: HTMLElement): void {
  if (stillness()) return;
  const shift = before.top - now.top; // the whole list may have moved
  const visible = (box: Box, top: number): boolean =>
    top + box.top < window.innerHeight && top + box.top + box.height > 0;

  for (const [id, { node, place }] of now.tiles) {
    const known = before.tiles.get(id);
    const from = known && seenAt({ node, place: known.place });
    if (from && (visible(from, before.top) || visible(place, now.top))) {
      if (from.left === place.left && from.top + shift === place.top && from.width === place.width) continue;
      for (const animation of node.getAnimations()) if (animation.id === "glide") animation.cancel();
      // A hole would be as bright as the page: what was there stays below until something comes.
      if (visible(from, before.top))
        leave(node.cloneNode(true) as HTMLElement, { ...from, top: from.top + shift }, below);
      const scale = `scale(${from.width / place.width}, ${from.height / place.height})`;
      const start = `${move({ left: from.left, top: from.top + shift })} ${scale}`;
      const glided = node.animate([{ transform: start }, { transform: move(place) }], {
        duration: GLIDE_MS,
        easing: EASE,
      });
      glided.id = "glide";
    } else if (!known && visible(place, now.top)) {
      // Not from nothing: with what goes still below, the gallery stays as bright as it was.
      const start = before.tiles.size > 0 ? 0.3 : 0;
      node.animate([{ opacity: start }, { opacity: 1 }], { duration: FADE_MS, easing: "ease-out" });
    }
  }
  for (const [id, { node, place }] of before.tiles) {
    if (now.tiles.has(id) || node.isConnected || !visible(place, before.top)) continue;
    leave(node, { ...place, top: place.top + shift }, below);
  }
}

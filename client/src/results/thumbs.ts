/** Thumbnails that are fetched and decoded before they are shown, so that nothing flashes. */

import { address } from "../server/client";
import type { Hit, Picture } from "../server/types";

const FIRST = 12; // pictures of an answer that are in the window, whatever its size
const KEPT = 400; // decoded thumbnails that are held, 50 MB at most

const images = new Map<string, { image: HTMLImageElement; decoded: Promise<void> }>();
const decoded = new Set<string>();

export const smallUrl = (picture: Picture | Hit): string => address(picture.thumbnail_url, { size: "small" });

export const isDecoded = (url: string): boolean => decoded.has(url);

function decode(url: string): Promise<void> {
  const known = images.get(url);
  if (known) {
    images.delete(url); // the last asked for goes last
    images.set(url, known);
    return known.decoded;
  }
  const image = new Image();
  image.fetchPriority = "high";
  image.src = url;
  const done = image.decode().then(
    () => {
      decoded.add(url);
    },
    // One that cannot be had is the tile's business; nobody waits for it.
    () => undefined,
  );
  images.set(url, { image, decoded: done });
  for (const old of images.keys()) {
    if (images.size <= KEPT) break;
    images.delete(old);
    decoded.delete(old);
  }
  return done;
}

/** Resolves when all of them can be painted at once, or when `patience` (ms) is over. */
export async function ready(urls: readonly string[], patience: number): Promise<void> {
  const missing = urls.filter((url) => !decoded.has(url));
  if (missing.length === 0) return;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const over = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, patience);
  });
  await Promise.race([Promise.all(missing.map(decode)), over]);
  clearTimeout(timer);
}

/** Begins to fetch what of an answer is surely seen, while the page still makes its rows of it. */
export function ahead(pictures: readonly (Hit | Picture)[]): void {
  for (const picture of pictures.slice(0, FIRST)) void decode(smallUrl(picture));
}

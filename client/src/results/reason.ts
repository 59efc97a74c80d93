/** Why a picture was found, in words instead of numbers. */

import type { Hit, Picture } from "../server/types";
import { isHit } from "./Parts";

export type Strength = "strongly" | "somewhat" | "hardly";
/** Largest share of each part of the question in an answer. */
export type Best = Readonly<Record<string, number>>;

// Shares of cosines mean nothing by themselves: they are held against the best of the same answer.
const STRONG = 0.85;
const SOME = 0.5;

export function bestOf(pictures: readonly (Hit | Picture)[]): Best {
  const best: Record<string, number> = {};
  for (const picture of pictures) {
    if (!isHit(picture)) continue;
    for (const [part, share] of Object.entries(picture.parts)) best[part] = Math.max(best[part] ?? 0, share);
  }
  return best;
}

/** What the question had of a hit, part by part; "without" is no reason to be found. */
export function reasonsOf(hit: Hit, best: Best): { part: string; strength: Strength }[] {
  return Object.entries(hit.parts)
    .filter(([part]) => part !== "not_text")
    .map(([part, share]) => {
      const against = best[part] ?? 0;
      const ratio = against > 0 ? share / against : 0;
      return { part, strength: ratio >= STRONG ? "strongly" : ratio >= SOME ? "somewhat" : "hardly" };
    });
}

/**
 * What entries of the browser's history hold beside their address: the drawing with its undo history, and the picture. Kept in IndexedDB
 * under the name that an entry's `history.state` carries, so that Back, a reload and the list of last questions find it again.
 */

import { entries as allOf, clear, createStore, del, get, set } from "idb-keyval";
import { isBlank } from "../sketch/strokes";
import { parseAddress } from "./address";
import type { Held } from "./question";

interface Kept extends Held {
  /** The query string of the entry's address. */
  search: string;
  /** Milliseconds since 1970. */
  at: number;
}

/** A question that was asked before, newest first in a list. */
export interface Recent extends Kept {
  name: string;
}

const MOST = 60; // entries that are kept
const PATIENCE_MS = 1500; // a browser whose storage hangs shows the page all the same

const store = createStore("tsir", "entries");
const known = new Map<string, Kept>(); // this visit's, at hand without waiting

export const newName = (): string =>
  `${Date.now().toString(36).padStart(9, "0")}-${Math.random().toString(36).slice(2, 8)}`;

export function keep(name: string, search: string, held: Held): void {
  const { drawing, image } = held;
  const kept: Kept = { search, drawing, image, at: Date.now() };
  known.set(name, kept);
  // Storage that is full or forbidden: the entry lives as long as the page.
  set(name, kept, store).catch(() => undefined);
}

const late = <T>(promise: Promise<T>): Promise<T | undefined> =>
  Promise.race([promise, new Promise<undefined>((resolve) => setTimeout(resolve, PATIENCE_MS))]).catch(() => undefined);

/** What an entry holds; null when nothing is known of it. */
export async function recall(name: string | null): Promise<Held | null> {
  if (name === null) return null;
  const kept = known.get(name) ?? (await late(get<Kept>(name, store)));
  if (!kept) return null;
  known.set(name, kept);
  return { drawing: kept.drawing, image: kept.image };
}

const asks = ({ search, drawing, image }: Kept): boolean => {
  const { text, like } = parseAddress(search).query;
  return text.trim() !== "" || like !== null || image !== null || !isBlank(drawing.marks);
};

/** What of a question can be told apart, "" where there is nothing. */
function partsOf({ search, drawing, image }: Kept): readonly string[] {
  const { text, notText, like } = parseAddress(search).query;
  const ends = drawing.marks.map((mark) => (mark.kind === "picture" ? mark.src.length : mark.points[0]));
  return [text, notText, like, image?.size ?? "", ends.length > 0 ? JSON.stringify(ends) : ""].map((part) =>
    String(part ?? ""),
  );
}

/** Whether the one question is a step on the way to the other. */
const leadsTo = (before: readonly string[], after: readonly string[]): boolean =>
  before.every((part, k) => part === "" || (after[k]?.startsWith(part.replace(/\]$/, "")) ?? false));

/** The last questions to a collection (null: the default one) that asked for something; forgets the oldest entries. */
export async function recents(collection: string | null, count: number): Promise<readonly Recent[]> {
  const found = await late(allOf<string, Kept>(store));
  const sorted = (found ?? [...known]).sort(([, a], [, b]) => b.at - a.at);
  for (const [name] of sorted.slice(MOST)) {
    known.delete(name);
    del(name, store).catch(() => undefined);
  }
  const chosen: Recent[] = [];
  for (const [name, kept] of sorted.slice(0, MOST)) {
    if (!asks(kept) || parseAddress(kept.search).collection !== collection) continue;
    if (!chosen.some((later) => leadsTo(partsOf(kept), partsOf(later)))) chosen.push({ ...kept, name });
  }
  return chosen.slice(0, count);
}

/** Forgets all questions, but for the entry that is on screen. */
export async function forgetAll(present: string): Promise<void> {
  for (const name of known.keys()) if (name !== present) known.delete(name);
  await clear(store).catch(() => undefined);
}

/**
 * What entries of the browser's history hold beside their address: the drawing with its undo history, and the picture. Kept in IndexedDB
 * under the name that an entry's `history.state` carries, so that Back, a reload and the list of last questions find it again.
 */

import { entries as allOf, clear, createStore, del, get } from "idb-keyval";
import { type Drawing, isBlank, type Mark } from "../sketch/strokes";
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
const PAUSE_MS = 1000; // between two writes: a drawing with its history is long, and each stroke and letter changes it

const store = createStore("tsir", "entries");
const known = new Map<string, Kept>(); // this visit's, at hand without waiting
const unwritten = new Map<string, Kept>();
let last: readonly [name: string, kept: Kept] | null = null; // the entry on screen
let timer: ReturnType<typeof setTimeout> | undefined;

export const newName = (): string =>
  `${Date.now().toString(36).padStart(9, "0")}-${Math.random().toString(36).slice(2, 8)}`;

export function keep(name: string, search: string, held: Held): void {
  const { drawing, image } = held;
  const kept: Kept = { search, drawing, image, at: Date.now() };
  last = [name, kept];
  known.set(name, kept);
  unwritten.set(name, kept);
  timer ??= setTimeout(write, PAUSE_MS);
}

/** Writes what is new, so that it outlives the page. */
function write(): void {
  clearTimeout(timer);
  timer = undefined;
  if (unwritten.size === 0) return;
  const now = [...unwritten];
  unwritten.clear();
  store("readwrite", (entries) => {
    for (const [name, kept] of now) entries.put(kept, name);
    entries.transaction.commit(); // a page that goes does not live to see it do so by itself
  }).catch(() => undefined); // storage that is full or forbidden: the entries live as long as the page
}

const LEFT = "tsir.left"; // what a page that went at once had no time to write elsewhere

/** Storage that is written before the page is gone: each mark once, and the steps of the history as their places. */
function leave(): void {
  write();
  if (!last) return;
  const [name, kept] = last;
  const { past, marks, future } = kept.drawing;
  const all = [...new Set([...past, marks, ...future].flat())];
  const place = new Map(all.map((mark, k) => [mark, k]));
  const placed = (step: readonly Mark[]) => step.map((mark) => place.get(mark));
  try {
    sessionStorage.setItem(LEFT, JSON.stringify([name, all, past.map(placed), placed(marks), future.map(placed)]));
  } catch {
    // too long: then it is the other storage's alone
  }
}

/** The drawing that was left a moment ago, under this name. */
function left(name: string): Drawing | null {
  const text = sessionStorage.getItem(LEFT);
  if (text === null) return null;
  sessionStorage.removeItem(LEFT);
  const [of, all, past, marks, future] = JSON.parse(text) as [string, Mark[], number[][], number[], number[][]];
  const step = (places: number[]): Mark[] => places.flatMap((k) => all[k] ?? []);
  return of === name ? { past: past.map(step), marks: step(marks), future: future.map(step) } : null;
}

/** A page that is left, or hidden and perhaps never shown again, writes at once. */
export function keepOnLeaving(): () => void {
  store("readonly", () => undefined).catch(() => undefined); // opened by now: then nobody waits for that
  const onHide = (): void => {
    if (document.visibilityState === "hidden") write();
  };
  window.addEventListener("pagehide", leave);
  document.addEventListener("visibilitychange", onHide);
  return () => {
    window.removeEventListener("pagehide", leave);
    document.removeEventListener("visibilitychange", onHide);
  };
}

const late = <T>(promise: Promise<T>): Promise<T | undefined> =>
  Promise.race([promise, new Promise<undefined>((resolve) => setTimeout(resolve, PATIENCE_MS))]).catch(() => undefined);

/** What an entry holds; null when nothing is known of it. */
export async function recall(name: string | null): Promise<Held | null> {
  if (name === null) return null;
  const drawing = left(name);
  const kept = known.get(name) ?? (await late(get<Kept>(name, store)));
  if (drawing) return { drawing, image: kept?.image ?? null };
  if (!kept) return null;
  known.set(name, kept);
  return { drawing: kept.drawing, image: kept.image };
}

const asks = ({ search, drawing, image }: Kept): boolean => {
  const { text, likes } = parseAddress(search).query;
  return text.trim() !== "" || likes.length > 0 || image !== null || !isBlank(drawing.marks);
};

/** What of a question can be told apart, "" where there is nothing. */
function partsOf({ search, drawing, image }: Kept): readonly string[] {
  const { text, notText, likes } = parseAddress(search).query;
  const ends = drawing.marks.map((mark) => (mark.kind === "picture" ? mark.src.length : mark.points[0]));
  return [
    text,
    notText,
    likes.length > 0 ? JSON.stringify(likes) : "",
    image?.size ?? "",
    ends.length > 0 ? JSON.stringify(ends) : "",
  ].map((part) => String(part ?? ""));
}

/** Whether the one question is a step on the way to the other. */
const leadsTo = (before: readonly string[], after: readonly string[]): boolean =>
  before.every((part, k) => part === "" || (after[k]?.startsWith(part.replace(/\]$/, "")) ?? false));

/** The last questions to a collection (null: the default one) that asked for something; forgets the oldest entries. */
export async function recents(collection: string | null, count: number): Promise<readonly Recent[]> {
  const found = await late(allOf<string, Kept>(store));
  const sorted = [...new Map([...(found ?? known), ...unwritten])].sort(([, a], [, b]) => b.at - a.at);
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
  unwritten.clear();
  await clear(store).catch(() => undefined);
}

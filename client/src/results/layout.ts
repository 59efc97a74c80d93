/** Where each picture of an answer lies on the page. No DOM here; all lengths in px. */

import { justify, type Row } from "./justify";

export const GAP = 10; // between the pictures of a row
export const ROW_GAP = 10;
const HEAD = 46; // height of a section's heading
const SECTION_GAP = 18; // above the heading of every section but the first

/** Row height that shows two or three pictures a row on a phone and five or six on a wide screen. */
export const targetHeight = (width: number): number => (width < 520 ? 128 : width < 1200 ? 176 : 208);

export interface Section<T> {
  title: string;
  /** What a rail calls it, where there is little room: several sections may share one. */
  mark?: string;
  items: readonly T[];
}

export interface Place<T> {
  item: T;
  /** In the order of the answer, over all sections. */
  index: number;
  row: number;
  left: number;
  top: number;
  width: number;
  height: number;
}

export interface Head {
  title: string;
  mark: string;
  top: number;
}

export interface Layout<T> {
  places: readonly Place<T>[];
  heads: readonly Head[];
  height: number;
}

/** Rows of pictures that fill `width`, with a heading over each section; `below` is kept free under each row. */
export function layOut<T extends { width: number; height: number }>(
  sections: readonly Section<T>[],
  width: number,
  below: number,
): Layout<T> {
  const places: Place<T>[] = [];
  const heads: Head[] = [];
  const target = targetHeight(width);
  let top = 0;
  let row = 0;
  for (const { title, mark = title, items } of sections) {
    if (title) {
      if (heads.length > 0) top += SECTION_GAP;
      heads.push({ title, mark, top });
      top += HEAD;
    }
    for (const { boxes, height } of justify(items, width, target, GAP) as Row<T>[]) {
      let left = 0;
      for (const box of boxes) {
        places.push({ item: box.item, index: places.length, row, left, top, width: box.width, height });
        left += box.width + GAP;
      }
      top += height + below + ROW_GAP;
      row += 1;
    }
  }
  return { places, heads, height: Math.max(0, top - ROW_GAP) };
}

/** The first index at which `true_` holds, where it holds for all later ones. */
function first(length: number, true_: (index: number) => boolean): number {
  let [from, to] = [0, length];
  while (from < to) {
    const middle = (from + to) >> 1;
    if (true_(middle)) to = middle;
    else from = middle + 1;
  }
  return from;
}

/** The places that touch the strip between two heights: indices from the first up to, but without, the second. */
export function within<T>(places: readonly Place<T>[], from: number, to: number): [first: number, end: number] {
  const start = first(places.length, (index) => {
    const place = places[index];
    return place !== undefined && place.top + place.height >= from;
  });
  const end = first(places.length, (index) => (places[index]?.top ?? 0) > to);
  return [start, Math.max(start, end)];
}

const middleOf = <T>(place: Place<T>): number => place.left + place.width / 2;

/** The picture `rows` further down (up, where negative) that lies nearest below this one; null beyond the last row. */
export function beside<T>(places: readonly Place<T>[], index: number, rows: number): number | null {
  const from = places[index];
  const last = places.at(-1);
  if (!from || !last) return null;
  const row = Math.max(0, Math.min(last.row, from.row + rows));
  if (row === from.row) return null;
  const start = first(places.length, (at) => (places[at]?.row ?? 0) >= row);
  let nearest = start;
  for (let at = start; places[at]?.row === row; at += 1) {
    const [candidate, known] = [places[at], places[nearest]];
    if (
      candidate &&
      known &&
      Math.abs(middleOf(candidate) - middleOf(from)) < Math.abs(middleOf(known) - middleOf(from))
    )
      nearest = at;
  }
  return nearest;
}

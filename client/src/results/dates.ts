/** Pictures of a list under the dates that they come by. */

import type { Sort } from "../server/types";
import type { Section } from "./layout";

interface Dated {
  taken_at: string | null;
  created_at: string;
}

const RUN = 6; // pictures a month must bring at a time, on average, for months to divide the list at all

/** What a list goes by: when pictures were taken, by month, or when they were added, by day. */
export type By = "month" | "day";

/** The month on the camera's own clock ("2024-05"), of an unknown one when it was added. */
const monthOf = (picture: Dated): string => (picture.taken_at ?? picture.created_at).slice(0, 7);

/** The day on this clock ("2024-05-03"). */
function dayOf({ created_at }: Dated): string {
  const when = new Date(created_at);
  const two = (value: number): string => String(value).padStart(2, "0");
  return `${when.getFullYear()}-${two(when.getMonth() + 1)}-${two(when.getDate())}`;
}

function runs<T>(items: readonly T[], keyOf: (item: T) => string): { key: string; items: T[] }[] {
  const found: { key: string; items: T[] }[] = [];
  for (const item of items) {
    const key = keyOf(item);
    const last = found.at(-1);
    if (last?.key === key) last.items.push(item);
    else found.push({ key, items: [item] });
  }
  return found;
}

/**
 * The list, in its own order, cut where the date changes. Where a list in the order of adding is not roughly in the order of taking,
 * months would cut it into crumbs, and the days of adding serve.
 */
export function byDate<T extends Dated>(
  items: readonly T[],
  title: (key: string, by: By) => string,
  sort: Sort = "imported",
): Section<T>[] {
  if (sort === "taken") return byTaking(items, title);
  const months = runs(items, monthOf);
  const crumbs = months.length > 1 && items.length / months.length < RUN;
  const by: By = crumbs || items.every((item) => item.taken_at === null) ? "day" : "month";
  const parts = by === "month" ? months : runs(items, dayOf);
  return parts.map(({ key, items: part }) => ({
    title: title(key, by),
    ...(by === "month" && { mark: key.slice(0, 4) }),
    items: part,
  }));
}

/** By the months of taking; what has no date comes last, under no date. */
function byTaking<T extends Dated>(items: readonly T[], title: (key: string, by: By) => string): Section<T>[] {
  return runs(items, ({ taken_at }) => taken_at?.slice(0, 7) ?? "").map(({ key, items: part }) => ({
    title: title(key, "month"),
    mark: key.slice(0, 4),
    items: part,
  }));
}

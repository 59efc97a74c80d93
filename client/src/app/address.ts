/** The page's address: which collection, what is asked apart from the drawing itself, and the picture that is looked at. */

import type { Filter } from "../server/types";

export interface Query {
  text: string;
  notText: string;
  /** 0: words only, 0.5: as the server weighs them, 1: drawing only. */
  balance: number;
  /** Id of a stored picture that hits should resemble. */
  like: number | null;
  filter: Filter;
}

export interface Address {
  collection: string | null;
  query: Query;
  /** Id of the picture that the viewer shows. */
  view: number | null;
}

export const BLANK: Query = { text: "", notText: "", balance: 0.5, like: null, filter: {} };

const ORIENTATIONS = ["landscape", "portrait", "square"] as const;

function wholeNumber(text: string | null): number | null {
  return text !== null && /^\d{1,15}$/.test(text) ? Number(text) : null;
}

const isDay = (text: string | null): text is string =>
  text !== null && /^\d{4}-\d{2}-\d{2}$/.test(text) && !Number.isNaN(Date.parse(text));

export function parseAddress(search: string): Address {
  const given = new URLSearchParams(search);
  const balance = Number(given.get("balance") ?? "0.5");
  const filter: Filter = {};
  const orientation = ORIENTATIONS.find((name) => name === given.get("shape"));
  if (orientation) filter.orientation = orientation;
  const [after, before] = [given.get("after"), given.get("before")];
  if (isDay(after)) filter.taken_after = after;
  if (isDay(before)) filter.taken_before = before;
  const formats = (given.get("type") ?? "").split(",").filter((name) => /^[A-Z0-9]{2,8}$/.test(name));
  if (formats.length > 0) filter.formats = formats;
  return {
    collection: given.get("in"),
    query: {
      text: given.get("q") ?? "",
      notText: given.get("not") ?? "",
      balance: Number.isFinite(balance) ? Math.min(1, Math.max(0, balance)) : 0.5,
      like: wholeNumber(given.get("like")),
      filter,
    },
    view: wholeNumber(given.get("view")),
  };
}

/** The address' query string, "" or "?...": only what differs from the start page. */
export function formatAddress({ collection, query, view }: Address): string {
  const given = new URLSearchParams();
  if (collection) given.set("in", collection);
  if (query.text) given.set("q", query.text);
  if (query.notText) given.set("not", query.notText);
  if (query.balance !== 0.5) given.set("balance", String(Math.round(query.balance * 100) / 100));
  if (query.like !== null) given.set("like", String(query.like));
  const { orientation, taken_after, taken_before, formats } = query.filter;
  if (orientation) given.set("shape", orientation);
  if (taken_after) given.set("after", taken_after);
  if (taken_before) given.set("before", taken_before);
  if (formats && formats.length > 0) given.set("type", formats.join(","));
  if (view !== null) given.set("view", String(view));
  return given.size > 0 ? `?${given}` : "";
}

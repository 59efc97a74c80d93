/** The page's address: which collection, what is asked apart from the drawing itself, and the picture that is looked at. */

import type { Filter } from "../server/types";

/**
 * Factors on the server's own weights, 1 where there is none. `level` is that of words and drawing together, whose ratio is the balance.
 * A picture's factor below zero says "not like this".
 */
export interface Strengths {
  level?: number;
  notText?: number;
  image?: number;
  like?: number;
}

export interface Query {
  text: string;
  notText: string;
  /** 0: words only, 0.5: as the server weighs them, 1: drawing only. */
  balance: number;
  strengths: Strengths;
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

export const BLANK: Query = { text: "", notText: "", balance: 0.5, strengths: {}, like: null, filter: {} };

export const STRONGEST = 2; // twice what the server would give
export const WEAKEST = 0.1; // less is as good as nothing: then a part is better taken away
const FACTORS = ["level", "notText", "image", "like"] as const;
const ORIENTATIONS = ["landscape", "portrait", "square"] as const;

function wholeNumber(text: string | null): number | null {
  return text !== null && /^\d{1,15}$/.test(text) ? Number(text) : null;
}

const isDay = (text: string | null): text is string =>
  text !== null && /^\d{4}-\d{2}-\d{2}$/.test(text) && !Number.isNaN(Date.parse(text));

/** "level:0.5,like:-1" */
function parseStrengths(text: string): Strengths {
  const strengths: Strengths = {};
  for (const part of text.split(",")) {
    const [name, value = ""] = part.split(":");
    const factor = FACTORS.find((known) => known === name);
    const number = value.trim() === "" ? Number.NaN : Number(value);
    const least = factor === "image" || factor === "like" ? -STRONGEST : WEAKEST;
    if (factor && number >= least && number <= STRONGEST && Math.abs(number) >= WEAKEST && number !== 1)
      strengths[factor] = number;
  }
  return strengths;
}

const formatStrengths = (strengths: Strengths): string =>
  FACTORS.flatMap((name) => {
    const factor = strengths[name] ?? 1;
    return factor === 1 ? [] : [`${name}:${Math.round(factor * 100) / 100}`];
  }).join(",");

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
      strengths: parseStrengths(given.get("strength") ?? ""),
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
  const strengths = formatStrengths(query.strengths);
  if (strengths) given.set("strength", strengths);
  if (query.like !== null) given.set("like", String(query.like));
  const { orientation, taken_after, taken_before, formats } = query.filter;
  if (orientation) given.set("shape", orientation);
  if (taken_after) given.set("after", taken_after);
  if (taken_before) given.set("before", taken_before);
  if (formats && formats.length > 0) given.set("type", formats.join(","));
  if (view !== null) given.set("view", String(view));
  return given.size > 0 ? `?${given}` : "";
}

/** The page's address: which collection, what is asked apart from the drawing itself, and the picture that is looked at. */

import type { Collapse, Filter, FilterValue, Sort } from "../server/types";

/**
 * Factors on the server's own weights, 1 where there is none. `level` is that of words and drawing together, whose ratio is the balance.
 * A picture's factor below zero says "not like this".
 */
export interface Strengths {
  level?: number;
  notText?: number;
  image?: number;
  like?: number;
  notLike?: number;
}

/** A part of a picture: left, top, right and bottom, in shares of its sides. */
export type Box = readonly [x0: number, y0: number, x1: number, y1: number];

/** A stored picture in the question. */
export interface Like {
  id: number;
  /** Hits should not resemble it. */
  against: boolean;
  /** Null: all of it. */
  box: Box | null;
}

export interface Query {
  text: string;
  notText: string;
  /** 0: words only, 0.5: as the server weighs them, 1: drawing only. */
  balance: number;
  strengths: Strengths;
  /** Stored pictures that hits should resemble, or should not. */
  likes: readonly Like[];
  filter: Filter;
  /** How pictures are ordered while nothing is asked for. */
  sort: Sort;
  /** Which alike hits are shown as one; null: none. */
  collapse: Collapse | null;
  /** Whether all collections are searched, not only the one on screen. */
  everywhere: boolean;
}

export interface Address {
  collection: string | null;
  query: Query;
  /** Id of the picture that the viewer shows. */
  view: number | null;
}

export const BLANK: Query = {
  text: "",
  notText: "",
  balance: 0.5,
  strengths: {},
  likes: [],
  filter: {},
  sort: "imported",
  collapse: null,
  everywhere: false,
};

export const STRONGEST = 2; // twice what the server would give
export const WEAKEST = 0.1; // less is as good as nothing: then a part is better taken away
const FACTORS = ["level", "notText", "image", "like", "notLike"] as const;
export const MOST_LIKES = 10;
export const STACKS: readonly Collapse[] = ["duplicates", "bursts"];
export const SORTS: readonly Sort[] = ["imported", "taken", "name"];
const CONDITION = "f."; // what the name of a condition begins with in the address, if it has no shorter name of its own
const ORIENTATIONS = ["landscape", "portrait", "square"] as const;

function wholeNumber(text: string | null): number | null {
  return text !== null && /^\d{1,15}$/.test(text) ? Number(text) : null;
}

export const isDay = (text: string | null): text is string =>
  text !== null && /^\d{4}-\d{2}-\d{2}$/.test(text) && !Number.isNaN(Date.parse(text));

/** "level:0.5,like:-1" */
function parseStrengths(text: string): Strengths {
  const strengths: Strengths = {};
  for (const part of text.split(",")) {
    const [name, value = ""] = part.split(":");
    const factor = FACTORS.find((known) => known === name);
    const number = value.trim() === "" ? Number.NaN : Number(value);
    const least = factor === "image" ? -STRONGEST : WEAKEST;
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

const BOX = /^(\d{1,4})_(\d{1,4})_(\d{1,4})_(\d{1,4})$/;
const FINE = 1000; // a box stands in the address in thousandths

/** "7,-12,9@100_250_500_750": like 7, not like 12, like a part of 9. */
function parseLikes(text: string): Like[] {
  const likes = text.split(",").flatMap((part): Like[] => {
    const [name = "", corners] = part.split("@");
    const id = wholeNumber(name.replace(/^-/, ""));
    if (id === null || id === 0) return [];
    const found =
      corners === undefined
        ? null
        : BOX.exec(corners)
            ?.slice(1)
            .map((side) => Number(side) / FINE);
    if (found === undefined) return [];
    const [x0 = 0, y0 = 0, x1 = 0, y1 = 0] = found ?? [];
    if (found && !(x0 < x1 && y0 < y1 && x1 <= 1 && y1 <= 1)) return [];
    return [{ id, against: name.startsWith("-"), box: found && [x0, y0, x1, y1] }];
  });
  return likes.slice(0, MOST_LIKES);
}

const formatLike = ({ id, against, box }: Like): string =>
  `${against ? "-" : ""}${id}${box ? `@${box.map((side) => Math.round(side * FINE)).join("_")}` : ""}`;

/** A condition as text: what is no text by itself, or would be read as something else, as JSON. */
function formatValue(value: FilterValue): string {
  return typeof value === "string" && parseValue(value) === value ? value : JSON.stringify(value);
}

function parseValue(text: string): FilterValue {
  try {
    const value: unknown = JSON.parse(text);
    const plain = (part: unknown): boolean => ["string", "number", "boolean"].includes(typeof part);
    return (Array.isArray(value) ? value.every(plain) : plain(value)) ? (value as FilterValue) : text;
  } catch {
    return text;
  }
}

export function parseAddress(search: string): Address {
  const given = new URLSearchParams(search);
  const balance = Number(given.get("balance") ?? "0.5");
  const filter: { [name: string]: FilterValue } = {};
  for (const [name, value] of given)
    if (name.startsWith(CONDITION) && value !== "") filter[name.slice(CONDITION.length)] = parseValue(value);
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
      likes: parseLikes(given.get("like") ?? ""),
      filter,
      sort: SORTS.find((name) => name === given.get("sort")) ?? "imported",
      collapse: STACKS.find((name) => name === given.get("stack")) ?? null,
      everywhere: given.get("all") === "1",
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
  if (query.likes.length > 0) given.set("like", query.likes.map(formatLike).join(","));
  const { orientation, taken_after, taken_before, formats, ...rest } = query.filter;
  if (orientation) given.set("shape", String(orientation));
  if (taken_after) given.set("after", String(taken_after));
  if (taken_before) given.set("before", String(taken_before));
  if (Array.isArray(formats) && formats.length > 0) given.set("type", formats.join(","));
  for (const [name, value] of Object.entries(rest)) given.set(CONDITION + name, formatValue(value));
  if (query.sort !== "imported") given.set("sort", query.sort);
  if (query.collapse) given.set("stack", query.collapse);
  if (query.everywhere) given.set("all", "1");
  if (view !== null) given.set("view", String(view));
  return given.size > 0 ? `?${given}` : "";
}

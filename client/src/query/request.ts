/** From the question on the page to the request that is sent. */

import { isDay, type Query } from "../app/address";
import type { Browse, SearchRequest } from "../server/client";
import type { Filter } from "../server/types";
import { pairOf } from "./weights";

export const PAGE = 40; // hits of one answer

export interface Ask {
  collection: string;
  query: Query;
  sketch: Blob | null;
  image: Blob | null;
  /** Fusion weights of the encoder, around which the balance turns. */
  defaults: Record<string, number>;
}

/** What is sent for a question, or null when it asks for nothing in particular: then the newest pictures are shown. */
export function requestOf(ask: Ask): Omit<SearchRequest, "cursor"> | null {
  const { query, sketch, image } = ask;
  const text = query.text.trim();
  const both = text !== "" && sketch !== null;
  const request = {
    // With both given, an end of the slider leaves the other part out.
    text: both && query.balance === 1 ? "" : text,
    sketch: both && query.balance === 0 ? null : sketch,
    notText: query.notText.trim(),
    image,
    likes: query.likes,
    filter: serverFilter(query.filter),
    collapse: query.collapse,
    everywhere: query.everywhere,
    limit: PAGE,
  };
  // What only pushes away asks for nothing.
  if (!wants({ ...query, text }, sketch !== null, image !== null)) return null;
  return { ...request, weights: weightsOf(request, both, query, ask.defaults) };
}

/** Whether anything is asked for, and not only pushed away. */
export function wants({ text, likes, strengths }: Query, hasSketch: boolean, hasImage: boolean): boolean {
  const { image: forImage = 1 } = strengths;
  return text.trim() !== "" || hasSketch || (hasImage && forImage > 0) || likes.some(({ against }) => !against);
}

/** Weights that differ from the server's own, by the names of the API; null where none does. */
function weightsOf(
  { text, sketch, notText, image, likes }: Pick<SearchRequest, "text" | "sketch" | "notText" | "image" | "likes">,
  both: boolean,
  { balance, strengths }: Query,
  defaults: Readonly<Record<string, number>>,
): Record<string, number> | null {
  const pair = pairOf({ balance, strengths }, both && balance > 0 && balance < 1);
  const factors: Record<string, number> = {
    ...(text && { text: pair.text }),
    ...(sketch && { sketch: pair.sketch }),
    ...(notText && { not_text: strengths.notText ?? 1 }),
    ...(image && { image: strengths.image ?? 1 }),
    ...(likes.some(({ against }) => !against) && { like: strengths.like ?? 1 }),
    ...(likes.some(({ against }) => against) && { not_like: strengths.notLike ?? 1 }),
  };
  const own: Readonly<Record<string, number>> = { not_text: -0.5, not_like: -0.5, ...defaults };
  const weights = Object.entries(factors)
    .filter(([, factor]) => Math.round(factor * 1000) !== 1000)
    .map(([name, factor]) => [name, Math.round((own[name] ?? 1) * factor * 1000) / 1000] as const);
  return weights.length > 0 ? Object.fromEntries(weights) : null;
}

/**
 * A filter as the server takes it: days become moments. The last day of a range is meant to be included. Cameras write their own clock,
 * which the server takes for UTC; when pictures came is told by this one's.
 */
export function serverFilter(filter: Filter): Filter {
  const moment = (name: string, day: string): string => {
    const start = name.startsWith("imported") ? new Date(`${day}T00:00:00`) : new Date(`${day}T00:00:00Z`);
    if (name.endsWith("_before")) start.setDate(start.getDate() + 1);
    return name.startsWith("imported") ? start.toISOString() : start.toISOString().slice(0, 19);
  };
  return Object.fromEntries(
    Object.entries(filter).map(([name, value]) => [
      name,
      /_(after|before)$/.test(name) && isDay(String(value)) ? moment(name, String(value)) : value,
    ]),
  );
}

/** What is listed while nothing is asked for. */
export const browseOf = ({ query }: Ask): Browse => ({ filter: serverFilter(query.filter), sort: query.sort });

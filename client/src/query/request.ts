/** From the question on the page to the request that is sent. */

import type { Query } from "../app/address";
import type { SearchRequest } from "../server/client";
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
    like: query.like,
    filter: serverFilter(query.filter),
    limit: PAGE,
  };
  // What only pushes away asks for nothing.
  if (!wants({ ...query, text }, sketch !== null, image !== null)) return null;
  return { ...request, weights: weightsOf(request, both, query, ask.defaults) };
}

/** Whether anything is asked for, and not only pushed away. */
export function wants({ text, like, strengths }: Query, hasSketch: boolean, hasImage: boolean): boolean {
  const { image: forImage = 1, like: forLike = 1 } = strengths;
  return text.trim() !== "" || hasSketch || (hasImage && forImage > 0) || (like !== null && forLike > 0);
}

/** Weights that differ from the server's own, by the names of the API; null where none does. */
function weightsOf(
  { text, sketch, notText, image, like }: Pick<SearchRequest, "text" | "sketch" | "notText" | "image" | "like">,
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
    ...(like !== null && { like: strengths.like ?? 1 }),
  };
  const own: Readonly<Record<string, number>> = { not_text: -0.5, ...defaults };
  const weights = Object.entries(factors)
    .filter(([, factor]) => Math.round(factor * 1000) !== 1000)
    .map(([name, factor]) => [name, Math.round((own[name] ?? 1) * factor * 1000) / 1000] as const);
  return weights.length > 0 ? Object.fromEntries(weights) : null;
}

/** The last day of the range is meant to be included. */
export function serverFilter(filter: Filter): Filter {
  const { taken_after, taken_before, ...rest } = filter;
  return {
    ...rest,
    ...(taken_after ? { taken_after: `${taken_after}T00:00:00` } : {}),
    ...(taken_before ? { taken_before: `${taken_before}T23:59:59` } : {}),
  };
}

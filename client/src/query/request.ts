/** From the question on the page to the request that is sent. */

import type { Query } from "../app/address";
import type { SearchRequest } from "../server/client";
import type { Filter } from "../server/types";

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
    weights: both && query.balance > 0 && query.balance < 1 ? balanceWeights(query.balance, ask.defaults) : null,
    filter: serverFilter(query.filter),
    limit: PAGE,
  };
  // "Without" alone asks for nothing: it only pushes away.
  return text || sketch || image || request.like !== null ? request : null;
}

/** Fusion weights for a balance, or null where the server's own serve. A part at an end of the slider is left out of the query. */
export function balanceWeights(
  balance: number,
  defaults: Readonly<Record<string, number>> = {},
): Record<string, number> | null {
  if (balance === 0.5) return null;
  const share = (name: string, factor: number): number => Math.round((defaults[name] ?? 1) * factor * 1000) / 1000;
  return { text: share("text", 2 * (1 - balance)), sketch: share("sketch", 2 * balance) };
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

import { type InfiniteData, useInfiniteQuery, useQueryClient } from "@tanstack/react-query";
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { type Ask, PAGE, requestOf } from "../query/request";
import { api } from "../server/client";
import { asProblem, type Problem } from "../server/problem";
import type { Hit, Picture } from "../server/types";

const DEBOUNCE_MS = 180; // words and slider; a finished stroke is searched at once
const RETRY_MS = 4000; // while the server or a store is away
const FRESH_MS = 60_000; // an answer that is younger is shown again without asking

/** Pictures of the next page after so many: few at first, soon enough for whoever goes on and on. The server gives at most 1,000. */
const sizeAfter = (pages: number): number => (pages < 2 ? PAGE : pages < 4 ? 5 * PAGE : 1000);

interface Part {
  /** Name of the question that it answers. */
  question: string;
  kind: "search" | "browse";
  pictures: readonly (Hit | Picture)[];
  next: string | null;
  tookMs: number | null;
}

export interface Shown {
  /** Equal for two states of the same answer: with more pages, or with what came or went meanwhile. */
  question: string;
  kind: "search" | "browse";
  pictures: readonly (Hit | Picture)[];
  tookMs: number | null;
}

export interface Answers {
  shown: Shown | null;
  busy: boolean;
  /** What is shown answers an earlier question. */
  outdated: boolean;
  problem: Problem | null;
  hasMore: boolean;
  moreBusy: boolean;
  moreProblem: Problem | null;
  more: () => void;
  again: () => void;
  /** The library changed: the same question deserves a fresh answer. */
  refresh: () => void;
  forget: (id: number) => void;
  /** Pictures that are shown no more, or again, while their removal is not settled. */
  hide: (ids: readonly number[], hidden: boolean) => void;
}

const names = new WeakMap<Blob, number>();
let named = 0;

/** A number for a file or drawing, the same as long as it lives. */
function nameOf(blob: Blob | null): number | null {
  if (!blob) return null;
  const name = names.get(blob) ?? ++named;
  names.set(blob, name);
  return name;
}

/** Equal for questions whose answers are equal. Everything that asks for nothing shows the newest pictures. */
function keyOf(ask: Ask): readonly unknown[] {
  const request = requestOf(ask);
  const what = request && { ...request, sketch: nameOf(request.sketch), image: nameOf(request.image) };
  return ["answers", ask.collection, what];
}

interface From {
  cursor: string | null;
  limit: number;
}

async function fetchPart(ask: Ask, { cursor, limit }: From, signal: AbortSignal): Promise<Part> {
  const request = requestOf(ask);
  const question = JSON.stringify(keyOf(ask));
  if (!request) {
    const page = await api.images(ask.collection, cursor, limit, signal);
    return { question, kind: "browse", pictures: page.images, next: page.next, tookMs: null };
  }
  const found = await api.search(ask.collection, { ...request, cursor, limit }, signal);
  const tookMs = Object.values(found.took_ms).reduce((sum, milliseconds) => sum + milliseconds, 0);
  return { question, kind: "search", pictures: found.hits, next: found.next, tookMs };
}

/** The question once the user pauses; strokes, pictures and filters do not wait. */
function useSettled(ask: Ask | null): Ask | null {
  const [settled, settle] = useState(ask);
  const last = useRef(ask);
  useEffect(() => {
    const before = last.current?.query;
    last.current = ask;
    const now = ask?.query;
    const typing =
      before &&
      now &&
      (before.text !== now.text ||
        before.notText !== now.notText ||
        before.balance !== now.balance ||
        (before.strengths !== now.strengths && before.like === now.like));
    if (!typing) {
      settle(ask);
      return;
    }
    const pause = setTimeout(() => settle(ask), DEBOUNCE_MS);
    return () => clearTimeout(pause);
  }, [ask]);
  return settled;
}

/** Answers to the current question; an answer to an earlier one is never shown as new. `ask` is null until a collection is known. */
export function useAnswers(ask: Ask | null): Answers {
  const client = useQueryClient();
  const settled = useSettled(ask);
  const key = useMemo(() => (settled ? keyOf(settled) : ["answers"]), [settled]);
  const collection = settled?.collection;
  const [hidden, setHidden] = useState<ReadonlySet<number>>(new Set());
  const hide = useCallback((ids: readonly number[], away: boolean) => {
    setHidden((known) => {
      const next = new Set(known);
      for (const id of ids) away ? next.add(id) : next.delete(id);
      return next;
    });
  }, []);

  const query = useInfiniteQuery({
    queryKey: key,
    queryFn: ({ pageParam, signal }) => {
      if (!settled) throw new Error("There is no question yet.");
      return fetchPart(settled, pageParam, signal);
    },
    enabled: settled !== null,
    initialPageParam: { cursor: null, limit: PAGE } as From,
    getNextPageParam: ({ next }, pages) => (next === null ? null : { cursor: next, limit: sizeAfter(pages.length) }),
    placeholderData: (data, before) => (before?.queryKey[1] === collection ? data : undefined),
    staleTime: FRESH_MS,
    retry: (_, error) => asProblem(error).away,
    retryDelay: (_, error) => (asProblem(error).retryAfter ?? 0) * 1000 || RETRY_MS,
  });
  const { data, isFetching, isFetchingNextPage, isFetchNextPageError, isPlaceholderData, hasNextPage } = query;
  const { fetchNextPage } = query;

  const shown = useMemo(() => {
    const [first] = data?.pages ?? [];
    if (!data || !first) return null;
    // What arrived between two pages of an answer pushes pictures from one to the next.
    const pictures = new Map(data.pages.flatMap((part) => part.pictures).map((picture) => [picture.id, picture]));
    for (const id of hidden) pictures.delete(id);
    return { question: first.question, kind: first.kind, pictures: [...pictures.values()], tookMs: first.tookMs };
  }, [data, hidden]);

  const waiting = ask !== settled;
  const busy = waiting || (isFetching && !isFetchingNextPage);
  const reason = query.failureReason ?? query.error;
  const trouble = reason && asProblem(reason);
  const ofMore = isFetchingNextPage || isFetchNextPageError;

  const hasMore = hasNextPage && !isPlaceholderData && !waiting;
  const more = useCallback(() => {
    if (hasMore && !isFetching) void fetchNextPage();
  }, [hasMore, isFetching, fetchNextPage]);
  const again = useCallback(() => void client.resetQueries({ queryKey: key, exact: true }), [client, key]);
  const refresh = useCallback(
    () => void client.invalidateQueries({ queryKey: ["answers", collection] }),
    [client, collection],
  );
  const forget = useCallback(
    (id: number) =>
      void client.setQueriesData<InfiniteData<Part>>({ queryKey: ["answers", collection] }, (known) => {
        const without = (part: Part): Part => ({
          ...part,
          pictures: part.pictures.filter((picture) => picture.id !== id),
        });
        return known && { ...known, pages: known.pages.map(without) };
      }),
    [client, collection],
  );

  return {
    shown: collection === ask?.collection ? shown : null,
    busy,
    outdated: waiting || isPlaceholderData,
    problem: ofMore ? null : trouble,
    hasMore,
    moreBusy: isFetchingNextPage && !trouble,
    moreProblem: ofMore ? trouble : null,
    more,
    again,
    refresh,
    forget,
    hide,
  };
}

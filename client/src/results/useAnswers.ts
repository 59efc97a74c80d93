import { type InfiniteData, useInfiniteQuery, useQueryClient } from "@tanstack/react-query";
import { useCallback, useEffect, useMemo, useState } from "react";
import { type Ask, browseOf, PAGE, requestOf } from "../query/request";
import { api, isLine, type SearchRequest } from "../server/client";
import { asProblem, type Problem } from "../server/problem";
import type { Filter, Found, Hit, Picture, Sort } from "../server/types";
import { membersOf, without } from "./stacks";
import { ahead } from "./thumbs";

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
  /** The order of a list; of hits "imported". */
  sort: Sort;
  /** Hits of a lower relevance are less likely; null where nobody can tell, and for lists. */
  cut: number | null;
  /** What is to be known of an answer as a whole. */
  hint: Found["hint"];
}

export interface Shown {
  /** Equal for two states of the same answer: with more pages, or with what came or went meanwhile. */
  question: string;
  kind: "search" | "browse";
  pictures: readonly (Hit | Picture)[];
  sort: Sort;
  cut: number | null;
  hint: Found["hint"];
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
  /** Pictures are gone from all answers. */
  forget: (ids: readonly number[]) => void;
  /** Hits whose members are shown, too. */
  unfolded: ReadonlySet<number>;
  unfold: (id: number) => void;
  /** Pictures that are shown no more, or again, while their removal is not settled. */
  hide: (ids: readonly number[], hidden: boolean) => void;
}

function toggled(known: ReadonlySet<number>, id: number): ReadonlySet<number> {
  const next = new Set(known);
  if (!next.delete(id)) next.add(id);
  return next;
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

/** Equal for questions whose answers are equal: of searches, and of lists while nothing is asked for. */
function keyOf(ask: Ask): readonly unknown[] {
  const request = requestOf(ask);
  const what = request
    ? { ...request, sketch: nameOf(request.sketch), image: nameOf(request.image) }
    : { browse: browseOf(ask) };
  return ["answers", ask.collection, what];
}

interface From {
  cursor: string | null;
  limit: number;
}

/** The conditions of a line that has no words, where nothing else is asked for: then there is no best, and what fulfils them is listed. */
async function conditionsOf(request: Omit<SearchRequest, "cursor">, signal: AbortSignal): Promise<Filter | null> {
  const { text, sketch, image, likes } = request;
  if (!isLine(text) || sketch || image || likes.some(({ against }) => !against)) return null;
  const line = await api.line(text, signal);
  return line.text === "" ? (line.filter as Filter) : null;
}

async function fetchPart(ask: Ask, { cursor, limit }: From, signal: AbortSignal): Promise<Part> {
  const request = requestOf(ask);
  const question = JSON.stringify(keyOf(ask));
  const conditions = request && (await conditionsOf(request, signal));
  if (!request || conditions) {
    const { filter, sort } = browseOf(ask);
    const page = await api.images(
      ask.collection,
      { filter: { ...conditions, ...filter }, sort },
      cursor,
      limit,
      signal,
    );
    return {
      question,
      kind: "browse",
      pictures: page.images,
      next: page.next,
      sort: ask.query.sort,
      cut: null,
      hint: null,
    };
  }
  const found = await api.search(ask.collection, { ...request, cursor, limit }, signal);
  if (cursor === null) ahead(found.hits);
  return {
    question,
    kind: "search",
    pictures: found.hits,
    next: found.next,
    sort: "imported",
    cut: found.cut,
    hint: found.hint,
  };
}

/** Whether the user writes or moves a slider: then a pause is waited for. Strokes, pictures and filters do not wait. */
const isTyping = (before: Ask["query"], now: Ask["query"]): boolean =>
  before.text !== now.text ||
  before.notText !== now.notText ||
  before.balance !== now.balance ||
  before.strengths !== now.strengths;

/** The question once the user pauses. */
function useSettled(ask: Ask | null): Ask | null {
  const [state, setState] = useState({ last: ask, settled: ask });
  if (state.last !== ask) {
    const typing = ask && state.last && isTyping(state.last.query, ask.query);
    setState({ last: ask, settled: typing ? state.settled : ask }); // at once, not a painted page later
  }
  useEffect(() => {
    const settle = (): void =>
      setState((known) => (known.settled === ask || known.last !== ask ? known : { last: ask, settled: ask }));
    const pause = setTimeout(settle, DEBOUNCE_MS);
    return () => clearTimeout(pause);
  }, [ask]);
  return state.settled;
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

  const [unfolded, setUnfolded] = useState<ReadonlySet<number>>(new Set());
  const unfold = useCallback((id: number) => setUnfolded((known) => toggled(known, id)), []);

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
    const found = without(
      data.pages.flatMap((part) => part.pictures),
      hidden,
    );
    const all = found.flatMap((one) => (unfolded.has(one.id) ? [one, ...membersOf(one)] : [one]));
    const pictures = new Map(all.map((picture) => [picture.id, picture]));
    const { question, kind, sort, cut, hint } = first;
    return { question, kind, pictures: [...pictures.values()], sort, cut, hint };
  }, [data, hidden, unfolded]);

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
    (ids: readonly number[]) =>
      void client.setQueriesData<InfiniteData<Part>>({ queryKey: ["answers", collection] }, (known) => {
        const gone = new Set(ids);
        return (
          known && { ...known, pages: known.pages.map((part) => ({ ...part, pictures: without(part.pictures, gone) })) }
        );
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
    unfolded,
    unfold,
    hide,
  };
}

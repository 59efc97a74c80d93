import { useCallback, useEffect, useRef, useState } from "react";
import { api, Problem, type SearchRequest } from "../api/client";
import type { Hit, Picture } from "../api/types";
import { Latest } from "./latest";
import { balanceWeights, type Query, serverFilter } from "./query";

const PAGE = 40;
const DEBOUNCE_MS = 180; // words and slider; a finished stroke is searched at once
const RETRY_MS = 4000; // while the server or a store is away

export interface Ask {
  collection: string;
  query: Query;
  sketch: Blob | null;
  image: Blob | null;
  /** Fusion weights of the encoder, around which the balance turns. */
  defaults: Record<string, number>;
  /** Changes when the library changed and the same question deserves a fresh answer. */
  revision: number;
}

export interface Shown {
  kind: "search" | "browse";
  /** The question that this answers: its cursor is good for no other. */
  ask: Ask;
  pictures: readonly (Hit | Picture)[];
  next: string | null;
  tookMs: number | null;
}

export interface Results {
  shown: Shown | null;
  busy: boolean;
  problem: Problem | null;
  moreBusy: boolean;
  moreProblem: Problem | null;
  more: () => void;
  again: () => void;
  forget: (id: number) => void;
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

const asProblem = (error: unknown): Problem =>
  error instanceof Problem ? error : new Problem(-1, error instanceof Error ? error.message : String(error));

async function fetchPage(ask: Ask, cursor: string | null, signal: AbortSignal): Promise<Shown> {
  const request = requestOf(ask);
  if (!request) {
    const page = await api.images(ask.collection, cursor, PAGE, signal);
    return { ask, kind: "browse", pictures: page.images, next: page.next, tookMs: null };
  }
  const found = await api.search(ask.collection, { ...request, cursor }, signal);
  const { encode, search, fetch } = found.took_ms;
  return { ask, kind: "search", pictures: found.hits, next: found.next, tookMs: encode + search + fetch };
}

/** Answers to the current question; an answer to an earlier one is never shown as new. `ask` is null until a collection is known. */
export function useResults(ask: Ask | null): Results {
  const [shown, setShown] = useState<Shown | null>(null);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [moreBusy, setMoreBusy] = useState(false);
  const [moreProblem, setMoreProblem] = useState<Problem | null>(null);
  const [attempt, setAttempt] = useState(0);
  const latest = useRef(new Latest());
  const before = useRef<Ask | null>(null);

  // biome-ignore lint/correctness/useExhaustiveDependencies: `attempt` repeats the same question
  useEffect(() => {
    const last = before.current;
    before.current = ask;
    const requests = latest.current;
    requests.cancel();
    setMoreBusy(false);
    setMoreProblem(null);
    if (!ask) {
      setShown(null);
      setBusy(false);
      return;
    }
    if (last?.collection !== ask.collection) setShown(null);
    setBusy(true);
    const typing =
      last !== null &&
      (last.query.text !== ask.query.text ||
        last.query.notText !== ask.query.notText ||
        last.query.balance !== ask.query.balance);
    let retry: ReturnType<typeof setTimeout> | undefined;
    const wait = setTimeout(
      async () => {
        try {
          const page = await requests.run((signal) => fetchPage(ask, null, signal));
          if (!page) return;
          setShown(page);
          setProblem(null);
        } catch (error) {
          const trouble = asProblem(error);
          setShown(null);
          setProblem(trouble);
          if (trouble.status === 0 || trouble.status >= 502)
            retry = setTimeout(() => setAttempt((count) => count + 1), (trouble.retryAfter ?? 0) * 1000 || RETRY_MS);
        }
        setBusy(false);
      },
      typing ? DEBOUNCE_MS : 0,
    );
    return () => {
      clearTimeout(wait);
      clearTimeout(retry);
      requests.cancel();
    };
  }, [ask, attempt]);

  const more = useCallback(() => {
    if (!ask || busy || moreBusy || !shown?.next || shown.ask !== ask) return;
    setMoreBusy(true);
    setMoreProblem(null);
    latest.current
      .run((signal) => fetchPage(ask, shown.next, signal))
      .then((page) => {
        if (!page) return;
        const known = new Set(shown.pictures.map((picture) => picture.id));
        const fresh = page.pictures.filter((picture) => !known.has(picture.id));
        setShown({ ...shown, pictures: [...shown.pictures, ...fresh], next: page.next });
        setMoreBusy(false);
      })
      .catch((error: unknown) => {
        setMoreProblem(asProblem(error));
        setMoreBusy(false);
      });
  }, [ask, busy, moreBusy, shown]);

  const again = useCallback(() => setAttempt((count) => count + 1), []);
  const forget = useCallback(
    (id: number) => setShown((now) => now && { ...now, pictures: now.pictures.filter((picture) => picture.id !== id) }),
    [],
  );
  return { shown, busy, problem, moreBusy, moreProblem, more, again, forget };
}

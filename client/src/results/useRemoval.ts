import { useCallback, useEffect, useRef, useState } from "react";
import { api } from "../server/client";
import { asProblem, type Problem } from "../server/problem";
import type { Answers } from "./useAnswers";

const UNDO_MS = 7000;

interface Pending {
  collection: string;
  ids: readonly number[];
}

export interface Removal {
  /** Pictures that are about to go, while that can be undone. */
  pending: Pending | null;
  problem: Problem | null;
  remove: (ids: readonly number[]) => void;
  undo: () => void;
  dismiss: () => void;
}

/** Takes pictures out of the library, a while after they were taken off the page: until then nothing has happened. */
export function useRemoval(collection: string, answers: Answers, onRemoved: () => void): Removal {
  const { hide, forget } = answers;
  const [pending, setPending] = useState<Pending | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const waiting = useRef<Pending | null>(null);
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);

  const take = useCallback((): Pending | null => {
    clearTimeout(timer.current);
    const now = waiting.current;
    waiting.current = null;
    setPending(null);
    return now;
  }, []);
  const settle = useCallback(async () => {
    const now = take();
    if (!now) return;
    for (const id of now.ids) {
      try {
        await api.remove(now.collection, id);
        forget(id);
      } catch (error) {
        const trouble = asProblem(error);
        if (trouble.status === 404) continue; // somebody else was faster
        hide([id], false);
        setProblem(trouble);
      }
    }
    onRemoved();
  }, [take, forget, hide, onRemoved]);

  const remove = useCallback(
    (ids: readonly number[]) => {
      void settle(); // of an earlier removal
      waiting.current = { collection, ids };
      setPending(waiting.current);
      setProblem(null);
      hide(ids, true);
      timer.current = setTimeout(() => void settle(), UNDO_MS);
    },
    [collection, hide, settle],
  );
  const undo = useCallback(() => {
    const now = take();
    if (now) hide(now.ids, false);
  }, [take, hide]);
  const dismiss = useCallback(() => {
    setProblem(null);
    void settle();
  }, [settle]);

  // Who leaves the page has not taken it back. All at once: nothing of this page runs after this moment.
  useEffect(() => {
    const leave = (): void => {
      const now = take();
      for (const id of now?.ids ?? []) void api.remove(now?.collection ?? "", id).catch(() => undefined);
    };
    window.addEventListener("pagehide", leave);
    return () => window.removeEventListener("pagehide", leave);
  }, [take]);
  return { pending, problem, remove, undo, dismiss };
}

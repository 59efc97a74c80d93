import { useCallback, useState } from "react";
import { api } from "../server/client";
import { asProblem, type Problem } from "../server/problem";
import type { Job, Removed } from "../server/types";
import type { Answers } from "./useAnswers";

export interface Removal {
  /** What was taken out last, while that can be undone. */
  gone: Removed | null;
  problem: Problem | null;
  /** `from`: where they are, unless in the collection on screen. */
  remove: (ids: readonly number[], from?: string) => void;
  undo: () => void;
  dismiss: () => void;
}

/** Takes pictures out of the library, at once; the server's trash brings them back. `onJob`: what it has to encode again for that. */
export function useRemoval(
  collection: string,
  { hide, forget, refresh }: Answers,
  onChange: () => void,
  onJob: (job: Job) => void,
): Removal {
  const [gone, setGone] = useState<Removed | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);

  const attempt = useCallback(
    async (work: () => Promise<void>): Promise<void> => {
      setProblem(null);
      try {
        await work();
      } catch (error) {
        setProblem(asProblem(error));
      }
      onChange();
    },
    [onChange],
  );
  const remove = useCallback(
    (ids: readonly number[], from = collection) => {
      setGone(null);
      hide(ids, true);
      void attempt(async () => {
        setGone(await api.remove(from, ids));
        forget(ids);
      }).then(() => hide(ids, false));
    },
    [collection, hide, forget, attempt],
  );
  const undo = useCallback(() => {
    const entry = gone?.trash;
    setGone(null);
    if (!entry) return;
    void attempt(async () => {
      const { job } = await api.restore(entry);
      refresh();
      if (job) onJob(job);
    });
  }, [gone, refresh, attempt, onJob]);
  const dismiss = useCallback(() => {
    setGone(null);
    setProblem(null);
  }, []);
  return { gone, problem, remove, undo, dismiss };
}

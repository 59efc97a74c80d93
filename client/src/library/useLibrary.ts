import { useCallback, useEffect, useState } from "react";
import { api, Problem } from "../api/client";
import type { Collection, System } from "../api/types";

const RETRY_MS = 3000; // while the server is away or still starting

export interface LibraryState {
  collections: readonly Collection[] | null;
  system: System | null;
  problem: Problem | null;
  refresh: () => Promise<void>;
}

/** What the server holds and what it is; asks again until the server answers. */
export function useLibrary(): LibraryState {
  const [collections, setCollections] = useState<readonly Collection[] | null>(null);
  const [system, setSystem] = useState<System | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);

  const refresh = useCallback(async () => setCollections(await api.collections()), []);

  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    let current = true;
    const load = async (): Promise<void> => {
      try {
        const [found, about] = await Promise.all([api.collections(), api.system()]);
        if (!current) return;
        setCollections(found);
        setSystem(about);
        setProblem(null);
      } catch (error) {
        if (!current) return;
        setProblem(error instanceof Problem ? error : new Problem(-1, String(error)));
        timer = setTimeout(load, RETRY_MS);
      }
    };
    void load();
    return () => {
      current = false;
      clearTimeout(timer);
    };
  }, []);

  return { collections, system, problem, refresh };
}

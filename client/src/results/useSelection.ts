import { useCallback, useMemo, useRef, useState } from "react";
import type { Hit, Picture } from "../server/types";

type Chosen = ReadonlyMap<number, Picture | Hit>;
const NONE: Chosen = new Map();

export interface Selection {
  /** In the order of choosing. */
  chosen: Chosen;
  /** Adds or takes away one; with `range`, adds all between it and the one before. */
  choose: (id: number, range: boolean) => void;
  clear: () => void;
}

/** Pictures that were chosen, of this answer and of earlier ones: one may gather them over several questions. */
export function useSelection(pictures: readonly (Picture | Hit)[], collection: string): Selection {
  const [state, setState] = useState<{ collection: string; chosen: Chosen }>({ collection, chosen: NONE });
  const anchor = useRef<number | null>(null);
  const chosen = state.collection === collection ? state.chosen : NONE;

  const choose = useCallback(
    (id: number, range: boolean) => {
      const at = pictures.findIndex((picture) => picture.id === id);
      const from = range ? pictures.findIndex((picture) => picture.id === anchor.current) : -1;
      const part = from < 0 ? pictures.slice(at, at + 1) : pictures.slice(Math.min(at, from), Math.max(at, from) + 1);
      if (from < 0) anchor.current = id;
      setState((known) => {
        const next = new Map(known.collection === collection ? known.chosen : NONE);
        if (from < 0 && next.delete(id)) return { collection, chosen: next };
        for (const picture of part) next.set(picture.id, picture);
        return { collection, chosen: next };
      });
    },
    [pictures, collection],
  );
  const clear = useCallback(() => setState({ collection, chosen: NONE }), [collection]);
  return useMemo(() => ({ chosen, choose, clear }), [chosen, choose, clear]);
}

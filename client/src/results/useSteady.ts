import { useLayoutEffect, useRef, useState } from "react";
import { ready } from "./thumbs";
import type { Shown } from "./useAnswers";

const PATIENCE_MS = 2500; // an answer waits so long for its thumbnails: on a slow network or machine

/**
 * The answer to show: another one takes its place when what of it is seen at first can be painted at once. `urlsOf`: those thumbnails.
 */
export function useSteady(latest: Shown | null, urlsOf: (shown: Shown) => readonly string[]): Shown | null {
  const [steady, setSteady] = useState(latest);
  const urls = useRef(urlsOf);
  // Before the page is painted: what is fetched now is shown sooner.
  useLayoutEffect(() => {
    urls.current = urlsOf;
  });
  const came = useRef(0); // answers in the order of their coming
  const shown = useRef(0); // the youngest of those that were shown

  const same = latest !== null && steady?.question === latest.question;
  useLayoutEffect(() => {
    const turn = ++came.current;
    if (latest === null || same) {
      shown.current = turn;
      setSteady(latest);
      return;
    }
    void ready(urls.current(latest), PATIENCE_MS).then(() => {
      // One who draws without a pause sees the answers that are ready, not none.
      if (turn < shown.current) return;
      shown.current = turn;
      setSteady(latest);
    });
  }, [latest, same]);
  return latest === null || same ? latest : steady;
}

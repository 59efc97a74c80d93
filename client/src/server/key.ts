/** The API key: asked for once when the server wants one, then only when the user says so; kept for this tab only. */

import type { Problem } from "./problem";

const STORE = "tsir.key";

export interface KeyQuestion {
  /** Why it is asked: no key was sent, or a wrong one. */
  problem: Problem;
  answer: (key: string | null) => void;
}

let ask: ((question: KeyQuestion) => void) | null = null;
let open: Promise<boolean> | null = null;
let declined = false; // the user does not want to be asked again

export function currentKey(): string | null {
  return typeof sessionStorage === "undefined" ? null : sessionStorage.getItem(STORE);
}

/** The page registers how it asks; returns the way to take that back. */
export function onKeyQuestion(handler: (question: KeyQuestion) => void): () => void {
  ask = handler;
  return () => {
    if (ask === handler) ask = null;
  };
}

/** True when there is a key other than `refused` to try. However many requests wait, one question is asked; none after a "no". */
export function requestKey(refused: string | null, problem: Problem): Promise<boolean> {
  if (currentKey() !== refused) return Promise.resolve(true);
  if (!ask || declined) return Promise.resolve(false);
  const handler = ask;
  open ??= new Promise<boolean>((resolve) => {
    handler({
      problem,
      answer: (key) => {
        if (key) sessionStorage.setItem(STORE, key);
        declined = !key;
        open = null;
        resolve(Boolean(key));
      },
    });
  });
  return open;
}

/** Asks because the user wants to be asked; true when a key was given. */
export function offerKey(problem: Problem): Promise<boolean> {
  declined = false;
  return requestKey(currentKey(), problem);
}

/** Asking for the API key: once when the server wants one, then only when the user says so. The page gives it to the server and forgets it. */

import type { Problem } from "./problem";

export interface KeyQuestion {
  /** Why it is asked: nobody is signed in, or no longer. */
  problem: Problem;
  /** To be told whether the browser is signed in now, or the user does not want to. */
  answer: (signedIn: boolean) => void;
}

let ask: ((question: KeyQuestion) => void) | null = null;
let open: Promise<boolean> | null = null;
let declined = false; // the user does not want to be asked again
let times = 0;

/** How often this page has signed in: a request that was refused before the last time is to be sent again. */
export const signIns = (): number => times;

/** The page registers how it asks; returns the way to take that back. */
export function onKeyQuestion(handler: (question: KeyQuestion) => void): () => void {
  ask = handler;
  return () => {
    if (ask === handler) ask = null;
  };
}

/**
 * True when a request may be sent again; `before`: `signIns` when it was sent. However many requests wait, one question is asked; none
 * after a "no".
 */
export function requestKey(before: number, problem: Problem): Promise<boolean> {
  if (times !== before) return Promise.resolve(true);
  if (!ask || declined) return Promise.resolve(false);
  const handler = ask;
  open ??= new Promise<boolean>((resolve) => {
    handler({
      problem,
      answer: (signedIn) => {
        times += signedIn ? 1 : 0;
        declined = !signedIn;
        open = null;
        resolve(signedIn);
      },
    });
  });
  return open;
}

/** Asks because the user wants to be asked; true when that led to a sign-in. */
export function offerKey(problem: Problem): Promise<boolean> {
  declined = false;
  return requestKey(times, problem);
}

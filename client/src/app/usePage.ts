import { type Dispatch, useEffect, useReducer, useRef } from "react";
import { formatMarks, type Mark, parseMarks } from "../sketch/strokes";
import { formatAddress, parseAddress } from "./address";
import { addressOf, entryFor, type Page, pageAt, type Step, turn } from "./question";

const SHEET = "tsir.sketch"; // the drawing survives a reload of the tab

const firstPage = (): Page =>
  pageAt(parseAddress(window.location.search), {
    past: [],
    marks: parseMarks(sessionStorage.getItem(SHEET)),
    future: [],
  });

function keep(marks: readonly Mark[]): void {
  try {
    sessionStorage.setItem(SHEET, formatMarks(marks));
  } catch {
    // Storage is full or forbidden: the drawing only lives in this page.
  }
}

/** The page's state, in step with its address, the browser's history and the tab's storage. */
export function usePage(): [Page, Dispatch<Step>] {
  const [page, dispatch] = useReducer(turn, null, firstPage);
  const before = useRef(page);
  const { marks } = page.question.drawing;

  useEffect(() => {
    const onPop = (): void => dispatch({ type: "arrive", address: parseAddress(window.location.search) });
    window.addEventListener("popstate", onPop);
    return () => window.removeEventListener("popstate", onPop);
  }, []);

  useEffect(() => {
    const search = formatAddress(addressOf(page));
    const entry = entryFor(before.current, page);
    before.current = page;
    if (search === window.location.search) return;
    const url = window.location.pathname + search + window.location.hash;
    try {
      if (entry === "push") window.history.pushState({ pushed: true }, "", url);
      else window.history.replaceState(window.history.state, "", url);
    } catch {
      // Safari allows a hundred changes in half a minute: the next one will catch up.
    }
  }, [page]);

  useEffect(() => keep(marks), [marks]);
  return [page, dispatch];
}

/** Leaves the viewer: back where it was opened, or by the address where that is how one came. */
export function leaveViewer(dispatch: Dispatch<Step>): void {
  if (window.history.state?.pushed) window.history.back();
  else dispatch({ type: "view", id: null });
}

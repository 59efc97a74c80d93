import { type Dispatch, useEffect, useReducer, useRef } from "react";
import { fromLetters, toLetters } from "../sketch/link";
import { EMPTY, type Mark } from "../sketch/strokes";
import { type Address, formatAddress, parseAddress } from "./address";
import { keep, keepOnLeaving, newName, recall } from "./entries";
import { addressOf, entryFor, type Held, type Page, pageAt, type Step, turn } from "./question";
import { forgetScroll, scrollBack } from "./scrolling";

/** What this page keeps in `history.state`. */
interface State {
  /** Name of what the entry holds. */
  name: string;
  /** Whether Back leads to where the viewer was opened. */
  pushed: boolean;
  /** How far the page was scrolled, px. */
  scroll: number;
}

const SKETCH = "sketch="; // what the address' fragment begins with
const PLACE = "tsir.place"; // state of the page that was left
const SCROLL_PAUSE_MS = 150;
const LINK_PAUSE_MS = 300; // a stroke's answer goes first

const stateOf = (value: unknown): Partial<State> => (typeof value === "object" && value !== null ? value : {});
const present = (): Partial<State> => stateOf(window.history.state);

/** Name of the entry that is on screen. */
export const presentName = (): string => present().name ?? "";

/** What the present entry holds: as it was left, or the drawing of a link. */
async function held(): Promise<Held | null> {
  const { name = null } = present();
  const fragment = window.location.hash.slice(1);
  const kept = await recall(name);
  if (kept || !fragment.startsWith(SKETCH)) return kept;
  const marks = await fromLetters(fragment.slice(SKETCH.length));
  return { drawing: { ...EMPTY, marks }, image: null };
}

const placeLeft = (): Partial<State> => stateOf(JSON.parse(sessionStorage.getItem(PLACE) ?? "null"));

/** Browsers drop an entry's state when its address changes while the page is being reloaded: a stroke's link may be that late. */
function regain(): void {
  const [load] = performance.getEntriesByType("navigation") as PerformanceNavigationTiming[];
  const left = placeLeft();
  if (load?.type === "reload" && !present().name && left.name) window.history.replaceState(left, "");
}

export type Beginning = readonly [address: Address, held: Held | null];

/** Where the page begins; to be awaited before it is shown, so that nothing jumps. */
export async function beginning(): Promise<Beginning> {
  regain();
  return [parseAddress(window.location.search), await held()];
}

/** Writes an entry; browsers refuse too many in a short time, the next one will catch up. */
function write(kind: "push" | "replace", state: State, url: string): void {
  try {
    if (kind === "push") window.history.pushState(state, "", url);
    else window.history.replaceState(state, "", url);
  } catch {
    // Safari allows a hundred changes in half a minute.
  }
}

/** The page's address with this drawing. */
export async function linkOf(marks: readonly Mark[]): Promise<string> {
  const letters = await toLetters(marks);
  const url = new URL(window.location.href);
  url.hash = letters && SKETCH + letters;
  return url.href;
}

function saveScroll(): void {
  const { name, pushed = false, scroll } = present();
  const now = Math.round(window.scrollY);
  if (name !== undefined && scroll !== now) write("replace", { name, pushed, scroll: now }, window.location.href);
}

/** The page's state, in step with its address and the browser's history. */
export function usePage([address, kept]: Beginning): [Page, Dispatch<Step>] {
  const [page, dispatch] = useReducer(turn, null, () => pageAt(address, kept ?? undefined));
  const before = useRef<Page | null>(null);

  useEffect(() => {
    let going = 0;
    const onPop = async (): Promise<void> => {
      const mine = ++going;
      const found = await held();
      if (mine === going) dispatch({ type: "arrive", address: parseAddress(window.location.search), held: found });
    };
    const listener = (): void => void onPop();
    window.addEventListener("popstate", listener);
    return () => window.removeEventListener("popstate", listener);
  }, []);

  useEffect(() => {
    const was = before.current;
    before.current = page;
    const { view, question } = page;
    const search = formatAddress(addressOf(page));
    const { name: then, pushed: back = false } = present();
    let kind = was === null ? "replace" : entryFor(was, page);
    const viewing = kind === "push" && was?.view === null && view !== null;
    const another = kind === "push" && !viewing;
    // A question that is asked in the viewer takes the viewer's place: Back leads to the pictures, not to one of them.
    if (another && was?.view !== null && back) kind = "replace";
    const name = then === undefined || another ? newName() : then;
    const pushed = viewing || (back && view !== null);
    if (kind === "push") saveScroll();
    const place = another ? 0 : (present().scroll ?? 0);
    const { pathname, hash } = window.location;
    const sameSheet = was === null || was.question.drawing.marks === question.drawing.marks;
    const url = pathname + search + (sameSheet ? hash : "");
    if (kind === "push" || search !== window.location.search || then !== name || back !== pushed)
      write(kind, { name, pushed, scroll: place }, url);
    if (was?.question !== question) keep(name, search, { drawing: question.drawing, image: question.image });
    if (another) {
      forgetScroll();
      window.scrollTo({ top: 0, behavior: "instant" });
    }
  }, [page]);

  // The drawing travels in the address, so that a copied link carries it. The fragment is never sent to the server.
  const { marks } = page.question.drawing;
  useEffect(() => {
    let current = true;
    const later = setTimeout(async () => {
      const url = await linkOf(marks);
      if (!current || url === window.location.href) return;
      const { name = newName(), pushed = false, scroll = 0 } = present();
      write("replace", { name, pushed, scroll }, url);
    }, LINK_PAUSE_MS);
    return () => {
      current = false;
      clearTimeout(later);
    };
  }, [marks]);

  useEffect(() => {
    window.history.scrollRestoration = "manual"; // the pictures come later than the browser would wait
    let timer: ReturnType<typeof setTimeout> | undefined;
    const onScroll = (): void => {
      clearTimeout(timer);
      timer = setTimeout(saveScroll, SCROLL_PAUSE_MS);
    };
    window.addEventListener("scroll", onScroll, { passive: true });
    // A page that goes may no longer change its entry.
    const leave = (): void =>
      sessionStorage.setItem(PLACE, JSON.stringify({ ...present(), scroll: Math.round(window.scrollY) }));
    window.addEventListener("pagehide", leave);
    return () => {
      clearTimeout(timer);
      window.removeEventListener("scroll", onScroll);
      window.removeEventListener("pagehide", leave);
    };
  }, []);

  useEffect(keepOnLeaving, []);
  useScrollBack();
  return [page, dispatch];
}

/** After a reload or Back: scrolls to where the entry was left. */
function useScrollBack(): void {
  useEffect(() => {
    const { name, scroll } = placeLeft();
    let stop = scrollBack((name === presentName() ? scroll : undefined) ?? present().scroll ?? 0);
    const begin = (): void => {
      stop();
      stop = scrollBack(present().scroll ?? 0);
    };
    window.addEventListener("popstate", begin);
    return () => {
      stop();
      forgetScroll();
      window.removeEventListener("popstate", begin);
    };
  }, []);
}

/** Leaves the viewer: back where it was opened, or by the address where that is how one came. */
export function leaveViewer(dispatch: Dispatch<Step>): void {
  if (present().pushed) window.history.back();
  else dispatch({ type: "view", id: null });
}

import { type RefObject, useCallback, useEffect, useRef, useState } from "react";
import type { Question } from "../app/question";

/** Where the query lies below the pictures; style sheets know it by the same words. */
const NARROW = "(width < 900px) and (height >= 500px)";
const SCROLLED = 40; // px of the pictures that someone must have wanted to see

interface Dock {
  panel: RefObject<HTMLFormElement | null>;
  /** The sheet lies small beside the words. Always false on wide screens. */
  small: boolean;
  grow: () => void;
  /** The words are touched: a keyboard will cover half the screen. */
  type: () => void;
}

/**
 * `begin`: whether it begins small. On a narrow screen the query is docked below the pictures: it gets small when those are scrolled, and
 * grows when it is touched.
 */
export function useDock(begin: () => boolean, question: Question): Dock {
  const panel = useRef<HTMLFormElement>(null);
  const [narrow, setNarrow] = useState(() => window.matchMedia(NARROW).matches);
  const [shrunk, setShrunk] = useState(begin);
  const small = narrow && shrunk;

  useEffect(() => {
    const media = window.matchMedia(NARROW);
    const follow = (): void => setNarrow(media.matches);
    media.addEventListener("change", follow);
    return () => media.removeEventListener("change", follow);
  }, []);

  // biome-ignore lint/correctness/useExhaustiveDependencies: only what a hand does counts, and another question scrolls the page by itself
  useEffect(() => {
    if (!narrow || shrunk) return;
    let from: number | null = null;
    const hold = (event: Event): void => {
      from = event.target instanceof Node && panel.current?.contains(event.target) ? null : window.scrollY;
    };
    const onScroll = (): void => {
      if (from !== null && Math.abs(window.scrollY - from) > SCROLLED) setShrunk(true);
    };
    const gestures = ["touchstart", "wheel", "pointerdown", "keydown"] as const;
    for (const gesture of gestures) window.addEventListener(gesture, hold, { passive: true });
    window.addEventListener("scroll", onScroll, { passive: true });
    return () => {
      for (const gesture of gestures) window.removeEventListener(gesture, hold);
      window.removeEventListener("scroll", onScroll);
    };
  }, [narrow, shrunk, question]);

  useEffect(() => {
    const element = panel.current;
    const root = document.documentElement;
    if (!element || !narrow) return;
    let [height, kept] = [0, 0];
    const tell = (): void => {
      height = Math.round(element.getBoundingClientRect().height);
      // The page keeps as much of its end as is on screen: pictures do not move under the finger that scrolls them.
      const seen = window.scrollY + window.innerHeight - (root.scrollHeight - kept);
      kept = Math.max(height, Math.min(kept, Math.ceil(seen)));
      root.style.setProperty("--dock", `${height}px`);
      root.style.setProperty("--dock-kept", `${kept}px`);
    };
    const onScroll = (): void => {
      if (kept > height) tell();
    };
    const observer = new ResizeObserver(tell);
    observer.observe(element);
    window.addEventListener("scroll", onScroll, { passive: true });
    return () => {
      observer.disconnect();
      window.removeEventListener("scroll", onScroll);
      root.style.removeProperty("--dock");
      root.style.removeProperty("--dock-kept");
    };
  }, [narrow]);

  const grow = useCallback(() => setShrunk(false), []);
  const type = useCallback(() => {
    if (window.matchMedia("(pointer: coarse)").matches) setShrunk(true);
  }, []);
  return { panel, small, grow, type };
}

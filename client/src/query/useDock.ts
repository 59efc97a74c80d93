import { type RefObject, useCallback, useEffect, useRef, useState } from "react";

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

/** `begin`: whether it begins small. On a narrow screen the query is docked below the pictures: it gets small when those are scrolled, and grows when it is touched. */
export function useDock(begin: () => boolean): Dock {
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

  useEffect(() => {
    if (!narrow || shrunk) return;
    // Only what a hand does counts: the page scrolls by itself when another question is asked.
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
  }, [narrow, shrunk]);

  useEffect(() => {
    const element = panel.current;
    const root = document.documentElement;
    if (!element || !narrow) return;
    const tell = (): void =>
      root.style.setProperty("--dock", `${Math.round(element.getBoundingClientRect().height)}px`);
    const observer = new ResizeObserver(tell);
    observer.observe(element);
    return () => {
      observer.disconnect();
      root.style.removeProperty("--dock");
    };
  }, [narrow]);

  const grow = useCallback(() => setShrunk(false), []);
  const type = useCallback(() => {
    if (window.matchMedia("(pointer: coarse)").matches) setShrunk(true);
  }, []);
  return { panel, small, grow, type };
}

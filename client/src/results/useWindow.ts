import { type RefObject, useEffect, useState } from "react";

const STEP = 240; // px of scrolling between two looks at what is near
const NEAR = 700; // px above and below the window that are held ready

/** The strip of an element that lies in or near the browser's window: from and to, in px from its upper edge. */
export function useWindow(element: RefObject<HTMLElement | null>): readonly [from: number, to: number] {
  const [strip, setStrip] = useState<readonly [number, number]>([0, 1600]);
  useEffect(() => {
    const look = (): void => {
      if (!element.current) return;
      const { top } = element.current.getBoundingClientRect();
      const from = Math.floor((-top - NEAR) / STEP) * STEP;
      const to = Math.ceil((window.innerHeight - top + NEAR) / STEP) * STEP;
      setStrip((known) => (known[0] === from && known[1] === to ? known : [from, to]));
    };
    look();
    window.addEventListener("scroll", look, { passive: true });
    window.addEventListener("resize", look);
    const observer = new ResizeObserver(look); // what lies above may grow or go
    observer.observe(document.body);
    return () => {
      window.removeEventListener("scroll", look);
      window.removeEventListener("resize", look);
      observer.disconnect();
    };
  }, [element]);
  return strip;
}

import { type PointerEvent, type RefObject, useEffect, useRef, useState } from "react";
import { useSpeech } from "../i18n";
import type { Head } from "./layout";
import styles from "./Scrubber.module.css";

const LONG = 3; // windows that a list must fill before it gets one
const APART = 26; // px between two dates on the rail

interface Props {
  list: RefObject<HTMLElement | null>;
  heads: readonly Head[];
  /** Of the list, px. */
  height: number;
  /** Is called while the rail is held at its end: there may be more. */
  more: () => void;
}

const dateAt = (heads: readonly Head[], top: number): string =>
  (heads.findLast((head) => head.top <= top) ?? heads[0])?.title ?? "";

/** A rail beside a long list with its dates: taken hold of anywhere, it brings the list there. */
export function Scrubber({ list, heads, height, more }: Props) {
  const { t } = useSpeech();
  const rail = useRef<HTMLDivElement>(null);
  const [share, setShare] = useState(0); // of the list that lies above the window, 0..1
  const [held, setHeld] = useState(false);
  const [long, setLong] = useState(false);

  useEffect(() => {
    const look = (): void => {
      if (!list.current) return;
      setLong(height > LONG * window.innerHeight);
      const way = Math.max(1, height - window.innerHeight);
      setShare(Math.min(1, Math.max(0, -list.current.getBoundingClientRect().top / way)));
    };
    look();
    window.addEventListener("scroll", look, { passive: true });
    window.addEventListener("resize", look);
    return () => {
      window.removeEventListener("scroll", look);
      window.removeEventListener("resize", look);
    };
  }, [list, height]);

  const scrollTo = (to: number): void => {
    if (!list.current) return;
    const top = list.current.getBoundingClientRect().top + window.scrollY;
    const bound = Math.min(1, Math.max(0, to));
    window.scrollTo({ top: bound === 0 ? 0 : top + bound * Math.max(0, height - window.innerHeight) });
    if (bound > 0.98) more();
  };
  const follow = (event: PointerEvent): void => {
    const box = rail.current?.getBoundingClientRect();
    if (box) scrollTo((event.clientY - box.top) / box.height);
  };

  if (!long) return null;
  const railHeight = rail.current?.clientHeight ?? 600;
  const marks: { mark: string; share: number }[] = [];
  for (const { mark, top } of heads) {
    const at = top / height;
    const last = marks.at(-1);
    if (!last || (mark !== last.mark && (at - last.share) * railHeight >= APART)) marks.push({ mark, share: at });
  }
  const date = dateAt(heads, share * Math.max(0, height - window.innerHeight) + 40);
  return (
    <div
      ref={rail}
      className={styles.rail}
      role="slider"
      tabIndex={0}
      aria-orientation="vertical"
      aria-label={t("gallery.dates")}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={Math.round(share * 100)}
      aria-valuetext={date}
      data-held={held || undefined}
      onPointerDown={(event) => {
        event.currentTarget.setPointerCapture(event.pointerId);
        setHeld(true);
        follow(event);
      }}
      onPointerMove={(event) => held && follow(event)}
      onPointerUp={() => setHeld(false)}
      onPointerCancel={() => setHeld(false)}
      onKeyDown={(event) => {
        const at = heads.findLastIndex((head) => head.top / height <= share + 0.001);
        const jump = (to: number): void => {
          const head = heads[Math.min(heads.length - 1, Math.max(0, to))];
          if (head) scrollTo(head.top / Math.max(1, height - window.innerHeight));
          if (to >= heads.length) more();
        };
        if (event.key === "ArrowDown") jump(at + 1);
        else if (event.key === "ArrowUp") jump(at - 1);
        else if (event.key === "Home") scrollTo(0);
        else if (event.key === "End") scrollTo(1);
        else return;
        event.preventDefault();
      }}
    >
      {marks.map(({ mark, share: at }) => (
        <span key={mark + at} className={styles.mark} style={{ top: `${at * 100}%` }}>
          {mark}
        </span>
      ))}
      <span className={styles.thumb} style={{ top: `${share * 100}%` }}>
        <b>{date}</b>
      </span>
    </div>
  );
}

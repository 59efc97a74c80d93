import { type KeyboardEvent, useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from "react";
import { wantedScroll } from "../app/scrolling";
import { useSpeech } from "../i18n";
import type { Hit, Picture } from "../server/types";
import { Button } from "../ui/Button";
import { cx } from "../ui/cx";
import { Notice, Spinner } from "../ui/Notice";
import styles from "./Grid.module.css";
import { glide, type Snapshot } from "./glide";
import { beside, type Layout, layOut, type Place, within } from "./layout";
import { isHit } from "./Parts";
import { bestOf } from "./reason";
import { Scrubber } from "./Scrubber";
import { Tile, type TileActions } from "./Tile";
import type { Answers, Shown } from "./useAnswers";
import type { Selection } from "./useSelection";
import { useWindow } from "./useWindow";

const WHOLE = 200; // so few tiles are all in the document, where the browser's own search finds them
const MARGIN = 12; // px between a tile that is gone to and the window's edge
const NOTHING: Layout<Picture | Hit> = { places: [], heads: [], height: 0 };

/** Height of what covers the upper edge of the window, px. */
const covered = (): number => document.querySelector("header")?.getBoundingClientRect().bottom ?? 0;

interface Props {
  answers: Answers;
  shown: Shown | null;
  layout: Layout<Picture | Hit>;
  /** Width of the gallery, px. */
  width: number;
  /** An answer is on its way: without an earlier one to show, its place is held. */
  loading: boolean;
  selection: Selection;
  /** The picture that the viewer shows. */
  viewed: number | null;
  /** The collection on screen: pictures of others say where they are. */
  home: string;
  onOpen: (id: number) => void;
}

/**
 * All pictures of the answer, in its order. A picture keeps its node while it stays in the answer and in sight, wherever it moves; far off
 * the window it has none. Arrow keys walk in two dimensions; Tab reaches one tile, the last that was gone to.
 */
export function Grid({ answers, shown, layout, width, loading, selection, viewed, home, onOpen }: Props) {
  const { t, explain } = useSpeech();
  const { outdated, hasMore, moreBusy, moreProblem, more, unfolded, unfold } = answers;
  const waiting = shown !== answers.shown; // the answer is there, its thumbnails are not: the list's end means nothing yet
  const list = useRef<HTMLUListElement>(null);
  const gone = useRef<HTMLDivElement>(null);
  const end = useRef<HTMLDivElement>(null);
  const [from, to] = useWindow(list);
  const { places, heads, height } = shown ? layout : NOTHING;
  const index = useMemo(() => new Map(places.map((place) => [place.item.id, place.index])), [places]);
  const pictures = shown?.pictures;
  const best = useMemo(() => {
    const first = pictures?.[0];
    return { score: first && isHit(first) ? first.score : 0, parts: bestOf(pictures ?? []) };
  }, [pictures]);

  // Where the keyboard is
  const [entry, setEntry] = useState<number | null>(null);
  const entryAt = (entry === null ? undefined : index.get(entry)) ?? 0;
  const wanted = useRef<number | null>(null); // its node may not be there yet
  const [toEnd, setToEnd] = useState(false);
  const goTo = useCallback((id: number) => {
    wanted.current = id;
    setEntry(id);
  }, []);

  const [first, last] = places.length <= WHOLE ? [0, places.length] : within(places, from, to);
  const near = useMemo(() => {
    const part = places.slice(first, last);
    const there = places[entryAt];
    if (there && entryAt < first) part.unshift(there);
    else if (there && entryAt >= last) part.push(there);
    return part;
  }, [places, first, last, entryAt]);

  useAnchor(list, places, index, shown?.question);
  useGlide(list, gone, near, shown, width);

  useLayoutEffect(() => {
    const id = wanted.current;
    const place = id === null ? undefined : places[index.get(id) ?? -1];
    const tile = id === null ? null : list.current?.querySelector<HTMLElement>(`button[data-id="${id}"]`);
    if (!place || !tile || !list.current) return;
    wanted.current = null;
    const top = list.current.getBoundingClientRect().top + place.top;
    const over = covered() + MARGIN - top;
    const under = top + place.height + MARGIN - window.innerHeight;
    if (over > 0) window.scrollBy({ top: -over });
    else if (under > 0) window.scrollBy({ top: under });
    tile.focus({ preventScroll: true });
  });

  // Who leaves the viewer stands at the picture that was looked at last.
  const before = useRef<number | null>(null);
  useEffect(() => {
    if (before.current !== null && viewed === null && index.has(before.current)) goTo(before.current);
    before.current = viewed;
  }, [viewed, index, goTo]);

  useEffect(() => {
    const element = end.current;
    if (!element || !hasMore || moreProblem || waiting) return;
    // A busy browser hands over several observations at once; the last one is how things are.
    const observer = new IntersectionObserver((entries) => entries.at(-1)?.isIntersecting && more(), {
      rootMargin: "800px",
    });
    observer.observe(element);
    return () => observer.disconnect();
  }, [hasMore, more, moreProblem, waiting]);
  useEffect(() => {
    if (!toEnd || moreProblem) return;
    if (hasMore) {
      more();
      return;
    }
    setToEnd(false);
    const final = places.at(-1);
    if (final) goTo(final.item.id);
  }, [toEnd, hasMore, more, moreProblem, places, goTo]);

  const { choose, chosen } = selection;
  const keys = (event: KeyboardEvent<HTMLButtonElement>, id: number): void => {
    const at = index.get(id);
    if (at === undefined || event.altKey) return;
    const page = Math.max(1, Math.floor((window.innerHeight - covered()) / ((places[at]?.height ?? 200) + 12)) - 1);
    const ends = event.ctrlKey || event.metaKey;
    const aim = (): number | null => {
      switch (event.key) {
        case "ArrowLeft":
          return at > 0 ? at - 1 : null;
        case "ArrowRight":
          return at + 1;
        case "ArrowUp":
          return beside(places, at, -1);
        case "ArrowDown":
          return beside(places, at, 1) ?? places.length;
        case "PageUp":
          return beside(places, at, -page);
        case "PageDown":
          return beside(places, at, page) ?? places.length;
        case "Home":
          return ends ? 0 : places.findIndex((place) => place.row === places[at]?.row);
        case "End":
          return ends ? places.length : places.findLastIndex((place) => place.row === places[at]?.row);
        default:
          return at;
      }
    };
    if (event.key === "x" && !ends) choose(id, event.shiftKey);
    else if (event.key === "Escape" && chosen.size > 0) selection.clear();
    else {
      const target = aim();
      if (target === at) return;
      const place = target === null ? undefined : places[target];
      if (place) {
        goTo(place.item.id);
        if (event.shiftKey && event.key.startsWith("Arrow")) {
          if (!chosen.has(id)) choose(id, false);
          choose(place.item.id, true);
        }
      } else if (target !== null && event.key === "End") setToEnd(true);
      else if (target !== null) more();
    }
    event.preventDefault();
  };
  const latest = useRef({ keys, choose, onOpen });
  useLayoutEffect(() => {
    latest.current = { keys, choose, onOpen };
  });
  const [actions] = useState<TileActions>(() => ({
    open: (id) => latest.current.onOpen(id),
    choose: (id, range) => latest.current.choose(id, range),
    keys: (event, id) => latest.current.keys(event, id),
    unfold,
    focus: setEntry,
  }));

  return (
    <div aria-busy={loading}>
      {!shown && loading ? (
        <Skeleton width={width} />
      ) : (
        <div className={cx(styles.stack, outdated && styles.outdated)}>
          <div ref={gone} className={styles.gone} aria-hidden="true" inert />
          {heads.map(({ title, top }) =>
            top > to || top < from ? null : (
              <h2 key={`${title} ${top}`} className={styles.day} style={{ top }}>
                {title}
              </h2>
            ),
          )}
          <ul ref={list} className={styles.tiles} style={{ height }} aria-label={t("results")}>
            {near.map((place) => (
              <Tile
                key={place.item.id}
                place={place}
                total={hasMore ? null : places.length}
                best={best}
                entry={place.index === entryAt}
                chosen={chosen.has(place.item.id)}
                home={home}
                unfolded={unfolded.has(place.item.id)}
                choosing={chosen.size > 0}
                actions={actions}
              />
            ))}
          </ul>
          {heads.length > 0 && <Scrubber list={list} heads={heads} height={height} more={more} />}
        </div>
      )}
      <div ref={end} className={styles.end}>
        {moreBusy && !moreProblem && <Spinner label={t("results.loading")} />}
        {moreProblem && (
          <Notice bad>
            {explain(moreProblem)}{" "}
            {moreBusy ? (
              t("trouble.waiting")
            ) : (
              <Button small onClick={more}>
                {t("results.more")}
              </Button>
            )}
          </Notice>
        )}
      </div>
    </div>
  );
}

/** What came or went above leaves the pictures in the window where they are; another answer begins at its top. */
function useAnchor(
  list: React.RefObject<HTMLElement | null>,
  places: readonly Place<Picture | Hit>[],
  index: ReadonlyMap<number, number>,
  question: string | undefined,
): void {
  const before = useRef({ places, question });
  useLayoutEffect(() => {
    const { places: old, question: asked } = before.current;
    before.current = { places, question };
    if (!list.current || old === places || asked === undefined || question === undefined) return;
    const { top } = list.current.getBoundingClientRect();
    const hidden = covered() - top; // so much of the list lies above the window
    if (hidden <= 0) return;
    if (asked !== question) {
      // Unless it was left somewhere else, and the browser went back to it.
      window.scrollTo({ top: wantedScroll() ?? window.scrollY - hidden - MARGIN, behavior: "instant" });
      return;
    }
    const [seen] = within(old, hidden, hidden);
    for (const place of old.slice(seen, seen + 50)) {
      const now = places[index.get(place.item.id) ?? -1];
      if (!now) continue;
      if (now.top !== place.top) window.scrollBy({ top: now.top - place.top });
      return;
    }
  }, [list, places, index, question]);
}

/** From one answer to the next, nothing jumps; while the page only scrolls or changes its width, nothing moves by itself. */
function useGlide(
  list: React.RefObject<HTMLElement | null>,
  gone: React.RefObject<HTMLElement | null>,
  near: readonly Place<Picture | Hit>[],
  shown: Shown | null,
  width: number,
): void {
  const before = useRef<{ shown: Shown | null; width: number; snapshot: Snapshot } | null>(null);
  const scrolled = useRef(0); // as it was before this change, which may have moved the page
  useEffect(() => {
    const note = (): void => {
      scrolled.current = window.scrollY;
    };
    note();
    window.addEventListener("scroll", note, { passive: true });
    return () => window.removeEventListener("scroll", note);
  }, []);
  useLayoutEffect(() => {
    if (!list.current || !gone.current) {
      before.current = null;
      return;
    }
    const tiles = new Map<number, { node: HTMLElement; place: Place<unknown> }>();
    const nodes = new Map<number, HTMLElement>();
    for (const node of list.current.querySelectorAll<HTMLElement>("[data-tile]"))
      nodes.set(Number(node.dataset.tile), node);
    for (const place of near) {
      const node = nodes.get(place.item.id);
      if (node) tiles.set(place.item.id, { node, place });
    }
    const top = list.current.getBoundingClientRect().top;
    const known = before.current;
    before.current = { shown, width, snapshot: { top: top + window.scrollY, tiles } };
    if (!known || known.shown === shown || known.width !== width || !shown) return;
    const seen = { ...known.snapshot, top: known.snapshot.top - scrolled.current };
    glide(seen, { top, tiles }, gone.current);
  });
}

const SHAPES = [1.5, 1.33, 0.75, 1.5, 1, 1.78, 0.67, 1.33, 1.5, 1.33, 0.75, 1.6, 1, 1.5, 1.33, 0.75, 1.5, 1.33].map(
  (aspect, id) => ({ id, width: aspect * 100, height: 100 }),
);

function Skeleton({ width }: { width: number }) {
  const { places, height } = layOut([{ title: "", items: SHAPES }], width, 0);
  return (
    <div className={cx(styles.tiles, styles.skeleton)} style={{ height }} aria-hidden="true">
      {places.map(({ item, left, top, width: tileWidth, height: tileHeight }) => (
        <div
          key={item.id}
          className={cx(styles.tile, styles.picture)}
          style={{ width: tileWidth, height: tileHeight, transform: `translate(${left}px, ${top}px)` }}
        />
      ))}
    </div>
  );
}

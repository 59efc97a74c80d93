import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "react";
import { useSpeech } from "../i18n";
import { baseName, score } from "../i18n/format";
import { address } from "../server/client";
import type { Hit, Picture } from "../server/types";
import { Button } from "../ui/Button";
import { cx } from "../ui/cx";
import { Notice, Spinner } from "../ui/Notice";
import styles from "./Grid.module.css";
import { justify, type Row, shownAspect } from "./justify";
import { inWords, isHit, PartsBar } from "./Parts";
import type { Answers } from "./useAnswers";

const GAP = 10; // between the pictures of a row, px
const ROW_GAP = 12;
const SMALL = 256; // long sides of the two thumbnails, px
const LARGE = 768;
const CAPTION = 22; // height of the line below a hit, px

/** Row height that shows two or three pictures a row on a phone and five or six on a wide screen. */
const targetHeight = (width: number): number => (width < 520 ? 128 : width < 1200 ? 176 : 208);

function useWidth<T extends HTMLElement>(): [React.RefObject<T | null>, number] {
  const element = useRef<T>(null);
  const [width, setWidth] = useState(0);
  useLayoutEffect(() => {
    if (!element.current) return;
    setWidth(Math.floor(element.current.getBoundingClientRect().width));
    const observer = new ResizeObserver((entries) => {
      const last = entries.at(-1);
      if (last) setWidth(Math.floor(last.contentRect.width));
    });
    observer.observe(element.current);
    return () => observer.disconnect();
  }, []);
  return [element, width];
}

interface Place<T> {
  item: T;
  left: number;
  top: number;
  width: number;
  height: number;
}

/** Where each picture of the rows lies, and how high they are together; `below` is kept free under each row. All in px. */
function placed<T>(rows: readonly Row<T>[], below: number): { places: Place<T>[]; height: number } {
  const places: Place<T>[] = [];
  let top = 0;
  for (const { boxes, height } of rows) {
    let left = 0;
    for (const { item, width } of boxes) {
      places.push({ item, left, top, width, height });
      left += width + GAP;
    }
    top += height + below + ROW_GAP;
  }
  return { places, height: Math.max(0, top - ROW_GAP) };
}

interface Props {
  answers: Answers;
  /** An answer is on its way: without an earlier one to show, its place is held. */
  loading: boolean;
  onOpen: (id: number) => void;
}

/** All pictures of the answer, in its order. A picture keeps its node while it stays in the answer, wherever it moves. */
export function Grid({ answers, loading, onOpen }: Props) {
  const { t, explain } = useSpeech();
  const { shown, outdated, hasMore, moreBusy, moreProblem, more } = answers;
  const [grid, width] = useWidth<HTMLDivElement>();
  const end = useRef<HTMLDivElement>(null);
  const target = targetHeight(width);
  const pictures = shown?.pictures;
  const first = pictures?.[0];
  const best = first && isHit(first) ? first.score : 0;
  const below = first && isHit(first) ? CAPTION : 0;
  const { places, height } = useMemo(
    () => placed(justify(pictures ?? [], width, target, GAP), below),
    [pictures, width, target, below],
  );

  useEffect(() => {
    const element = end.current;
    if (!element || !hasMore || moreProblem) return;
    // A busy browser hands over several observations at once; the last one is how things are.
    const observer = new IntersectionObserver((entries) => entries.at(-1)?.isIntersecting && more(), {
      rootMargin: "800px",
    });
    observer.observe(element);
    return () => observer.disconnect();
  }, [hasMore, more, moreProblem]);

  return (
    <div ref={grid} aria-busy={loading}>
      {!shown && loading ? (
        <Skeleton width={width} target={target} />
      ) : (
        <ul className={cx(styles.tiles, outdated && styles.outdated)} style={{ height }} aria-label={t("results")}>
          {places.map((place) => (
            <Tile key={place.item.id} place={place} best={best} onOpen={onOpen} />
          ))}
        </ul>
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

interface TileProps {
  place: Place<Picture | Hit>;
  best: number;
  onOpen: (id: number) => void;
}

function Tile({ place, best, onOpen }: TileProps) {
  const speech = useSpeech();
  const { item: picture, left, top, width, height } = place;
  const [state, setState] = useState<"loading" | "shown" | "broken">("loading");
  const name = baseName(picture.path);
  const hit = isHit(picture) ? picture : null;
  const aspect = picture.width / picture.height;
  const widthOf = (longSide: number): number => Math.max(1, Math.round(longSide * Math.min(1, aspect || 1)));
  const small = address(picture.thumbnail_url, { size: "small" });
  const large = address(picture.thumbnail_url, { size: "large" });
  // Cropped tiles show a wider picture than their own width.
  const drawn = Math.round(Math.max(width, height * (aspect || 1)) * (shownAspect(picture) === aspect ? 1 : 0.99));
  return (
    <li
      className={styles.tile}
      draggable
      style={{ width, height: height + (hit ? CAPTION : 0), transform: `translate(${left}px, ${top}px)` }}
    >
      <button
        type="button"
        className={styles.picture}
        style={{ height }}
        title={name}
        aria-label={hit ? `${name}, ${inWords(hit, speech)}` : name}
        data-id={picture.id}
        data-state={state}
        onClick={() => onOpen(picture.id)}
      >
        {state === "broken" ? (
          <span className={styles.broken}>{name}</span>
        ) : (
          <img
            src={small}
            srcSet={`${small} ${widthOf(SMALL)}w, ${large} ${widthOf(LARGE)}w`}
            sizes={`${drawn}px`}
            width={Math.round(width)}
            height={Math.round(height)}
            alt=""
            loading="lazy"
            decoding="async"
            draggable="false"
            onLoad={() => setState("shown")}
            onError={() => setState("broken")}
          />
        )}
      </button>
      {hit && (
        <div className={styles.caption} aria-hidden="true">
          <PartsBar hit={hit} best={best} />
          <span data-testid="score">{score(hit.score)}</span>
        </div>
      )}
    </li>
  );
}

const SHAPES = [1.5, 1.33, 0.75, 1.5, 1, 1.78, 0.67, 1.33, 1.5, 1.33, 0.75, 1.6, 1, 1.5, 1.33, 0.75, 1.5, 1.33].map(
  (aspect, id) => ({
    id,
    width: aspect * 100,
    height: 100,
  }),
);

function Skeleton({ width, target }: { width: number; target: number }) {
  const { places, height } = placed(justify(SHAPES, width, target, GAP), 0);
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

import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "react";
import { address } from "../api/client";
import type { Hit, Picture } from "../api/types";
import type { Results as Answers } from "../search/useResults";
import { baseName, score } from "../ui/format";
import { justify, shownAspect } from "./justify";
import { isHit, PartsBar, spoken } from "./Parts";

const GAP = 10;
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

interface Props {
  answers: Answers;
  onOpen: (picture: Picture | Hit) => void;
}

export function ResultsGrid({ answers, onOpen }: Props) {
  const { shown, busy, moreBusy, moreProblem, more } = answers;
  const [grid, width] = useWidth<HTMLDivElement>();
  const end = useRef<HTMLDivElement>(null);
  const target = targetHeight(width);
  const rows = useMemo(() => justify(shown?.pictures ?? [], width, target, GAP), [shown, width, target]);
  const first = shown?.pictures[0];
  const best = first && isHit(first) ? first.score : 0;
  const next = shown?.next ?? null;

  useEffect(() => {
    const element = end.current;
    if (!element || !next || moreProblem) return;
    // A busy browser hands over several observations at once; the last one is how things are.
    const observer = new IntersectionObserver((entries) => entries.at(-1)?.isIntersecting && more(), {
      rootMargin: "800px",
    });
    observer.observe(element);
    return () => observer.disconnect();
  }, [next, more, moreProblem]);

  return (
    <div className="grid" ref={grid} aria-busy={busy}>
      {!shown && busy ? (
        <Skeleton width={width} target={target} />
      ) : (
        <ul className={`rows${busy ? " outdated" : ""}`}>
          {rows.map((row) => (
            <li
              key={row.boxes[0]?.item.id}
              className="row"
              style={{ gap: GAP, containIntrinsicHeight: row.height + (best > 0 ? CAPTION : 0) }}
            >
              {row.boxes.map(({ item, width: tileWidth }) => (
                <Tile key={item.id} picture={item} width={tileWidth} height={row.height} best={best} onOpen={onOpen} />
              ))}
            </li>
          ))}
        </ul>
      )}
      <div ref={end} className="grid-end">
        {moreBusy && <span className="spinner" role="status" aria-label="Loading more" />}
        {moreProblem && (
          <p className="notice" role="alert">
            {moreProblem.message}{" "}
            <button type="button" className="button small" onClick={more}>
              Load more
            </button>
          </p>
        )}
      </div>
    </div>
  );
}

interface TileProps {
  picture: Picture | Hit;
  width: number;
  height: number;
  best: number;
  onOpen: (picture: Picture | Hit) => void;
}

function Tile({ picture, width, height, best, onOpen }: TileProps) {
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
    <figure className="tile" style={{ width }}>
      <button
        type="button"
        className={`tile-picture ${state}`}
        style={{ height }}
        title={name}
        aria-label={hit ? `${name}, ${spoken(hit)}` : name}
        data-id={picture.id}
        onClick={() => onOpen(picture)}
      >
        {state === "broken" ? (
          <span className="broken-text">{name}</span>
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
        <figcaption aria-hidden="true">
          <PartsBar hit={hit} best={best} />
          <span className="score">{score(hit.score)}</span>
        </figcaption>
      )}
    </figure>
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
  const rows = justify(SHAPES, width, target, GAP);
  return (
    <div className="rows skeleton" aria-hidden="true">
      {rows.map((row) => (
        <div key={row.boxes[0]?.item.id} className="row" style={{ gap: GAP }}>
          {row.boxes.map(({ item, width: tileWidth }) => (
            <div key={item.id} className="tile-picture" style={{ width: tileWidth, height: row.height }} />
          ))}
        </div>
      ))}
    </div>
  );
}

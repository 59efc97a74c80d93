import {
  ChevronLeft,
  ChevronRight,
  Maximize,
  Minimize,
  RotateCw,
  SquareDashedMousePointer,
  X,
  ZoomIn,
  ZoomOut,
} from "lucide-react";
import { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from "react";
import type { Box } from "../app/address";
import { useSpeech } from "../i18n";
import { baseName } from "../i18n/format";
import { bestOf } from "../results/reason";
import { usePicture } from "../server/queries";
import type { Hit, Picture } from "../server/types";
import { IconButton } from "../ui/Button";
import { cx } from "../ui/cx";
import { Dialog } from "../ui/Dialog";
import { About } from "./About";
import { LargePicture, largeUrl } from "./LargePicture";
import { PartBox } from "./PartBox";
import { useZoom } from "./useZoom";
import styles from "./Viewer.module.css";

const PAN = 90; // px of an arrow key

interface Props {
  collection: string;
  id: number;
  /** The pictures that arrows walk through; the shown one may be missing when the page was opened by its address. */
  pictures: readonly (Picture | Hit)[];
  onMove: (id: number) => void;
  onNearEnd: () => void;
  onLike: (id: number) => void;
  onUnlike: (id: number) => void;
  /** A part of the picture is searched for. */
  onPart: (id: number, box: Box) => void;
  onRemove: (id: number) => void;
  onClose: () => void;
}

export function Viewer({
  collection,
  id,
  pictures,
  onMove,
  onNearEnd,
  onLike,
  onUnlike,
  onPart,
  onRemove,
  onClose,
}: Props) {
  const { t } = useSpeech();
  const [removed, setRemoved] = useState<number | null>(null);
  const [turn, setTurn] = useState(0);
  const [cutting, setCutting] = useState(false);
  const stage = useRef<HTMLDivElement>(null);
  const image = useRef<HTMLImageElement>(null);
  const index = pictures.findIndex((picture) => picture.id === id);
  const listed = index >= 0 ? pictures[index] : undefined;
  const previous = index > 0 ? pictures[index - 1] : undefined;
  const next = index >= 0 ? pictures[index + 1] : undefined;
  const best = useMemo(() => bestOf(pictures), [pictures]);
  // The page is not closed at once after a removal: the address changes first.
  const fetched = usePicture(collection, listed === undefined && removed !== id ? id : null);
  const picture = listed ?? fetched.picture ?? undefined;

  const zoom = useZoom(stage, image, turn % 2 === 1, (direction) => {
    const to = direction > 0 ? next : previous;
    if (to) onMove(to.id);
  });
  const { view, reset, closer, farther, pan } = zoom;
  const [full, toggleFull] = useFullScreen(stage);

  // biome-ignore lint/correctness/useExhaustiveDependencies: another picture, another page
  useEffect(() => {
    setTurn(0);
    setCutting(false);
    reset();
  }, [id]);
  useAhead(next, pictures[index + 2], previous);

  const atEnd = index >= 0 && index >= pictures.length - 5;
  useEffect(() => {
    if (atEnd) onNearEnd();
  }, [atEnd, onNearEnd]);

  const near = view.scale > 1;
  const cut = useCallback(() => {
    reset();
    setTurn(0);
    setCutting(true);
  }, [reset]);
  // Before the next key, which means what is seen: an arrow moves what is zoomed.
  useLayoutEffect(() => {
    if (cutting) return;
    const walk: Record<string, () => void> = {
      ArrowLeft: () => (near ? pan(PAN, 0) : previous && onMove(previous.id)),
      ArrowRight: () => (near ? pan(-PAN, 0) : next && onMove(next.id)),
      ArrowUp: () => pan(0, PAN),
      ArrowDown: () => pan(0, -PAN),
      "+": closer,
      "=": closer,
      "-": farther,
      "0": reset,
      f: toggleFull,
      r: () => setTurn((now) => now + 1),
      p: cut,
    };
    const onKey = (event: KeyboardEvent): void => {
      const act = walk[event.key];
      if (!act || event.ctrlKey || event.metaKey || event.altKey || (event.key.startsWith("Arrow") && scrolls(event)))
        return;
      act();
      event.preventDefault();
    };
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  }, [near, previous, next, onMove, pan, closer, farther, reset, toggleFull, cut, cutting]);

  const name = picture ? baseName(picture.path) : t("viewer.picture");
  const { problem } = fetched;
  return (
    <Dialog className={styles.viewer} label={name} onClose={cutting ? () => setCutting(false) : onClose}>
      <div ref={stage} className={cx(styles.stage, near && styles.close)} {...zoom.handlers}>
        <div className={styles.frame}>
          {picture && (
            <LargePicture
              key={id}
              picture={picture}
              name={name}
              turn={turn}
              element={image}
              view={view}
              moving={zoom.moving}
            />
          )}
          {!picture && problem && (
            <p className={styles.gone}>{problem.status === 404 ? t("viewer.gone") : problem.message}</p>
          )}
        </div>
        {picture && cutting && (
          <PartBox image={image} onTake={(box) => onPart(id, box)} onLeave={() => setCutting(false)} />
        )}
        {previous && !cutting && (
          <button
            type="button"
            className={cx(styles.turn, styles.left)}
            aria-label={t("viewer.previous")}
            onClick={() => onMove(previous.id)}
          >
            <ChevronLeft />
          </button>
        )}
        {next && !cutting && (
          <button
            type="button"
            className={cx(styles.turn, styles.right)}
            aria-label={t("viewer.next")}
            onClick={() => onMove(next.id)}
          >
            <ChevronRight />
          </button>
        )}
        {picture && !cutting && (
          <div className={styles.tools}>
            <IconButton label={t("viewer.zoom.out")} aria-keyshortcuts="-" disabled={!near} onClick={farther}>
              <ZoomOut />
            </IconButton>
            <IconButton label={t("viewer.zoom.in")} aria-keyshortcuts="+" onClick={closer}>
              <ZoomIn />
            </IconButton>
            <IconButton label={t("viewer.turn")} aria-keyshortcuts="r" onClick={() => setTurn(turn + 1)}>
              <RotateCw />
            </IconButton>
            <IconButton label={t("part.box")} aria-keyshortcuts="p" onClick={cut}>
              <SquareDashedMousePointer />
            </IconButton>
            {document.fullscreenEnabled && (
              <IconButton
                label={t(full ? "viewer.full.leave" : "viewer.full")}
                aria-keyshortcuts="f"
                onClick={toggleFull}
              >
                {full ? <Minimize /> : <Maximize />}
              </IconButton>
            )}
          </div>
        )}
      </div>
      <IconButton label={t("close")} className={styles.leave} onClick={onClose}>
        <X />
      </IconButton>
      <About
        name={name}
        picture={picture}
        best={best}
        problem={picture || problem?.status !== 404 ? problem : null}
        onLike={() => onLike(id)}
        onUnlike={() => onUnlike(id)}
        onRemove={() => {
          setRemoved(id);
          onRemove(id);
        }}
      />
    </Dialog>
  );
}

/** Whether an arrow key is meant for what holds the focus. */
const scrolls = ({ target }: KeyboardEvent): boolean =>
  target instanceof HTMLInputElement || target instanceof HTMLTextAreaElement;

/** The pictures that may be looked at next are fetched and decoded before. */
function useAhead(...pictures: readonly (Picture | undefined)[]): void {
  const urls = pictures.flatMap((picture) => (picture ? [largeUrl(picture)] : [])).join("\n");
  useEffect(() => {
    const images = urls
      .split("\n")
      .filter(Boolean)
      .map((url) => {
        const image = new Image();
        image.fetchPriority = "low";
        image.src = url;
        image.decode().catch(() => undefined);
        return image;
      });
    return () => {
      for (const image of images) if (!image.complete) image.src = "";
    };
  }, [urls]);
}

function useFullScreen(element: React.RefObject<HTMLElement | null>): [full: boolean, toggle: () => void] {
  const [full, setFull] = useState(false);
  useEffect(() => {
    const look = (): void => setFull(document.fullscreenElement !== null);
    document.addEventListener("fullscreenchange", look);
    return () => document.removeEventListener("fullscreenchange", look);
  }, []);
  const toggle = useCallback(() => {
    // Refused where the user did not ask for it: nothing is lost then.
    if (document.fullscreenElement) document.exitFullscreen().catch(() => undefined);
    else element.current?.requestFullscreen().catch(() => undefined);
  }, [element]);
  return [full, toggle];
}

import { ChevronLeft, ChevronRight } from "lucide-react";
import { type PointerEvent, useEffect, useRef, useState } from "react";
import { useSpeech } from "../i18n";
import { baseName } from "../i18n/format";
import { address, api } from "../server/client";
import { asProblem, type Problem } from "../server/problem";
import { usePicture } from "../server/queries";
import type { Hit, Picture } from "../server/types";
import { cx } from "../ui/cx";
import { Dialog } from "../ui/Dialog";
import { About } from "./About";
import { LargePicture } from "./LargePicture";
import styles from "./Viewer.module.css";

const SWIPE = 60; // px that a finger must travel to turn the page

interface Props {
  collection: string;
  id: number;
  /** The pictures that arrows walk through; the shown one may be missing when the page was opened by its address. */
  pictures: readonly (Picture | Hit)[];
  onMove: (id: number) => void;
  onNearEnd: () => void;
  onLike: (id: number) => void;
  onUnlike: (id: number) => void;
  onRemoved: (id: number) => void;
  onClose: () => void;
}

export function Viewer({ collection, id, pictures, onMove, onNearEnd, onLike, onUnlike, onRemoved, onClose }: Props) {
  const { t } = useSpeech();
  const [refused, setRefused] = useState<Problem | null>(null);
  const [removed, setRemoved] = useState<number | null>(null);
  const start = useRef<{ x: number; y: number } | null>(null);
  const index = pictures.findIndex((picture) => picture.id === id);
  const listed = index >= 0 ? pictures[index] : undefined;
  const previous = index > 0 ? pictures[index - 1] : undefined;
  const next = index >= 0 ? pictures[index + 1] : undefined;
  // The page is not closed at once after a removal: the address changes first.
  const fetched = usePicture(collection, listed === undefined && removed !== id ? id : null);
  const picture = listed ?? fetched.picture ?? undefined;

  // biome-ignore lint/correctness/useExhaustiveDependencies: another picture, another page
  useEffect(() => setRefused(null), [id]);

  const atEnd = index >= 0 && index >= pictures.length - 5;
  useEffect(() => {
    if (atEnd) onNearEnd();
  }, [atEnd, onNearEnd]);

  useEffect(() => {
    const onKey = (event: KeyboardEvent): void => {
      if (event.key === "ArrowLeft" && previous) onMove(previous.id);
      else if (event.key === "ArrowRight" && next) onMove(next.id);
      else return;
      event.preventDefault();
    };
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  }, [previous, next, onMove]);

  const release = (event: PointerEvent): void => {
    const from = start.current;
    start.current = null;
    if (!from || event.pointerType === "mouse") return;
    const [dx, dy] = [event.clientX - from.x, event.clientY - from.y];
    if (Math.abs(dx) < SWIPE || Math.abs(dx) < 2 * Math.abs(dy)) return;
    const to = dx < 0 ? next : previous;
    if (to) onMove(to.id);
  };

  const remove = async (): Promise<void> => {
    try {
      await api.remove(collection, id);
      setRemoved(id);
      onRemoved(id);
    } catch (error) {
      setRefused(asProblem(error));
    }
  };

  const name = picture ? baseName(picture.path) : t("viewer.picture");
  return (
    <Dialog className={styles.viewer} label={name} onClose={onClose}>
      <div
        className={styles.stage}
        onPointerDown={(event) => {
          start.current = { x: event.clientX, y: event.clientY };
        }}
        onPointerUp={release}
        onPointerCancel={() => {
          start.current = null;
        }}
      >
        <div className={styles.frame}>{picture && <LargePicture key={id} picture={picture} name={name} />}</div>
        {previous && (
          <button
            type="button"
            className={cx(styles.turn, styles.left)}
            aria-label={t("viewer.previous")}
            onClick={() => onMove(previous.id)}
          >
            <ChevronLeft />
          </button>
        )}
        {next && (
          <button
            type="button"
            className={cx(styles.turn, styles.right)}
            aria-label={t("viewer.next")}
            onClick={() => onMove(next.id)}
          >
            <ChevronRight />
          </button>
        )}
        {next && <link rel="prefetch" href={address(next.thumbnail_url, { size: "large" })} as="image" />}
      </div>
      <About
        id={id}
        name={name}
        picture={picture}
        problem={refused ?? fetched.problem}
        onLike={() => onLike(id)}
        onUnlike={() => onUnlike(id)}
        onRemove={() => void remove()}
        onClose={onClose}
      />
    </Dialog>
  );
}

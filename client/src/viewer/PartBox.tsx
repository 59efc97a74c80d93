import { Check, X } from "lucide-react";
import {
  type KeyboardEvent,
  type PointerEvent,
  type RefObject,
  useEffect,
  useLayoutEffect,
  useRef,
  useState,
} from "react";
import type { Box } from "../app/address";
import { useSpeech } from "../i18n";
import { Button } from "../ui/Button";
import styles from "./PartBox.module.css";

const LEAST = 0.04; // of the picture's side: a smaller part shows nothing
const STEP = 0.02; // of an arrow key
const BEGIN: Box = [0.25, 0.25, 0.75, 0.75];

const between = (value: number, least: number, most: number): number => Math.min(most, Math.max(least, value));

/** The box between two corners, within the picture and not smaller than can be seen. */
export function boxed(x0: number, y0: number, x1: number, y1: number): Box {
  const [left, right] = [Math.min(x0, x1), Math.max(x0, x1)];
  const [top, bottom] = [Math.min(y0, y1), Math.max(y0, y1)];
  const x = between(left, 0, 1 - LEAST);
  const y = between(top, 0, 1 - LEAST);
  return [x, y, between(right, x + LEAST, 1), between(bottom, y + LEAST, 1)];
}

/** The same box elsewhere in the picture. */
export function moved([x0, y0, x1, y1]: Box, dx: number, dy: number): Box {
  const x = between(dx, -x0, 1 - x1);
  const y = between(dy, -y0, 1 - y1);
  return [x0 + x, y0 + y, x1 + x, y1 + y];
}

interface Props {
  /** The picture, neither zoomed nor turned. */
  image: RefObject<HTMLImageElement | null>;
  onTake: (box: Box) => void;
  onLeave: () => void;
}

/** A box on the picture, drawn, dragged or moved by keys (with Shift: made larger or smaller), whose content is searched for. */
export function PartBox({ image, onTake, onLeave }: Props) {
  const { t } = useSpeech();
  const cover = useRef<HTMLDivElement>(null);
  const [box, setBox] = useState(BEGIN);
  const [place, setPlace] = useState({ left: 0, top: 0, width: 0, height: 0 });
  const drag = useRef<{ x: number; y: number; from: Box | null } | null>(null);

  useLayoutEffect(() => {
    const look = (): void => {
      const [seen, here] = [image.current?.getBoundingClientRect(), cover.current?.getBoundingClientRect()];
      if (seen && here)
        setPlace({ left: seen.left - here.left, top: seen.top - here.top, width: seen.width, height: seen.height });
    };
    look();
    const observer = new ResizeObserver(look);
    if (image.current) observer.observe(image.current);
    if (cover.current) observer.observe(cover.current);
    return () => observer.disconnect();
  }, [image]);
  useEffect(() => {
    const element = cover.current;
    element?.focus();
    // Otherwise the browser makes a fling of the last finger's way, too, and that swallows the tap that follows.
    const own = (event: TouchEvent): void => event.preventDefault();
    element?.addEventListener("touchmove", own, { passive: false });
    return () => element?.removeEventListener("touchmove", own);
  }, []);

  const at = ({ clientX, clientY }: PointerEvent): { x: number; y: number } => {
    const seen = image.current?.getBoundingClientRect();
    if (!seen) return { x: 0, y: 0 };
    return { x: (clientX - seen.left) / seen.width, y: (clientY - seen.top) / seen.height };
  };
  const down = (event: PointerEvent): void => {
    if (event.button !== 0 || (event.target as Element).closest("button")) return;
    event.currentTarget.setPointerCapture(event.pointerId);
    const { x, y } = at(event);
    const [x0, y0, x1, y1] = box;
    drag.current = { x, y, from: x > x0 && x < x1 && y > y0 && y < y1 ? box : null };
  };
  const move = (event: PointerEvent): void => {
    if (!drag.current) return;
    const { x: fromX, y: fromY, from } = drag.current;
    const { x, y } = at(event);
    setBox(from ? moved(from, x - fromX, y - fromY) : boxed(fromX, fromY, x, y));
  };
  const keys = (event: KeyboardEvent): void => {
    const dx = event.key === "ArrowLeft" ? -STEP : event.key === "ArrowRight" ? STEP : 0;
    const dy = event.key === "ArrowUp" ? -STEP : event.key === "ArrowDown" ? STEP : 0;
    if (event.key === "Enter" && event.target === cover.current) onTake(box);
    else if (dx || dy) {
      const [x0, y0, x1, y1] = box;
      setBox(
        event.shiftKey
          ? boxed(x0, y0, Math.max(x0 + LEAST, x1 + dx), Math.max(y0 + LEAST, y1 + dy))
          : moved(box, dx, dy),
      );
    } else return;
    event.preventDefault();
    event.stopPropagation();
  };

  const [x0, y0, x1, y1] = box;
  return (
    // biome-ignore lint/a11y/useSemanticElements: no element of HTML is a box on a picture
    <div
      ref={cover}
      className={styles.cover}
      role="group"
      aria-label={t("part.box.how")}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: keys move it
      tabIndex={0}
      onPointerDown={(event) => {
        event.stopPropagation();
        down(event);
      }}
      onPointerMove={move}
      onPointerUp={() => {
        drag.current = null;
      }}
      onPointerCancel={() => {
        drag.current = null;
      }}
      onDoubleClick={(event) => event.stopPropagation()}
      onKeyDown={keys}
    >
      <div
        className={styles.box}
        data-box={box.map((side) => side.toFixed(2)).join(" ")}
        style={{
          left: place.left + x0 * place.width,
          top: place.top + y0 * place.height,
          width: (x1 - x0) * place.width,
          height: (y1 - y0) * place.height,
        }}
      />
      <div className={styles.actions}>
        <Button onClick={onLeave}>
          <X /> {t("cancel")}
        </Button>
        <Button look="primary" onClick={() => onTake(box)}>
          <Check /> {t("part.box.take")}
        </Button>
      </div>
    </div>
  );
}

import { type PointerEvent, useCallback, useEffect, useId, useRef, useState } from "react";
import { useSpeech } from "../i18n";
import { FIRST, SIZES, type Tool, widthOf } from "./pen";
import { decodeAll, look, paint, paintMark } from "./render";
import styles from "./SketchPad.module.css";
import { type Change, type Drawing, type Mark, type Point, SIDE, type Stroke } from "./strokes";
import { Tools } from "./Tools";
import { moved, pointAt, touched, type View, WHOLE, zoomed } from "./view";

const PIXELS = SIDE * 2; // resolution on screen: sharp on dense displays
const PINCH_SLACK = 16; // px that a finger may have drawn before a second one makes both a pinch

interface Props {
  drawing: Drawing;
  onChange: (change: Change) => void;
  /** A picture that was chosen for the sheet. */
  onPicture: (file: File) => void;
}

/** A line on its way. */
interface Line {
  pointer: number;
  kind: string;
  from: { x: number; y: number };
  farthest: number; // px from where it began
  mark: Stroke & { points: Point[] };
  /** What the eraser of whole strokes has met. */
  met: Set<Mark> | null;
}

type Spot = Readonly<{ x: number; y: number }>;

const isTyping = (target: EventTarget | null): boolean =>
  target instanceof HTMLElement &&
  (target.isContentEditable ||
    ["TEXTAREA", "SELECT"].includes(target.tagName) ||
    (target instanceof HTMLInputElement &&
      target.type !== "range" &&
      target.type !== "radio" &&
      target.type !== "checkbox"));

/** A ring as wide as the eraser, so that one sees what it will take. */
function eraserCursor(width: number): string {
  const side = Math.min(120, Math.max(8, Math.round(width)));
  const ring = `<svg xmlns='http://www.w3.org/2000/svg' width='${side}' height='${side}'><circle cx='${side / 2}' cy='${side / 2}' r='${side / 2 - 1}' fill='none' stroke='%23888' stroke-width='1.5'/></svg>`;
  return `url("data:image/svg+xml,${ring.replace(/</g, "%3C").replace(/>/g, "%3E")}") ${side / 2} ${side / 2}, crosshair`;
}

const middle = (spots: readonly Spot[]): Spot => ({
  x: spots.reduce((sum, spot) => sum + spot.x, 0) / spots.length,
  y: spots.reduce((sum, spot) => sum + spot.y, 0) / spots.length,
});
const span = ([a, b]: readonly Spot[]): number => (a && b ? Math.max(1, Math.hypot(a.x - b.x, a.y - b.y)) : 1);

/**
 * The sheet to draw on, with its tools. Mouse, pen (with pressure and its own eraser end) and fingers; two fingers zoom and move the sheet.
 * Once a pen was seen, single fingers move the sheet too, and a palm does nothing.
 */
export function SketchPad({ drawing, onChange, onPicture }: Props) {
  const { t } = useSpeech();
  const state = useId();
  const canvas = useRef<HTMLCanvasElement>(null);
  const settled = useRef<HTMLCanvasElement | null>(null); // all finished marks, so that a long stroke costs the same on a full sheet
  const added = useRef<{ before: readonly Mark[]; mark: Mark; view: View } | null>(null); // what was painted onto them since
  const line = useRef<Line | null>(null);
  const fingers = useRef(new Map<number, Spot>()); // those that move the sheet
  const frame = useRef(0);
  const [tool, setTool] = useState(FIRST);
  const [drawingNow, setDrawingNow] = useState(false);
  const [view, setView] = useState<View>(WHOLE);
  const [penSeen, setPenSeen] = useState(false);
  const [tracing, setTracing] = useState<string | null>(null); // address of the photo under the sheet
  const { marks } = drawing;
  const enlarged = view.scale > 1;

  const show = useCallback(() => {
    frame.current = 0;
    const [sheet, finished] = [canvas.current, settled.current];
    const context = sheet?.getContext("2d");
    if (!sheet || !finished || !context) return;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.drawImage(finished, 0, 0);
    if (!line.current || line.current.met) return;
    look(sheet, view);
    paintMark(context, line.current.mark, false);
  }, [view]);

  /** Paints the finished marks anew. */
  const settle = useCallback(
    (visible: readonly Mark[]) => {
      if (!settled.current) {
        settled.current = document.createElement("canvas");
        settled.current.width = PIXELS;
        settled.current.height = PIXELS;
      }
      paint(settled.current, visible, view);
      show();
    },
    [view, show],
  );

  useEffect(() => {
    const known = added.current;
    added.current = null;
    const grown = known && [...known.before, known.mark];
    if (grown?.length === marks.length && known?.view === view && grown.every((mark, k) => mark === marks[k])) {
      show();
      return;
    }
    let current = true;
    if (marks.some((mark) => mark.kind === "picture")) void decodeAll(marks).then(() => current && settle(marks));
    else settle(marks);
    return () => {
      current = false;
    };
  }, [marks, settle, show, view]);

  useEffect(() => () => cancelAnimationFrame(frame.current), []);

  const change = useCallback((part: Partial<Tool>): void => setTool((now) => ({ ...now, ...part })), []);
  const zoom = useCallback(
    (factor: number): void => setView((now) => (factor === 0 ? WHOLE : zoomed(now, factor))),
    [],
  );

  useEffect(() => {
    const onKey = (event: KeyboardEvent): void => {
      if (isTyping(event.target) || document.querySelector("dialog[open]")) return;
      const key = event.key.toLowerCase();
      if (event.ctrlKey || event.metaKey) {
        if (key !== "z" && key !== "y") return;
        event.preventDefault();
        onChange({ type: key === "y" || event.shiftKey ? "redo" : "undo" });
      } else if (key === "e") change({ erasing: true });
      else if (key === "b" || key === "p") change({ erasing: false });
      else if (key === "+" || key === "=") zoom(1.5);
      else if (key === "-") zoom(1 / 1.5);
      else if (key === "0") zoom(0);
      else if (SIZES[Number(key) - 1]) change({ size: Number(key) - 1 });
    };
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  }, [onChange, change, zoom]);

  useEffect(() => {
    const sheet = canvas.current;
    if (!sheet) return;
    const onWheel = (event: WheelEvent): void => {
      const box = sheet.getBoundingClientRect();
      if (!event.ctrlKey) {
        if (!enlarged) return; // it scrolls the page
        event.preventDefault();
        setView((now) => moved(now, -event.deltaX / box.width, -event.deltaY / box.height));
        return;
      }
      event.preventDefault(); // trackpads tell a pinch that way
      const [u, v] = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
      setView((now) => zoomed(now, Math.exp(-event.deltaY / 200), u, v));
    };
    sheet.addEventListener("wheel", onWheel, { passive: false });
    return () => sheet.removeEventListener("wheel", onWheel);
  }, [enlarged]);

  useEffect(() => () => void (tracing && URL.revokeObjectURL(tracing)), [tracing]);

  const pointOf = (event: Pick<MouseEvent, "clientX" | "clientY">): readonly [number, number] => {
    const box = canvas.current?.getBoundingClientRect() ?? new DOMRect(0, 0, 1, 1);
    return pointAt(view, (event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height);
  };

  function gather(event: PointerEvent<HTMLCanvasElement>): void {
    const now = line.current;
    if (!now) return;
    const native = event.nativeEvent;
    const coalesced = native.getCoalescedEvents?.() ?? [];
    for (const one of coalesced.length > 0 ? coalesced : [native]) {
      const [x, y] = pointOf(one);
      if (now.met)
        for (const mark of touched(marks, now.mark.points.at(-1) ?? [x, y], [x, y], now.mark.size / 2))
          now.met.add(mark);
      now.mark.points.push([x, y, one.pressure || 0.5]);
    }
    now.farthest = Math.max(now.farthest, Math.hypot(event.clientX - now.from.x, event.clientY - now.from.y));
    if (now.met?.size) settle(marks.filter((mark) => !now.met?.has(mark)));
    else if (!frame.current) frame.current = requestAnimationFrame(show);
  }

  function drop(): void {
    const met = line.current?.met;
    line.current = null;
    setDrawingNow(false);
    if (met?.size) settle(marks);
    else show();
  }

  function begin(event: PointerEvent<HTMLCanvasElement>): void {
    const { pointerType, pointerId, button, clientX: x, clientY: y } = event;
    if (pointerType === "pen") setPenSeen(true);
    // 0: the tip or the left button, 5: the eraser end of a pen.
    if (button !== 0 && button !== 5) return;
    event.preventDefault();
    event.currentTarget.focus({ preventScroll: true }); // the keys of the tools work, and words are no longer typed
    if (pointerType === "touch") {
      const young = line.current?.kind === "touch" && line.current.farthest < PINCH_SLACK ? line.current : null;
      const moves = (penSeen && !tool.fingers) || fingers.current.size > 0;
      if (moves || young) {
        if (young) {
          fingers.current.set(young.pointer, young.from);
          drop();
        }
        if (!line.current) fingers.current.set(pointerId, { x, y });
        return;
      }
    }
    if (line.current) {
      // A second finger never starts a second stroke; a pen takes over from the palm that came before it.
      if (pointerType !== "pen" || line.current.kind !== "touch") return;
      drop();
    }
    if (pointerType === "pen") fingers.current.clear();
    event.currentTarget.setPointerCapture(pointerId);
    const kind = tool.erasing || button === 5 ? "eraser" : "pen";
    const size = widthOf(tool, kind === "eraser");
    line.current = {
      pointer: pointerId,
      kind: pointerType,
      from: { x, y },
      farthest: 0,
      mark: { kind, size, pressure: pointerType === "pen", points: [] },
      met: kind === "eraser" && tool.whole ? new Set() : null,
    };
    setDrawingNow(true);
    gather(event);
  }

  function move(event: PointerEvent<HTMLCanvasElement>): void {
    if (event.pointerType === "pen" && !penSeen) setPenSeen(true); // it hovers
    if (line.current?.pointer === event.pointerId) gather(event);
    if (!fingers.current.has(event.pointerId)) return;
    const box = event.currentTarget.getBoundingClientRect();
    const before = [...fingers.current.values()];
    fingers.current.set(event.pointerId, { x: event.clientX, y: event.clientY });
    const after = [...fingers.current.values()];
    const [from, to] = [middle(before), middle(after)];
    const [u, v] = [(to.x - box.left) / box.width, (to.y - box.top) / box.height];
    setView((now) =>
      zoomed(moved(now, (to.x - from.x) / box.width, (to.y - from.y) / box.height), span(after) / span(before), u, v),
    );
  }

  function end(event: PointerEvent<HTMLCanvasElement>, keep: boolean): void {
    fingers.current.delete(event.pointerId);
    if (line.current?.pointer !== event.pointerId) return;
    const { mark, met } = line.current;
    if (!keep || mark.points.length === 0) {
      drop();
      return;
    }
    line.current = null;
    setDrawingNow(false);
    if (met) {
      if (met.size > 0) onChange({ type: "load", marks: marks.filter((one) => !met.has(one)) });
      return;
    }
    // The finished stroke stays on screen while the new list of marks makes its way through React.
    const context = settled.current && look(settled.current, view);
    if (context) paintMark(context, mark);
    added.current = context ? { before: marks, mark, view } : null;
    onChange({ type: "add", mark });
  }

  const blank = marks.length === 0;
  const onScreen = ((canvas.current?.clientWidth ?? SIDE) / SIDE) * view.scale;
  return (
    <section className={styles.pad} aria-label={t("sketch.title")}>
      <div className={styles.paper} data-tracing={tracing ? "" : undefined}>
        {tracing && (
          <img
            className={styles.photo}
            src={tracing}
            alt=""
            style={{
              transform: `scale(${view.scale}) translate(${(-view.x / SIDE) * 100}%, ${(-view.y / SIDE) * 100}%)`,
            }}
          />
        )}
        <canvas
          ref={canvas}
          width={PIXELS}
          height={PIXELS}
          role="img"
          tabIndex={-1}
          aria-label={t("sketch")}
          aria-describedby={state}
          data-marks={marks.length}
          data-scale={view.scale.toFixed(2)}
          style={{ cursor: tool.erasing ? eraserCursor(widthOf(tool, true) * onScreen) : "crosshair" }}
          onPointerDown={begin}
          onPointerMove={move}
          onPointerUp={(event) => end(event, true)}
          onPointerCancel={(event) => end(event, false)}
          onContextMenu={(event) => event.preventDefault()}
        />
        <p id={state} className="visually-hidden">
          {blank ? t("sketch.empty") : t("sketch.marks", { count: marks.length })}
        </p>
        {blank && !drawingNow && !tracing && (
          <div className={styles.hint} aria-hidden="true">
            <Squiggle />
            <span>{t("sketch.hint")}</span>
          </div>
        )}
      </div>
      <Tools
        drawing={drawing}
        tool={tool}
        onTool={change}
        onChange={onChange}
        scale={view.scale}
        onZoom={zoom}
        tracing={tracing !== null}
        onTrace={(file) => setTracing(file && URL.createObjectURL(file))}
        onPicture={onPicture}
        penSeen={penSeen}
      />
    </section>
  );
}

function Squiggle() {
  return (
    <svg viewBox="0 0 120 48" className={styles.squiggle} aria-hidden="true">
      <path d="M6 36C22 8 36 4 42 14s-14 26-4 26 18-26 30-26-2 22 10 22 14-18 24-18 8 10 12 12" />
    </svg>
  );
}

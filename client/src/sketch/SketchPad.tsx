import { Eraser, Image, Pencil, Redo2, Trash2, Undo2 } from "lucide-react";
import { type ComponentProps, type PointerEvent, useCallback, useEffect, useId, useRef, useState } from "react";
import { useSpeech } from "../i18n";
import { decodeAll, paint, paintMark } from "./render";
import styles from "./SketchPad.module.css";
import { type Change, type Drawing, type Point, SIDE, type Stroke } from "./strokes";

const SIZES = [
  { name: "sketch.thin", width: 4 },
  { name: "sketch.medium", width: 7 },
  { name: "sketch.thick", width: 14 },
] as const;
const ERASER_FACTOR = 5; // an eraser is wider than the pen of the same size
const PIXELS = SIDE * 2; // resolution on screen: sharp on dense displays

interface Props {
  drawing: Drawing;
  onChange: (change: Change) => void;
  /** A picture that was pasted or chosen as a sketch. */
  onPicture: (file: Blob) => void;
}

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

/** The sheet to draw on, with its tools. Mouse, pen (with pressure and its own eraser end) and touch. */
export function SketchPad({ drawing, onChange, onPicture }: Props) {
  const { t } = useSpeech();
  const state = useId();
  const canvas = useRef<HTMLCanvasElement>(null);
  const settled = useRef<HTMLCanvasElement | null>(null); // all finished marks, so that a long stroke costs the same on a full sheet
  const stroke = useRef<{ pointer: number; mark: Stroke & { points: Point[] } } | null>(null);
  const frame = useRef(0);
  const chooser = useRef<HTMLInputElement>(null);
  const [size, setSize] = useState(1);
  const [erasing, setErasing] = useState(false);
  const [drawingNow, setDrawingNow] = useState(false);
  const { marks, past, future } = drawing;
  const width = SIZES[size]?.width ?? SIZES[1].width;

  const show = useCallback(() => {
    frame.current = 0;
    const [sheet, finished] = [canvas.current, settled.current];
    const context = sheet?.getContext("2d");
    if (!sheet || !finished || !context) return;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.drawImage(finished, 0, 0);
    context.setTransform(PIXELS / SIDE, 0, 0, PIXELS / SIDE, 0, 0);
    if (stroke.current) paintMark(context, stroke.current.mark, false);
  }, []);

  useEffect(() => {
    let current = true;
    void decodeAll(marks).then(() => {
      if (!current) return;
      if (!settled.current) {
        settled.current = document.createElement("canvas");
        settled.current.width = PIXELS;
        settled.current.height = PIXELS;
      }
      paint(settled.current, marks);
      show();
    });
    return () => {
      current = false;
    };
  }, [marks, show]);

  useEffect(() => () => cancelAnimationFrame(frame.current), []);

  useEffect(() => {
    const onKey = (event: KeyboardEvent): void => {
      if (isTyping(event.target) || document.querySelector("dialog[open]")) return;
      const key = event.key.toLowerCase();
      if (event.ctrlKey || event.metaKey) {
        if (key !== "z" && key !== "y") return;
        event.preventDefault();
        onChange({ type: key === "y" || event.shiftKey ? "redo" : "undo" });
      } else if (key === "e") setErasing(true);
      else if (key === "b" || key === "p") setErasing(false);
      else if (["1", "2", "3"].includes(key)) setSize(Number(key) - 1);
    };
    const onPaste = (event: ClipboardEvent): void => {
      const file = [...(event.clipboardData?.files ?? [])].find((item) => item.type.startsWith("image/"));
      if (!file || document.querySelector("dialog[open]")) return;
      event.preventDefault();
      onPicture(file);
    };
    document.addEventListener("keydown", onKey);
    document.addEventListener("paste", onPaste);
    return () => {
      document.removeEventListener("keydown", onKey);
      document.removeEventListener("paste", onPaste);
    };
  }, [onChange, onPicture]);

  function gather(event: PointerEvent<HTMLCanvasElement>): void {
    const box = event.currentTarget.getBoundingClientRect();
    const native = event.nativeEvent;
    const coalesced = native.getCoalescedEvents?.() ?? [];
    for (const { clientX, clientY, pressure } of coalesced.length > 0 ? coalesced : [native])
      stroke.current?.mark.points.push([
        ((clientX - box.left) / box.width) * SIDE,
        ((clientY - box.top) / box.height) * SIDE,
        pressure || 0.5,
      ]);
    if (!frame.current) frame.current = requestAnimationFrame(show);
  }

  function begin(event: PointerEvent<HTMLCanvasElement>): void {
    // 0: the tip or the left button, 5: the eraser end of a pen. A second finger never starts a second stroke.
    if (stroke.current || (event.button !== 0 && event.button !== 5)) return;
    event.preventDefault();
    if (document.activeElement instanceof HTMLElement) document.activeElement.blur();
    event.currentTarget.setPointerCapture(event.pointerId);
    const kind = erasing || event.button === 5 ? "eraser" : "pen";
    const mark = {
      kind,
      size: kind === "eraser" ? width * ERASER_FACTOR : width,
      pressure: event.pointerType === "pen",
      points: [],
    } as const;
    stroke.current = { pointer: event.pointerId, mark: { ...mark, points: [] } };
    setDrawingNow(true);
    gather(event);
  }

  function end(event: PointerEvent<HTMLCanvasElement>, keep: boolean): void {
    if (stroke.current?.pointer !== event.pointerId) return;
    const { mark } = stroke.current;
    if (keep && settled.current) {
      // The finished stroke stays on screen while the new list of marks makes its way through React.
      const context = settled.current.getContext("2d");
      context?.setTransform(PIXELS / SIDE, 0, 0, PIXELS / SIDE, 0, 0);
      if (context) paintMark(context, mark);
    }
    stroke.current = null;
    setDrawingNow(false);
    if (keep && mark.points.length > 0) onChange({ type: "add", mark });
    else show();
  }

  const blank = marks.length === 0;
  const scale = (canvas.current?.clientWidth ?? SIDE) / SIDE;
  return (
    <section className={styles.pad} aria-label={t("sketch.title")}>
      <div className={styles.paper} data-drop="sketch">
        <canvas
          ref={canvas}
          width={PIXELS}
          height={PIXELS}
          role="img"
          aria-label={t("sketch")}
          aria-describedby={state}
          data-marks={marks.length}
          style={{ cursor: erasing ? eraserCursor(width * ERASER_FACTOR * scale) : "crosshair" }}
          onPointerDown={begin}
          onPointerMove={(event) => {
            if (stroke.current?.pointer === event.pointerId) gather(event);
          }}
          onPointerUp={(event) => end(event, true)}
          onPointerCancel={(event) => end(event, false)}
          onContextMenu={(event) => event.preventDefault()}
        />
        <p id={state} className="visually-hidden">
          {blank ? t("sketch.empty") : t("sketch.marks", { count: marks.length })}
        </p>
        {blank && !drawingNow && (
          <div className={styles.hint} aria-hidden="true">
            <Squiggle />
            <span>{t("sketch.hint")}</span>
          </div>
        )}
      </div>
      <div className={styles.tools} role="toolbar" aria-label={t("sketch.tools")}>
        <div className={styles.group}>
          <Tool label={t("sketch.pen")} keys="B" pressed={!erasing} onClick={() => setErasing(false)}>
            <Pencil />
          </Tool>
          <Tool label={t("sketch.eraser")} keys="E" pressed={erasing} onClick={() => setErasing(true)}>
            <Eraser />
          </Tool>
        </div>
        <fieldset className={styles.group}>
          <legend className="visually-hidden">{t("sketch.width")}</legend>
          {SIZES.map(({ name, width: dot }, index) => (
            <label key={name} className={styles.tool} title={`${t(name)} (${index + 1})`}>
              <input
                type="radio"
                name="width"
                aria-label={t(name)}
                checked={size === index}
                onChange={() => setSize(index)}
              />
              <span className={styles.dot} style={{ width: dot + 1, height: dot + 1 }} />
            </label>
          ))}
        </fieldset>
        <div className={styles.group}>
          <Tool
            label={t("sketch.undo")}
            keys="Ctrl+Z"
            disabled={past.length === 0}
            onClick={() => onChange({ type: "undo" })}
          >
            <Undo2 />
          </Tool>
          <Tool
            label={t("sketch.redo")}
            keys="Ctrl+Shift+Z"
            disabled={future.length === 0}
            onClick={() => onChange({ type: "redo" })}
          >
            <Redo2 />
          </Tool>
          <Tool label={t("sketch.load")} title={t("sketch.load.how")} onClick={() => chooser.current?.click()}>
            <Image />
          </Tool>
          <Tool label={t("sketch.clear")} disabled={blank} onClick={() => onChange({ type: "clear" })}>
            <Trash2 />
          </Tool>
          <input
            ref={chooser}
            type="file"
            accept="image/*"
            hidden
            aria-label={t("sketch.file")}
            onChange={(event) => {
              const [file] = event.target.files ?? [];
              if (file) onPicture(file);
              event.target.value = "";
            }}
          />
        </div>
      </div>
    </section>
  );
}

interface ToolProps extends ComponentProps<"button"> {
  label: string;
  /** The shortcut, for the tooltip. */
  keys?: string;
  /** For tools that stay in the hand. */
  pressed?: boolean;
}

function Tool({ label, keys, pressed, ...rest }: ToolProps) {
  return (
    <button
      type="button"
      className={styles.tool}
      aria-label={label}
      title={keys ? `${label} (${keys})` : label}
      {...(pressed !== undefined && { "aria-pressed": pressed })}
      {...rest}
    />
  );
}

function Squiggle() {
  return (
    <svg viewBox="0 0 120 48" className={styles.squiggle} aria-hidden="true">
      <path d="M6 36C22 8 36 4 42 14s-14 26-4 26 18-26 30-26-2 22 10 22 14-18 24-18 8 10 12 12" />
    </svg>
  );
}

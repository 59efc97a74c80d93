/** A drawing as data: marks on a square sheet, with history. No DOM here. */

/** Side of the sheet in its own units, and of the exported picture in pixels. */
export const SIDE = 512;
const HISTORY = 200; // steps of undo that are kept

/** x and y in sheet units, pressure 0..1. */
export type Point = readonly [x: number, y: number, pressure: number];

export interface Stroke {
  kind: "pen" | "eraser";
  /** Width in sheet units. */
  size: number;
  /** Whether the pressure of the points is real (a pen's) and shapes the width. */
  pressure: boolean;
  points: readonly Point[];
}

/** A picture laid onto the sheet: pasted, dropped or chosen. `src` is a data URL, at most SIDE pixels. */
export interface Pasted {
  kind: "picture";
  src: string;
}

export type Mark = Stroke | Pasted;

export interface Drawing {
  past: readonly (readonly Mark[])[];
  marks: readonly Mark[];
  future: readonly (readonly Mark[])[];
}

export type Change =
  | { type: "add"; mark: Mark }
  | { type: "load"; marks: readonly Mark[] }
  | { type: "clear" | "undo" | "redo" };

export const EMPTY: Drawing = { past: [], marks: [], future: [] };

/** The drawing after a change; the same object when nothing changes. */
export function change(drawing: Drawing, step: Change): Drawing {
  const { past, marks, future } = drawing;
  const replace = (next: readonly Mark[]): Drawing => ({
    past: [...past, marks].slice(-HISTORY),
    marks: next,
    future: [],
  });
  switch (step.type) {
    case "add":
      return replace([...marks, step.mark]);
    case "load":
      return replace(step.marks);
    case "clear":
      return marks.length === 0 ? drawing : replace([]);
    case "undo": {
      const before = past.at(-1);
      return before === undefined ? drawing : { past: past.slice(0, -1), marks: before, future: [marks, ...future] };
    }
    case "redo": {
      const after = future[0];
      return after === undefined ? drawing : { past: [...past, marks], marks: after, future: future.slice(1) };
    }
  }
}

/** True when nothing on the sheet can be visible. (A sheet that was rubbed clean is only known from its pixels.) */
export const isBlank = (marks: readonly Mark[]): boolean => marks.every((mark) => mark.kind === "eraser");

const isPoint = (value: unknown): boolean =>
  Array.isArray(value) && value.length === 3 && value.every((part) => Number.isFinite(part));

function isMark(value: unknown): value is Mark {
  if (typeof value !== "object" || value === null) return false;
  const mark = value as Record<string, unknown>;
  if (mark.kind === "picture") return typeof mark.src === "string" && mark.src.startsWith("data:image/");
  return (
    (mark.kind === "pen" || mark.kind === "eraser") &&
    typeof mark.size === "number" &&
    typeof mark.pressure === "boolean" &&
    Array.isArray(mark.points) &&
    mark.points.every(isPoint)
  );
}

/** Marks from a stored text; anything that is not a drawing gives an empty sheet. */
export function parseMarks(text: string | null): readonly Mark[] {
  if (!text) return [];
  try {
    const value: unknown = JSON.parse(text);
    return Array.isArray(value) && value.every(isMark) ? value : [];
  } catch {
    return [];
  }
}

/** Stored form: coordinates to a tenth of a unit. */
export const formatMarks = (marks: readonly Mark[]): string =>
  JSON.stringify(marks, (_, value: unknown) => (typeof value === "number" ? Math.round(value * 10) / 10 : value));

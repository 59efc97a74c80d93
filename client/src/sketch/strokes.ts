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

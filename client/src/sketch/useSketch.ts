import { useLayoutEffect, useState } from "react";
import { flushSync } from "react-dom";
import { exportSketch } from "./render";
import { isBlank, type Mark } from "./strokes";

// The same marks are the same picture: undo asks the question that was asked before, and its answer is still known.
const exported = new WeakMap<readonly Mark[], Promise<Blob | null>>();

function exportOnce(marks: readonly Mark[]): Promise<Blob | null> {
  const known = exported.get(marks) ?? exportSketch(marks);
  exported.set(marks, known);
  return known;
}

export interface Sketch {
  /** The drawing as a PNG; null while no pixel of the sheet is dark. */
  blob: Blob | null;
  /** The picture is of these marks, and not of those before them. */
  ready: boolean;
}

export function useSketch(marks: readonly Mark[]): Sketch {
  const [made, setMade] = useState<{ marks: readonly Mark[]; blob: Blob | null }>({ marks: [], blob: null });
  const blank = isBlank(marks);
  // Before all that the sheet and the history do with a stroke: it is packed elsewhere meanwhile.
  useLayoutEffect(() => {
    if (blank) return;
    let current = true;
    void exportOnce(marks).then((blob) => {
      if (current) flushSync(() => setMade({ marks, blob })); // with its effects: it is asked now, not after a painted page
    });
    return () => {
      current = false;
    };
  }, [marks, blank]);
  const ready = blank || made.marks === marks;
  return { blob: blank ? null : made.blob, ready };
}

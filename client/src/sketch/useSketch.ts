import { useEffect, useState } from "react";
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
  useEffect(() => {
    if (blank) return;
    let current = true;
    void exportOnce(marks).then((blob) => current && setMade({ marks, blob }));
    return () => {
      current = false;
    };
  }, [marks, blank]);
  const ready = blank || made.marks === marks;
  return { blob: blank ? null : made.blob, ready };
}

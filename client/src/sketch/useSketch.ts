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

/** The drawing as a PNG; null while no pixel of the sheet is dark. */
export function useSketch(marks: readonly Mark[]): Blob | null {
  const [sketch, setSketch] = useState<Blob | null>(null);
  useEffect(() => {
    let current = true;
    if (isBlank(marks)) setSketch(null);
    else void exportOnce(marks).then((blob) => current && setSketch(blob));
    return () => {
      current = false;
    };
  }, [marks]);
  return sketch;
}

/** Marks -> pixels: black on white, the way the encoder's sketches are. */

import { getStroke } from "perfect-freehand";
import { type Mark, SIDE, type Stroke } from "./strokes";

const pictures = new Map<string, HTMLImageElement>();

/** The decoded picture of a data URL; kept, so that redrawing is synchronous. Rejects when it is not a picture. */
export async function decodePicture(src: string): Promise<HTMLImageElement> {
  const known = pictures.get(src);
  if (known) return known;
  const image = new Image();
  image.src = src;
  await image.decode();
  pictures.set(src, image);
  return image;
}

/** Decodes all pictures among the marks, so that `paint` can draw them. A broken one is left out. */
export async function decodeAll(marks: readonly Mark[]): Promise<void> {
  await Promise.allSettled(marks.map((mark) => (mark.kind === "picture" ? decodePicture(mark.src) : null)));
}

/** Outline of a stroke as a closed path through the midpoints of its corners. */
function outline(stroke: Stroke, finished: boolean): Path2D {
  const corners = getStroke(stroke.points as [number, number, number][], {
    size: stroke.size,
    thinning: stroke.pressure ? 0.55 : 0,
    smoothing: 0.5,
    streamline: 0.4,
    simulatePressure: false,
    last: finished,
  });
  const path = new Path2D();
  const first = corners[0];
  if (!first) return path;
  path.moveTo(first[0], first[1]);
  for (let i = 0; i < corners.length; i++) {
    const [x, y] = corners[i] as [number, number];
    const [nextX, nextY] = corners[(i + 1) % corners.length] as [number, number];
    path.quadraticCurveTo(x, y, (x + nextX) / 2, (y + nextY) / 2);
  }
  path.closePath();
  return path;
}

/** Draws one mark; the context's units are those of the sheet. */
export function paintMark(context: CanvasRenderingContext2D, mark: Mark, finished = true): void {
  if (mark.kind === "picture") {
    const image = pictures.get(mark.src);
    if (!image) return;
    const scale = Math.min(SIDE / image.naturalWidth, SIDE / image.naturalHeight);
    const [width, height] = [image.naturalWidth * scale, image.naturalHeight * scale];
    context.drawImage(image, (SIDE - width) / 2, (SIDE - height) / 2, width, height);
    return;
  }
  context.fillStyle = mark.kind === "eraser" ? "#fff" : "#000";
  context.fill(outline(mark, finished));
}

/** White sheet with all marks, scaled to the whole canvas. */
export function paint(canvas: HTMLCanvasElement, marks: readonly Mark[]): void {
  const context = canvas.getContext("2d");
  if (!context) return;
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.fillStyle = "#fff";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.setTransform(canvas.width / SIDE, 0, 0, canvas.height / SIDE, 0, 0);
  for (const mark of marks) paintMark(context, mark);
}

/** The whole sheet as a SIDE x SIDE PNG, or null when no pixel of it is darker than paper. */
export async function exportSketch(marks: readonly Mark[]): Promise<Blob | null> {
  await decodeAll(marks);
  const canvas = document.createElement("canvas");
  canvas.width = SIDE;
  canvas.height = SIDE;
  paint(canvas, marks);
  const pixels = canvas.getContext("2d", { willReadFrequently: true })?.getImageData(0, 0, SIDE, SIDE).data;
  if (!pixels?.some((value) => value < 200)) return null;
  return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
}

/** Any picture file as a mark: at most SIDE pixels, transparency on white. Rejects when the browser cannot read it. */
export async function pictureMark(file: Blob): Promise<Mark> {
  const url = URL.createObjectURL(file);
  try {
    const image = new Image();
    image.src = url;
    await image.decode();
    const scale = Math.min(1, SIDE / Math.max(image.naturalWidth, image.naturalHeight));
    const canvas = document.createElement("canvas");
    canvas.width = Math.max(1, Math.round(image.naturalWidth * scale));
    canvas.height = Math.max(1, Math.round(image.naturalHeight * scale));
    const context = canvas.getContext("2d");
    if (!context) throw new Error("no canvas");
    context.fillStyle = "#fff";
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.drawImage(image, 0, 0, canvas.width, canvas.height);
    const src = canvas.toDataURL("image/png");
    await decodePicture(src);
    return { kind: "picture", src };
  } finally {
    URL.revokeObjectURL(url);
  }
}

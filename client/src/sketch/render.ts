/** Marks -> pixels: black on white, the way the encoder's sketches are. */

import { getStroke } from "perfect-freehand";
import { GLANCE, kindOf, type PictureKind } from "./kind";
import { greyPng, greyRows } from "./png";
import { type Mark, type Pasted, SIDE, type Stroke } from "./strokes";
import { type View, WHOLE } from "./view";

const LIGHT_BYTES = 400_000; // a photo below this is sent as it is
const PHOTO_SIDE = 1024; // px

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

/** What an outline is written to: a Path2D, or words of SVG. */
interface Path {
  moveTo(x: number, y: number): void;
  quadraticCurveTo(cx: number, cy: number, x: number, y: number): void;
  closePath(): void;
}

/** Outline of a stroke as a closed path through the midpoints of its corners. */
export function outline<P extends Path>(stroke: Stroke, finished: boolean, path: P): P {
  const corners = getStroke(stroke.points as [number, number, number][], {
    size: stroke.size,
    thinning: stroke.pressure ? 0.55 : 0,
    smoothing: 0.5,
    streamline: 0.4,
    simulatePressure: false,
    last: finished,
  });
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

/** Where a picture of this size lies on the sheet: as large as fits, in the middle. */
export function fitted(width: number, height: number): { x: number; y: number; width: number; height: number } {
  const scale = Math.min(SIDE / width, SIDE / height);
  const [w, h] = [width * scale, height * scale];
  return { x: (SIDE - w) / 2, y: (SIDE - h) / 2, width: w, height: h };
}

// A stroke that is finished stays as it is, and is drawn again with each that follows.
const outlines = new WeakMap<Stroke, Path2D>();

function finishedOutline(stroke: Stroke): Path2D {
  const path = outlines.get(stroke) ?? outline(stroke, true, new Path2D());
  outlines.set(stroke, path);
  return path;
}

/** Draws one mark; the context's units are those of the sheet. */
export function paintMark(context: CanvasRenderingContext2D, mark: Mark, finished = true): void {
  if (mark.kind === "picture") {
    const image = pictures.get(mark.src);
    if (!image) return;
    const { x, y, width, height } = fitted(image.naturalWidth, image.naturalHeight);
    context.drawImage(image, x, y, width, height);
    return;
  }
  context.fillStyle = mark.kind === "eraser" ? "#fff" : "#000";
  context.fill(finished ? finishedOutline(mark) : outline(mark, false, new Path2D()));
}

/** From sheet units to a canvas' pixels, for the part of the sheet that is seen. */
export function look(canvas: HTMLCanvasElement, { scale, x, y }: View = WHOLE): CanvasRenderingContext2D | null {
  const context = canvas.getContext("2d");
  const k = (canvas.width / SIDE) * scale;
  context?.setTransform(k, 0, 0, k, -x * k, -y * k);
  return context;
}

/** White sheet with all marks; what is seen of it fills the canvas. */
export function paint(canvas: HTMLCanvasElement, marks: readonly Mark[], view: View = WHOLE): void {
  const context = look(canvas, view);
  if (!context) return;
  context.fillStyle = "#fff";
  context.fillRect(-1, -1, SIDE + 2, SIDE + 2);
  for (const mark of marks) paintMark(context, mark);
}

/** Whether some pixel (of four bytes, opaque) is darker than paper; ink is black, a glance at its red is enough. */
function isDark(pixels: Uint8ClampedArray): boolean {
  for (let at = 0; at < pixels.length; at += 4) if ((pixels[at] ?? 255) < 200) return true;
  return false;
}

/** The whole sheet as a SIDE x SIDE PNG, or null when no pixel of it is darker than paper. */
export async function exportSketch(marks: readonly Mark[]): Promise<Blob | null> {
  await decodeAll(marks);
  const canvas = document.createElement("canvas");
  canvas.width = SIDE;
  canvas.height = SIDE;
  // Before it is painted: pixels that are read back are best kept where they are read.
  const context = canvas.getContext("2d", { willReadFrequently: true });
  paint(canvas, marks);
  const pixels = context?.getImageData(0, 0, SIDE, SIDE).data;
  if (!pixels || !isDark(pixels)) return null;
  const rows = greyRows(pixels, SIDE, SIDE);
  if (rows) return greyPng(rows, SIDE, SIDE);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
}

/** A picture on a canvas of its own, at most `side` pixels long, `ground` behind it (none: transparent). */
function drawn(image: HTMLImageElement, side: number, ground?: string): HTMLCanvasElement {
  const scale = Math.min(1, side / Math.max(image.naturalWidth, image.naturalHeight));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(image.naturalWidth * scale));
  canvas.height = Math.max(1, Math.round(image.naturalHeight * scale));
  const context = canvas.getContext("2d");
  if (!context) throw new Error("no canvas");
  context.imageSmoothingQuality = "high";
  if (ground) {
    context.fillStyle = ground;
    context.fillRect(0, 0, canvas.width, canvas.height);
  }
  context.drawImage(image, 0, 0, canvas.width, canvas.height);
  return canvas;
}

async function decoded<T>(file: Blob, use: (image: HTMLImageElement) => T | Promise<T>): Promise<T> {
  const url = URL.createObjectURL(file);
  try {
    const image = new Image();
    image.src = url;
    await image.decode();
    return await use(image);
  } finally {
    URL.revokeObjectURL(url);
  }
}

/** What a picture file is taken for. Rejects when the browser cannot read it. */
export const kindOfFile = (file: Blob): Promise<PictureKind> =>
  decoded(file, (image) => {
    const canvas = drawn(image, GLANCE);
    const { width, height } = canvas;
    return kindOf(canvas.getContext("2d")?.getImageData(0, 0, width, height).data ?? [], width, height);
  });

/** Any picture file as a mark: at most SIDE pixels, transparency on white. Rejects when the browser cannot read it. */
export const pictureMark = (file: Blob): Promise<Mark> =>
  decoded(file, async (image) => {
    const src = drawn(image, SIDE, "#fff").toDataURL("image/png");
    await decodePicture(src);
    return { kind: "picture", src };
  });

/**
 * A photo that is small enough to be sent with each change of the question; models look at far fewer pixels. Rejects when the browser cannot
 * read it.
 */
export const smallPhoto = (file: File): Promise<File> =>
  decoded(file, async (image) => {
    if (file.size < LIGHT_BYTES && /^image\/(jpeg|png|webp)$/.test(file.type)) return file;
    const canvas = drawn(image, PHOTO_SIDE, "#fff");
    const blob = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.9));
    return blob ? new File([blob], file.name, { type: "image/jpeg" }) : file;
  });

/** The picture of a mark as a file. */
export async function fileOf({ src }: Pasted, name: string): Promise<File> {
  const image = await decodePicture(src);
  const blob = await new Promise<Blob | null>((resolve) => drawn(image, SIDE).toBlob(resolve, "image/png"));
  if (!blob) throw new Error("no canvas");
  return new File([blob], name, { type: "image/png" });
}

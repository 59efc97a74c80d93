/** A drawing in an address' fragment: quantised differences, deflated, in the letters that addresses allow. */

import { type Mark, type Point, SIDE, type Stroke } from "./strokes";

const VERSION = 1;
const GRAIN = 2; // steps of a sheet unit: half a unit is a quarter of the thinnest line's width
const PRESSURES = 15;
const MAX_BYTES = 400_000; // unpacked: a hundred times a rich drawing; more is no drawing of this page
const MAX_LINK = 60_000; // letters: longer addresses do not travel well

function writer(): { put: (value: number) => void; bytes: () => Uint8Array<ArrayBuffer> } {
  const bytes: number[] = [];
  return {
    /** Seven bits a byte, least first; the sign in the lowest bit. */
    put(value) {
      let rest = value < 0 ? -2 * value - 1 : 2 * value;
      while (rest > 127) {
        bytes.push((rest % 128) + 128);
        rest = Math.floor(rest / 128);
      }
      bytes.push(rest);
    },
    bytes: () => Uint8Array.from(bytes),
  };
}

function reader(bytes: Uint8Array): { take: () => number; ended: () => boolean } {
  let at = 0;
  return {
    take() {
      let value = 0;
      for (let unit = 1; ; unit *= 128) {
        const byte = bytes[at++];
        if (byte === undefined || unit > 2 ** 28) throw new Error("The drawing is cut off.");
        value += (byte % 128) * unit;
        if (byte < 128) break;
      }
      return value % 2 === 1 ? -(value + 1) / 2 : value / 2;
    },
    ended: () => at >= bytes.length,
  };
}

/** Strokes as bytes. Pasted pictures are left out: they would not fit into an address. */
export function pack(marks: readonly Mark[]): Uint8Array<ArrayBuffer> {
  const { put, bytes } = writer();
  put(VERSION);
  for (const mark of marks) {
    if (mark.kind === "picture") continue;
    put((mark.kind === "eraser" ? 1 : 0) + (mark.pressure ? 2 : 0));
    put(Math.round(mark.size * GRAIN));
    put(mark.points.length);
    let [x, y, force] = [0, 0, 0];
    for (const [pointX, pointY, pressure] of mark.points) {
      const [nextX, nextY] = [Math.round(pointX * GRAIN), Math.round(pointY * GRAIN)];
      put(nextX - x);
      put(nextY - y);
      [x, y] = [nextX, nextY];
      if (!mark.pressure) continue;
      const next = Math.round(pressure * PRESSURES);
      put(next - force);
      force = next;
    }
  }
  return bytes();
}

/** The strokes of `pack`. Raises Error for bytes that are none. */
export function unpack(bytes: Uint8Array): readonly Mark[] {
  const { take, ended } = reader(bytes);
  if (take() !== VERSION) throw new Error("The drawing was packed in another way.");
  const marks: Stroke[] = [];
  while (!ended()) {
    const flags = take();
    const [kind, pressure] = [flags % 2 === 1 ? "eraser" : "pen", flags >= 2] as const;
    const size = take() / GRAIN;
    const count = take();
    const points: Point[] = [];
    let [x, y, force] = [0, 0, 0];
    for (let k = 0; k < count; k++) {
      x += take();
      y += take();
      if (pressure) force += take();
      points.push([x / GRAIN, y / GRAIN, pressure ? force / PRESSURES : 0.5]);
    }
    if (flags > 3 || flags < 0 || size <= 0 || size > SIDE) throw new Error("These are no strokes.");
    marks.push({ kind, size, pressure, points });
  }
  return marks;
}

async function through(
  bytes: Uint8Array<ArrayBuffer>,
  stream: CompressionStream | DecompressionStream,
): Promise<Uint8Array<ArrayBuffer>> {
  const reading = new Blob([bytes]).stream().pipeThrough(stream).getReader();
  const parts: Uint8Array<ArrayBuffer>[] = [];
  let length = 0;
  for (;;) {
    const { done, value } = await reading.read();
    if (done) return new Uint8Array(await new Blob(parts).arrayBuffer());
    length += value.length;
    if (length > MAX_BYTES) throw new Error("The drawing is too large.");
    parts.push(value);
  }
}

/** The drawing as letters for a fragment; "" without strokes, and where they are too many for an address. */
export async function toLetters(marks: readonly Mark[]): Promise<string> {
  if (!marks.some((mark) => mark.kind === "pen")) return "";
  const bytes = await through(pack(marks), new CompressionStream("deflate-raw"));
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  const letters = btoa(text).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
  return letters.length > MAX_LINK ? "" : letters;
}

/** The drawing of `toLetters`; none for letters that hold none. */
export async function fromLetters(letters: string): Promise<readonly Mark[]> {
  if (!letters) return [];
  try {
    const text = atob(letters.replaceAll("-", "+").replaceAll("_", "/"));
    const bytes = Uint8Array.from(text, (letter) => letter.charCodeAt(0));
    return unpack(await through(bytes, new DecompressionStream("deflate-raw")));
  } catch {
    return [];
  }
}

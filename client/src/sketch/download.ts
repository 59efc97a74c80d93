/** The drawing as a file of the user's own. */

import { decodePicture, exportSketch, fitted, outline } from "./render";
import { type Mark, SIDE } from "./strokes";

/** Words of SVG's path language, to a tenth of a unit. */
class PathWords {
  readonly words: string[] = [];
  private put(letter: string, ...numbers: number[]): void {
    this.words.push(letter + numbers.map((value) => Math.round(value * 10) / 10).join(" "));
  }
  moveTo(x: number, y: number): void {
    this.put("M", x, y);
  }
  quadraticCurveTo(cx: number, cy: number, x: number, y: number): void {
    this.put("Q", cx, cy, x, y);
  }
  closePath(): void {
    this.put("Z");
  }
}

async function svgOf(marks: readonly Mark[]): Promise<Blob> {
  const parts: string[] = [];
  for (const mark of marks)
    if (mark.kind === "picture") {
      const { naturalWidth, naturalHeight } = await decodePicture(mark.src);
      const { x, y, width, height } = fitted(naturalWidth, naturalHeight);
      parts.push(`<image x="${x}" y="${y}" width="${width}" height="${height}" href="${mark.src}"/>`);
    } else {
      const { words } = outline(mark, true, new PathWords());
      parts.push(`<path fill="${mark.kind === "eraser" ? "#fff" : "#000"}" d="${words.join("")}"/>`);
    }
  const sheet = `<rect width="${SIDE}" height="${SIDE}" fill="#fff"/>`;
  const head = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${SIDE} ${SIDE}" width="${SIDE}" height="${SIDE}">`;
  return new Blob([`${head}${sheet}${parts.join("")}</svg>\n`], { type: "image/svg+xml" });
}

export async function download(marks: readonly Mark[], format: "png" | "svg"): Promise<void> {
  const blob = format === "svg" ? await svgOf(marks) : await exportSketch(marks);
  if (!blob) return;
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = `drawing.${format}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

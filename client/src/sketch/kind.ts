/** Tells a drawing from a photo by its pixels. No DOM here. */

export type PictureKind = "drawing" | "photo";

/** Long side of the small picture that is looked at, in pixels: a line of a pen stays a line, grain and noise go. */
export const GLANCE = 96;

const TONES = 32; // of 256 levels of brightness
const LIGHT_GROUND = 192; // paper, also in a poor light
const NEAR_GROUND = 20; // levels: shading of paper
const INK = 28; // levels darker than the ground
const COLOURFUL = 60; // levels between the strongest and the weakest channel

/**
 * `pixels` are RGBA, 4 bytes each, of a picture that is about GLANCE pixels long; what is transparent counts as white.
 *
 * A drawing is thin dark ink, hardly coloured, on light ground that covers most of the sheet. A photo has shades and areas, even where it
 * shows a thing before a white wall.
 */
export function kindOf(pixels: ArrayLike<number>, width: number, height: number): PictureKind {
  const count = width * height;
  const luma = new Float32Array(count);
  const tones = new Uint32Array(TONES);
  let colourful = 0;
  for (let k = 0; k < count; k++) {
    const share = (pixels[4 * k + 3] ?? 255) / 255;
    const [red, green, blue] = [0, 1, 2].map((c) => (pixels[4 * k + c] ?? 255) * share + 255 * (1 - share)) as [
      number,
      number,
      number,
    ];
    const value = 0.299 * red + 0.587 * green + 0.114 * blue;
    luma[k] = value;
    const tone = Math.floor(value / (256 / TONES));
    tones[tone] = (tones[tone] ?? 0) + 1;
    if (Math.max(red, green, blue) - Math.min(red, green, blue) > COLOURFUL) colourful += 1;
  }
  const ground = (tones.indexOf(Math.max(...tones)) + 0.5) * (256 / TONES);
  let [empty, ink, inside] = [0, 0, 0];
  const isInk = (k: number): boolean => (luma[k] ?? 255) < ground - INK;
  for (let k = 0; k < count; k++) {
    if (Math.abs((luma[k] ?? 0) - ground) < NEAR_GROUND) empty += 1;
    if (!isInk(k)) continue;
    ink += 1;
    const x = k % width;
    const inner = x > 0 && x < width - 1 && k >= width && k < count - width;
    if (inner && isInk(k - 1) && isInk(k + 1) && isInk(k - width) && isInk(k + width)) inside += 1; // no line, an area
  }
  const drawn =
    ground >= LIGHT_GROUND &&
    empty / count >= 0.6 &&
    colourful / count <= 0.03 &&
    ink / count <= 0.36 &&
    inside <= 0.62 * ink + 0.03 * count;
  return drawn ? "drawing" : "photo";
}

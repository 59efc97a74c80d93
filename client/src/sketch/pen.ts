/** What is in the hand. */

export interface Tool {
  erasing: boolean;
  /** Place in SIZES. */
  size: number;
  /** The eraser takes whole strokes instead of what it touches. */
  whole: boolean;
  /** Fingers draw although a pen was seen. */
  fingers: boolean;
}

export const SIZES = [
  { name: "sketch.thin", width: 4 },
  { name: "sketch.medium", width: 7 },
  { name: "sketch.thick", width: 14 },
] as const;

export const FIRST: Tool = { erasing: false, size: 1, whole: false, fingers: false };

const ERASER_FACTOR = 5; // an eraser is wider than the pen of the same size

/** Width of the tool in sheet units. */
export const widthOf = ({ size }: Tool, erasing: boolean): number =>
  (SIZES[size]?.width ?? SIZES[1].width) * (erasing ? ERASER_FACTOR : 1);

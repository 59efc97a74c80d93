import { describe, expect, it } from "vitest";
import { boxed, moved } from "./PartBox";

describe("a box on a picture", () => {
  it("lies between two corners, whichever is drawn first, and within the picture", () => {
    expect(boxed(0.75, 0.5, 0.25, 0.125)).toEqual([0.25, 0.125, 0.75, 0.5]);
    expect(boxed(-0.5, -1, 0.5, 2)).toEqual([0, 0, 0.5, 1]);
  });
  it("is never too small to see, not even at the edge", () => {
    const [x0, y0, x1, y1] = boxed(1.2, 1.2, 1.3, 1.3);
    expect(Math.min(x1 - x0, y1 - y0)).toBeGreaterThan(0.03);
    expect(Math.max(x1, y1)).toBeLessThanOrEqual(1);
  });
  it("moves as far as there is room", () => {
    expect(moved([0.25, 0.25, 0.75, 0.75], 0.125, -1)).toEqual([0.375, 0, 0.875, 0.5]);
  });
});

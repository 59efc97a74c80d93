import { describe, expect, it } from "vitest";
import { bounded, zoomed } from "./useZoom";

const fitted = { scale: 1, x: 0, y: 0 };

describe("zooming", () => {
  it("leaves the point under the cursor where it is", () => {
    const at = { x: 120, y: -40 };
    const near = zoomed(fitted, 2, at);
    // A point p of the picture is seen at x + p * scale.
    expect(near.x + 120 * near.scale).toBeCloseTo(at.x);
    const nearer = zoomed(near, 5, { x: -30, y: 10 });
    const point = (-30 - near.x) / near.scale;
    expect(nearer.x + point * nearer.scale).toBeCloseTo(-30);
  });
  it("ends at the fitted size, in the middle, and at a largest one", () => {
    expect(zoomed({ scale: 2, x: 300, y: 10 }, 0.4, { x: 50, y: 50 })).toEqual(fitted);
    expect(zoomed(fitted, 1000, { x: 0, y: 0 }).scale).toBe(8);
  });
});

describe("a dragged picture", () => {
  const stage = { x: 1000, y: 600 };
  it("never leaves the stage empty", () => {
    expect(bounded({ scale: 2, x: 9999, y: -9999 }, { x: 900, y: 600 }, stage)).toEqual({ scale: 2, x: 400, y: -300 });
  });
  it("stays in the middle where it is smaller than the stage", () => {
    expect(bounded({ scale: 1.2, x: 50, y: 50 }, { x: 300, y: 300 }, stage)).toEqual({ scale: 1.2, x: 0, y: 0 });
  });
});

import { describe, expect, it } from "vitest";
import { type Mark, SIDE } from "./strokes";
import { moved, pointAt, touched, WHOLE, zoomed } from "./view";

describe("the view of the sheet", () => {
  it("shows all of it, and never beyond its borders", () => {
    expect(pointAt(WHOLE, 0, 1)).toEqual([0, SIDE]);
    expect(moved(WHOLE, 0.3, -0.2)).toEqual(WHOLE);
    expect(zoomed(WHOLE, 0.2)).toEqual(WHOLE);
    expect(moved(zoomed(WHOLE, 2), 9, 9)).toEqual({ scale: 2, x: 0, y: 0 });
    expect(moved(zoomed(WHOLE, 2), -9, -9)).toEqual({ scale: 2, x: SIDE / 2, y: SIDE / 2 });
    expect(zoomed(WHOLE, 1000).scale).toBe(8);
  });

  it("grows around the point that is held, and follows the hand", () => {
    const near = zoomed(zoomed(WHOLE, 2, 0.25, 0.75), 1.5, 0.25, 0.75);
    expect(pointAt(near, 0.25, 0.75)).toEqual(pointAt(WHOLE, 0.25, 0.75));
    const [x, y] = pointAt(near, 0.5, 0.5);
    const [x2, y2] = pointAt(moved(near, 0.1, -0.05), 0.6, 0.45);
    expect([x2, y2]).toEqual([expect.closeTo(x), expect.closeTo(y)]);
    expect(zoomed(near, 1 / 3)).toEqual(WHOLE);
  });
});

describe("the eraser of whole strokes", () => {
  const line = (y: number, kind: "pen" | "eraser" = "pen"): Mark => ({
    kind,
    size: 6,
    pressure: false,
    points: [
      [100, y, 0.5],
      [300, y, 0.5],
    ],
  });
  const marks = [line(100), line(110), line(200), line(100, "eraser")];

  it("takes strokes that it touches anywhere between their points", () => {
    expect(touched(marks, [200, 102], [200, 102], 2)).toEqual([marks[0]]);
    expect(touched(marks, [200, 105], [200, 105], 4)).toEqual([marks[0], marks[1]]);
    expect(touched(marks, [90, 200], [90, 200], 5)).toEqual([]);
    expect(touched([{ ...line(50), points: [[5, 5, 1]] } as Mark], [6, 6], [6, 6], 1)).toHaveLength(1);
  });

  it("misses none between two points of a quick hand", () => {
    expect(touched(marks, [150, 160], [180, 260], 3)).toEqual([marks[2]]);
    expect(touched(marks, [150, 20], [180, 300], 3)).toHaveLength(3);
  });
});

import { describe, expect, it } from "vitest";
import { justify } from "./justify";

const sizes = [
  [640, 480],
  [480, 640],
  [1000, 400],
  [300, 300],
  [640, 427],
  [427, 640],
] as const;
const items = Array.from({ length: 60 }, (_, id) => {
  const [width, height] = sizes[(id * 7) % sizes.length] ?? [1, 1];
  return { id, width, height };
});
const GAP = 8;

describe.each([328, 700, 1100, 2400])("rows of %i pixels", (width) => {
  const target = 180;
  const rows = justify(items, width, target, GAP);

  it("hold every picture once, in order", () => {
    expect(rows.flatMap((row) => row.boxes.map((box) => box.item.id))).toEqual(items.map((item) => item.id));
  });

  it("fill the width exactly, but for the last", () => {
    for (const row of rows.slice(0, -1)) {
      const used = row.boxes.reduce((sum, box) => sum + box.width, 0) + GAP * (row.boxes.length - 1);
      expect(used).toBeCloseTo(width, 6);
    }
  });

  it("are near the wanted height", () => {
    for (const row of rows.slice(0, -1)) {
      expect(row.height).toBeGreaterThan(target * 0.5);
      expect(row.height).toBeLessThan(target * 1.9);
    }
    expect(rows.at(-1)?.height).toBeLessThanOrEqual(target);
  });

  it("stay where they are when more pictures arrive", () => {
    const fewer = justify(items.slice(0, 40), width, target, GAP);
    expect(rows.slice(0, fewer.length - 1)).toEqual(fewer.slice(0, -1));
  });
});

it("gives no rows without pictures or without room", () => {
  expect(justify([], 500, 180, GAP)).toEqual([]);
  expect(justify(items, 0, 180, GAP)).toEqual([]);
});

it("lays out pictures of unknown size as squares", () => {
  expect(justify([{ width: 0, height: 0 }], 500, 180, GAP)[0]?.boxes[0]?.width).toBe(180);
});

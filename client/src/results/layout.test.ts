import { describe, expect, it } from "vitest";
import { beside, layOut, within } from "./layout";

const pictures = (count: number, shape: (index: number) => number = () => 1.5) =>
  Array.from({ length: count }, (_, id) => ({ id, width: Math.round(shape(id) * 100), height: 100 }));
const plain = (count: number, shape?: (index: number) => number) => [{ title: "", items: pictures(count, shape) }];

describe("a layout", () => {
  it("keeps the order and fills the width, row under row", () => {
    const { places, height } = layOut(plain(23), 1000, 20);
    expect(places.map((place) => place.item.id)).toEqual(places.map((place) => place.index));
    for (const place of places) {
      expect(place.left + place.width).toBeLessThanOrEqual(1000.01);
      expect(place.top + place.height).toBeLessThanOrEqual(height);
    }
    const rows = new Set(places.map((place) => place.top));
    expect(rows.size).toBe((places.at(-1)?.row ?? 0) + 1);
  });

  it("gives each section a heading above its own rows", () => {
    const all = pictures(9);
    const { places, heads } = layOut(
      [
        { title: "May", items: all.slice(0, 5) },
        { title: "April", items: all.slice(5) },
      ],
      900,
      0,
    );
    expect(heads.map((head) => head.title)).toEqual(["May", "April"]);
    expect(heads[0]?.top).toBe(0);
    const [may, april] = [places.slice(0, 5), places.slice(5)];
    expect(Math.max(...may.map((place) => place.top + place.height))).toBeLessThan(heads[1]?.top ?? 0);
    expect(Math.min(...april.map((place) => place.top))).toBeGreaterThan(heads[1]?.top ?? 0);
  });

  it("moves nothing when more pictures follow", () => {
    const few = layOut(plain(20), 900, 0).places.slice(0, 10);
    expect(layOut(plain(200), 900, 0).places.slice(0, 10)).toEqual(few);
  });
});

describe("what is on the screen", () => {
  const { places, height } = layOut(
    plain(10_000, (id) => 0.7 + ((id * 7) % 10) / 8),
    1000,
    22,
  );
  it("is what touches the strip, no more and no less", () => {
    for (const [from, to] of [
      [0, 900],
      [height / 2, height / 2 + 900],
      [height - 300, height + 600],
      [-500, -10],
    ] as const) {
      const [start, end] = within(places, from, to);
      const wanted = places.filter((place) => place.top + place.height >= from && place.top <= to);
      expect(places.slice(start, end)).toEqual(wanted);
    }
  });
});

describe("arrow keys", () => {
  const { places } = layOut(
    plain(200, (id) => 0.7 + ((id * 7) % 10) / 8),
    1000,
    0,
  );
  it("reach every picture, down and up", () => {
    for (const place of places) {
      const down = beside(places, place.index, 1);
      if (down === null) expect(place.row).toBe(places.at(-1)?.row);
      else expect(places[down]?.row).toBe(place.row + 1);
      const up = beside(places, place.index, -1);
      if (up === null) expect(place.row).toBe(0);
      else expect(places[up]?.row).toBe(place.row - 1);
    }
  });
  it("stop at the last row, however far they wish to go", () => {
    const far = beside(places, 3, 10_000);
    expect(places[far ?? 0]?.row).toBe(places.at(-1)?.row);
    expect(beside(places, places.length - 1, 1)).toBeNull();
    expect(beside([], 0, 1)).toBeNull();
  });
});

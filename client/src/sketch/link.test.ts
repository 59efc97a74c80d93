import { describe, expect, it } from "vitest";
import { EXAMPLES } from "./examples";
import { fromLetters, pack, toLetters, unpack } from "./link";
import type { Mark, Stroke } from "./strokes";

const stroke: Stroke = {
  kind: "pen",
  size: 7,
  pressure: true,
  points: [
    [0.5, 511.5, 0],
    [-40, 600.25, 0.6],
    [256, 3, 1],
  ],
};
const rubbed: Stroke = { kind: "eraser", size: 35, pressure: false, points: [[12, 40, 0.5]] };
const drawings = EXAMPLES.map(({ marks }) => marks).filter((marks) => marks.length > 0);

/** Largest distance, in sheet units, between the points of two drawings of the same strokes. */
function farthest(a: readonly Mark[], b: readonly Mark[]): number {
  let worst = 0;
  for (const [k, mark] of a.entries()) {
    const other = b[k];
    if (mark.kind === "picture" || other?.kind !== mark.kind || other.points.length !== mark.points.length) return 1e9;
    for (const [i, [x, y]] of mark.points.entries()) {
      const [otherX = 0, otherY = 0] = other.points[i] ?? [];
      worst = Math.max(worst, Math.abs(x - otherX), Math.abs(y - otherY));
    }
  }
  return worst;
}

describe("a drawing in an address", () => {
  it("comes back as it was, to a quarter of a unit", async () => {
    for (const marks of drawings) {
      const letters = await toLetters(marks);
      expect(letters).toMatch(/^[\w-]+$/);
      const back = await fromLetters(letters);
      expect(back.map((mark) => mark.kind === "pen" && mark.size)).toEqual(marks.map(() => 7));
      expect(farthest(marks, back)).toBeLessThanOrEqual(0.25);
    }
  });

  it("keeps pressure, width and the eraser, and goes beyond the sheet", () => {
    const [pen, eraser] = unpack(pack([stroke, rubbed])) as [Stroke, Stroke];
    expect(eraser).toEqual(rubbed);
    expect(pen).toMatchObject({ kind: "pen", size: 7, pressure: true });
    expect(pen.points).toEqual([
      [0.5, 511.5, 0],
      [-40, 600.5, 0.6],
      [256, 3, 1],
    ]);
  });

  it("takes few letters", async () => {
    const lengths = await Promise.all(drawings.map(async (marks) => (await toLetters(marks)).length));
    expect(Math.max(...lengths)).toBeLessThan(1500);
  });

  it("is none without strokes; pictures stay behind", async () => {
    const picture: Mark = { kind: "picture", src: "data:image/png;base64,AA==" };
    expect(await toLetters([])).toBe("");
    expect(await toLetters([picture, rubbed])).toBe("");
    expect(await fromLetters(await toLetters([picture, stroke]))).toHaveLength(1);
    expect(await fromLetters("")).toEqual([]);
  });

  it.each(["%%%", "AAAA", "3q2-7w", "a".repeat(501)])(
    "is none where the letters %j are no drawing",
    async (letters) => {
      expect(await fromLetters(letters)).toEqual([]);
    },
  );

  it("is none when it was cut off or would not end", async () => {
    const letters = await toLetters(drawings[0] ?? []);
    expect(await fromLetters(letters.slice(0, letters.length / 2))).toEqual([]);
    const bomb = new Blob([new Uint8Array(5_000_000)]).stream().pipeThrough(new CompressionStream("deflate-raw"));
    const bytes = new Uint8Array(await new Response(bomb).arrayBuffer());
    expect(await fromLetters(btoa(String.fromCharCode(...bytes)))).toEqual([]);
  });
});

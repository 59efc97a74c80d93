import { describe, expect, it } from "vitest";
import { pairOf, withPair } from "./weights";

describe("words and drawing", () => {
  it("count by their balance and their level", () => {
    expect(pairOf({ balance: 0.5, strengths: {} }, true)).toEqual({ text: 1, sketch: 1 });
    expect(pairOf({ balance: 0.25, strengths: { level: 0.5 } }, true)).toEqual({ text: 0.75, sketch: 0.25 });
    expect(pairOf({ balance: 0.25, strengths: { level: 0.5 } }, false)).toEqual({ text: 0.5, sketch: 0.5 });
  });

  it.each([
    { text: 1, sketch: 1 },
    { text: 2, sketch: 0.5 },
    { text: 0.1, sketch: 1.9 },
  ])("can be set one by one: %j", (pair) => {
    const parts = withPair({ strengths: { like: -1 } }, pair);
    expect(parts.strengths.like).toBe(-1);
    const { text, sketch } = pairOf(parts, true);
    expect([text, sketch]).toEqual([expect.closeTo(pair.text, 2), expect.closeTo(pair.sketch, 2)]);
  });
});

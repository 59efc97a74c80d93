import { describe, expect, it } from "vitest";
import type { Hit } from "../server/types";
import { bestOf, reasonsOf } from "./reason";

const hit = (parts: Record<string, number>): Hit => ({ score: 1, parts }) as unknown as Hit;

describe("the reason for a hit", () => {
  const best = bestOf([hit({ text: 0.2, sketch: 0.1 }), hit({ text: 0.1, sketch: 0.3, not_text: -0.1 })]);
  it("holds each part against the best of the answer", () => {
    expect(reasonsOf(hit({ text: 0.19, sketch: 0.2 }), best)).toEqual([
      { part: "text", strength: "strongly" },
      { part: "sketch", strength: "somewhat" },
    ]);
  });
  it("does not count what should be missing, and knows of parts that pull away", () => {
    expect(reasonsOf(hit({ text: -0.1, not_text: -0.2 }), best)).toEqual([{ part: "text", strength: "hardly" }]);
    expect(reasonsOf(hit({ like: 0 }), bestOf([]))).toEqual([{ part: "like", strength: "hardly" }]);
  });
});

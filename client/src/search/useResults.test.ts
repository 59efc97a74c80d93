import { describe, expect, it } from "vitest";
import { searchForm } from "../api/client";
import { BLANK } from "./query";
import { type Ask, requestOf } from "./useResults";

const sketch = new Blob(["png"], { type: "image/png" });
const ask = (changes: Partial<Ask["query"]>, given: Partial<Ask> = {}): Ask => ({
  collection: "c",
  query: { ...BLANK, ...changes },
  sketch: null,
  image: null,
  defaults: {},
  revision: 0,
  ...given,
});

describe("what is sent", () => {
  it("is nothing for an empty question: the newest pictures are shown", () => {
    expect(requestOf(ask({}))).toBeNull();
    expect(
      requestOf(ask({ text: "   ", notText: "snow", balance: 0.2, filter: { orientation: "square" } })),
    ).toBeNull();
  });

  it("leaves the weights to the server in the middle and with one part alone", () => {
    expect(requestOf(ask({ text: "dog" }, { sketch }))?.weights).toBeNull();
    expect(requestOf(ask({ text: "dog", balance: 0.9 }))).toMatchObject({ text: "dog", weights: null });
  });

  it("drops a part at the far end of the slider only when the other one is there", () => {
    expect(requestOf(ask({ text: "dog", balance: 0 }, { sketch }))).toMatchObject({ text: "dog", sketch: null });
    expect(requestOf(ask({ text: "dog", balance: 1 }, { sketch }))).toMatchObject({ text: "", sketch });
    expect(requestOf(ask({ balance: 0 }, { sketch }))?.sketch).toBe(sketch);
  });

  it("travels as the fields of the API", () => {
    const request = requestOf(
      ask({ text: " dog ", notText: "cat", like: 5, balance: 0.75, filter: { orientation: "square" } }, { sketch }),
    );
    if (!request) throw new Error("nothing to send");
    const form = searchForm({ ...request, cursor: "abc" });
    expect([...form.keys()].sort()).toEqual([
      "cursor",
      "filter",
      "like",
      "limit",
      "not_text",
      "sketch",
      "text",
      "weights",
    ]);
    expect(form.get("text")).toBe("dog");
    expect(JSON.parse(String(form.get("weights")))).toEqual({ text: 0.5, sketch: 1.5 });
    expect(JSON.parse(String(form.get("filter")))).toEqual({ orientation: "square" });
  });
});

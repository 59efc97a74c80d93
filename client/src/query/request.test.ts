import { describe, expect, it } from "vitest";
import { BLANK } from "../app/address";
import { searchForm } from "../server/client";
import { type Ask, requestOf, serverFilter } from "./request";

const sketch = new Blob(["png"], { type: "image/png" });
const ask = (changes: Partial<Ask["query"]>, given: Partial<Ask> = {}): Ask => ({
  collection: "c",
  query: { ...BLANK, ...changes },
  sketch: null,
  image: null,
  defaults: {},
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

describe("weights", () => {
  const weights = (changes: Partial<Ask["query"]>, given: Partial<Ask> = {}) => requestOf(ask(changes, given))?.weights;

  it("are left to the server in the middle", () => {
    expect(weights({ text: "dog", balance: 0.5 }, { sketch })).toBeNull();
  });
  it("are taken from one part and given to the other, around the encoder's own", () => {
    expect(weights({ text: "dog", balance: 0.25 }, { sketch })).toEqual({ text: 1.5, sketch: 0.5 });
    const defaults = { text: 1, sketch: 0.4 };
    expect(weights({ text: "dog", balance: 0.75 }, { sketch, defaults })).toEqual({ text: 0.5, sketch: 0.6 });
  });
  it("are told for the parts alone that are there and were changed", () => {
    const strengths = { level: 0.5, notText: 2, image: 0.5, like: -0.5 };
    expect(weights({ text: "dog", strengths })).toEqual({ text: 0.5 });
    expect(weights({ text: "dog", notText: "cat", like: 3, strengths: { notText: 2, like: -0.5 } })).toEqual({
      not_text: -1,
      like: -0.5,
    });
    const all = { text: "dog", balance: 0.25, like: 3, strengths };
    expect(weights(all, { sketch, image: sketch })).toEqual({ text: 0.75, sketch: 0.25, image: 0.5, like: -0.5 });
  });
  it("below zero ask for nothing by themselves", () => {
    expect(requestOf(ask({ like: 3, strengths: { like: -1 } }))).toBeNull();
    expect(requestOf(ask({ strengths: { image: -1 } }, { image: sketch }))).toBeNull();
    expect(requestOf(ask({ like: 3, strengths: { image: -1 } }, { image: sketch }))?.weights).toEqual({ image: -1 });
  });
});

it("includes the last day of a date range", () => {
  expect(serverFilter({ taken_after: "2020-01-01", taken_before: "2020-01-31", orientation: "square" })).toEqual({
    taken_after: "2020-01-01T00:00:00",
    taken_before: "2020-01-31T23:59:59",
    orientation: "square",
  });
});

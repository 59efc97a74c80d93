import { describe, expect, it } from "vitest";
import { BLANK, type Like } from "../app/address";
import { searchForm } from "../server/client";
import { type Ask, requestOf, serverFilter } from "./request";

const like = (id: number): Like => ({ id, against: false, box: null });
const unlike = (id: number): Like => ({ ...like(id), against: true });
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
  it("says what counts as one picture and where it may be, if that is chosen", () => {
    const sent = (changes: Partial<Ask["query"]>) => {
      const request = requestOf(ask({ text: "dog", ...changes }));
      return request && searchForm({ ...request, cursor: null });
    };
    expect(sent({})?.has("collapse")).toBe(false);
    expect(sent({ collapse: "duplicates" })?.get("collapse")).toBe("duplicates");
    expect(sent({})?.has("collections")).toBe(false);
    expect(sent({ everywhere: true })?.get("collections")).toBe("all");
  });

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
      ask(
        {
          text: " dog ",
          notText: "cat",
          likes: [like(5), like(6), { id: 7, against: true, box: [0, 0.25, 0.5, 1] }],
          balance: 0.75,
          filter: { orientation: "square" },
        },
        { sketch },
      ),
    );
    if (!request) throw new Error("nothing to send");
    const form = searchForm({ ...request, cursor: "abc" });
    expect([...form.keys()].sort()).toEqual([
      "cursor",
      "filter",
      "like",
      "like",
      "limit",
      "not_like",
      "not_text",
      "sketch",
      "text",
      "weights",
    ]);
    expect(form.get("text")).toBe("dog");
    expect(form.getAll("like")).toEqual(["5", "6"]);
    expect(form.get("not_like")).toBe("7@0.0000,0.2500,0.5000,1.0000");
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
    const strengths = { level: 0.5, notText: 2, image: 0.5, notLike: 2 };
    expect(weights({ text: "dog", strengths })).toEqual({ text: 0.5 });
    expect(weights({ text: "dog", notText: "cat", likes: [like(3)], strengths: { notText: 2, like: 0.5 } })).toEqual({
      not_text: -1,
      like: 0.5,
    });
    const all = { text: "dog", balance: 0.25, likes: [unlike(3)], strengths };
    expect(weights(all, { sketch, image: sketch })).toEqual({ text: 0.75, sketch: 0.25, image: 0.5, not_like: -1 });
  });
  it("below zero ask for nothing by themselves", () => {
    expect(requestOf(ask({ likes: [unlike(3)] }))).toBeNull();
    expect(requestOf(ask({ strengths: { image: -1 } }, { image: sketch }))).toBeNull();
    expect(requestOf(ask({ likes: [like(3)], strengths: { image: -1 } }, { image: sketch }))?.weights).toEqual({
      image: -1,
    });
  });
});

describe("a date range", () => {
  it("includes its last day, on the clock of the camera", () => {
    expect(serverFilter({ taken_after: "2020-01-01", taken_before: "2020-01-31", orientation: "square" })).toEqual({
      taken_after: "2020-01-01T00:00:00",
      taken_before: "2020-02-01T00:00:00",
      orientation: "square",
    });
  });
  it("of adding is on the clock of this browser", () => {
    const next = new Date("2020-03-02T00:00:00");
    expect(serverFilter({ imported_before: "2020-03-01" })).toEqual({ imported_before: next.toISOString() });
  });
});

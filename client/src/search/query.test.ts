import { describe, expect, it } from "vitest";
import { type Address, BLANK, balanceWeights, formatAddress, parseAddress, serverFilter } from "./query";

describe("the page's address", () => {
  it("brings a whole query back", () => {
    const address: Address = {
      collection: "holidays",
      query: {
        text: "a dog & a cat, 狗",
        notText: "snow",
        balance: 0.25,
        like: 7,
        filter: {
          orientation: "portrait",
          taken_after: "2020-01-01",
          taken_before: "2021-12-31",
          formats: ["JPEG", "PNG"],
        },
      },
      view: 12,
    };
    expect(parseAddress(formatAddress(address))).toEqual(address);
  });

  it("is bare for the start page", () => {
    expect(formatAddress({ collection: null, query: BLANK, view: null })).toBe("");
    expect(parseAddress("")).toEqual({ collection: null, query: BLANK, view: null });
  });

  it("ignores what makes no sense", () => {
    const { query, view } = parseAddress("?balance=lots&like=-1&view=x&shape=round&after=soon&type=<b>");
    expect(query).toEqual(BLANK);
    expect(view).toBeNull();
    expect(parseAddress("?balance=7").query.balance).toBe(1);
  });
});

describe("balance", () => {
  it("leaves the weights to the server in the middle", () => {
    expect(balanceWeights(0.5)).toBeNull();
  });
  it("takes from one part what it gives to the other, around the encoder's own weights", () => {
    expect(balanceWeights(0.25)).toEqual({ text: 1.5, sketch: 0.5 });
    expect(balanceWeights(0.75, { text: 1, sketch: 0.4 })).toEqual({ text: 0.5, sketch: 0.6 });
  });
});

it("includes the last day of a date range", () => {
  expect(serverFilter({ taken_after: "2020-01-01", taken_before: "2020-01-31", orientation: "square" })).toEqual({
    taken_after: "2020-01-01T00:00:00",
    taken_before: "2020-01-31T23:59:59",
    orientation: "square",
  });
});

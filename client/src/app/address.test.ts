import { describe, expect, it } from "vitest";
import { type Address, BLANK, formatAddress, parseAddress } from "./address";

describe("the page's address", () => {
  it("brings a whole query back", () => {
    const address: Address = {
      collection: "holidays",
      query: {
        text: "a dog & a cat, 狗",
        notText: "snow",
        balance: 0.25,
        strengths: { level: 0.5, image: -1.25 },
        likes: [
          { id: 7, against: false, box: null },
          { id: 12, against: true, box: [0.1, 0.25, 0.5, 0.75] },
        ],
        filter: {
          orientation: "portrait",
          taken_after: "2020-01-01",
          taken_before: "2021-12-31",
          formats: ["JPEG", "PNG"],
          folder: "/photos/a & b",
          camera: "5",
          min_width: 800,
          has_location: false,
        },
        sort: "taken",
        collapse: "bursts",
        everywhere: true,
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
    const { query, view } = parseAddress(
      "?balance=lots&like=x,0,3@1_2,4@500_0_200_900&view=x&shape=round&after=soon&type=<b>&strength=level:-1,like:9,notLike:-1,dog:1,image:",
    );
    expect(query).toEqual(BLANK);
    expect(view).toBeNull();
    expect(parseAddress("?balance=7").query.balance).toBe(1);
  });
});

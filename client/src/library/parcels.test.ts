import { describe, expect, it } from "vitest";
import { parcels } from "./parcels";

const sizes = (groups: { size: number }[][]): number[][] => groups.map((group) => group.map((file) => file.size));
const files = (...given: number[]): { size: number }[] => given.map((size) => ({ size }));

describe("an upload", () => {
  it("goes in one request when it fits", () => {
    expect(sizes(parcels(files(3, 3, 4), 10))).toEqual([[3, 3, 4]]);
  });
  it("is divided, in order, where it would pass the limit", () => {
    expect(sizes(parcels(files(6, 5, 5, 1), 10))).toEqual([[6], [5, 5], [1]]);
  });
  it("sends a file beyond the limit alone", () => {
    expect(sizes(parcels(files(1, 40, 1), 10))).toEqual([[1], [40], [1]]);
  });
  it("holds at most 500 files a request", () => {
    expect(parcels(files(...Array<number>(1001).fill(0)), 10).map((group) => group.length)).toEqual([500, 500, 1]);
  });
  it("of nothing is nothing", () => {
    expect(parcels([], 10)).toEqual([]);
  });
});

import { describe, expect, it } from "vitest";
import { distinct } from "./zip";

describe("names in a zip", () => {
  it("stay as they are while they differ", () => {
    expect(distinct(["a.jpg", "b.jpg", "noending"])).toEqual(["a.jpg", "b.jpg", "noending"]);
  });
  it("are numbered where they would cover each other, whatever their case", () => {
    expect(distinct(["a.jpg", "A.jpg", "a (2).jpg", "a.jpg", ".x", ".x"])).toEqual([
      "a.jpg",
      "A (2).jpg",
      "a (2) (2).jpg",
      "a (3).jpg",
      ".x",
      ".x (2)",
    ]);
  });
});

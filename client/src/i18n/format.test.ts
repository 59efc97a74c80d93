import { expect, it } from "vitest";
import { baseName, bytes, duration, pictures, score } from "./format";

it("writes numbers the way people read them", () => {
  expect([pictures(0), pictures(1), pictures(2000)]).toEqual(["0 pictures", "1 picture", "2,000 pictures"]);
  expect([bytes(0), bytes(999), bytes(1500), bytes(64_000_000), bytes(3e12)]).toEqual([
    "0 B",
    "999 B",
    "1.5 kB",
    "64.0 MB",
    "3000.0 GB",
  ]);
  expect([duration(0.2), duration(42), duration(600), duration(7200)]).toEqual(["a moment", "42 s", "10 min", "2.0 h"]);
  expect([score(0.31249), score(-0.1)]).toEqual(["0.312", "-0.100"]);
});

it("names a file by the end of its path", () => {
  expect(baseName("/photos/2020/猫.jpg")).toBe("猫.jpg");
  expect(baseName("C:\\photos\\cat.jpg")).toBe("cat.jpg");
  expect(baseName("cat.jpg")).toBe("cat.jpg");
});

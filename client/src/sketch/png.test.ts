import { inflateSync } from "node:zlib";
import { expect, test } from "vitest";
import { greyPng, greyRows } from "./png";

const rgba = (...greys: number[]): number[] => greys.flatMap((grey) => [grey, grey, grey, 255]);

test("grey pixels become rows that inflate to themselves, in chunks whose sums hold", async () => {
  const rows = greyRows(rgba(0, 128, 255, 7, 8, 9), 3, 2);
  expect([...(rows ?? [])]).toEqual([0, 0, 128, 255, 0, 7, 8, 9]);
  const png = Buffer.from(await (await greyPng(rows as Uint8Array<ArrayBuffer>, 3, 2)).arrayBuffer());
  expect([png.readUInt32BE(16), png.readUInt32BE(20), png[24], png[25]]).toEqual([3, 2, 8, 0]);
  const length = png.readUInt32BE(33);
  expect(png.subarray(37, 41).toString("latin1")).toBe("IDAT");
  expect([...inflateSync(png.subarray(41, 41 + length))]).toEqual([...(rows ?? [])]);
  expect(png.subarray(-12).toString("hex")).toBe("0000000049454e44ae426082"); // as every PNG ends
});

test("a colour anywhere is no grey picture", () => {
  expect(greyRows([...rgba(1, 2), 9, 9, 8, 255, ...rgba(3)], 2, 2)).toBeNull();
});

import { expect, test } from "vitest";
import type { Hit, Picture } from "../server/types";
import { without } from "./stacks";

const picture = (id: number) => ({ id, path: `${id}.jpg` }) as Picture;
const hit = (id: number, ...members: number[]) =>
  ({ ...picture(id), score: 1 / id, members: members.map(picture) }) as unknown as Hit;

test("the next member takes the place of a stack's top", () => {
  const other = hit(5, 6);
  const left = without([hit(1, 2, 3, 4), other], new Set([1, 3]));
  expect(left).toEqual([{ ...hit(2, 4), score: 1 }, other]);
  expect(left[1]).toBe(other);
});

test("a stack is gone with its last picture, and so is what stood alone", () => {
  expect(without([hit(1, 2), hit(3)], new Set([1, 2, 3]))).toEqual([]);
  expect(without([picture(1), picture(2)], new Set([1]))).toEqual([picture(2)]);
});

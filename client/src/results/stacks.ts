/** Hits that stand for several pictures, as searches that collapse make them. No DOM here. */

import type { Hit, Picture } from "../server/types";

/** What was collapsed into a hit. */
export const membersOf = (picture: Hit | Picture): readonly Picture[] => ("members" in picture ? picture.members : []);

/** What is left of an answer; of a stack whose top is gone the next member takes its place. */
export function without<T extends Hit | Picture>(pictures: readonly T[], gone: ReadonlySet<number>): T[] {
  return pictures.flatMap((one) => {
    const members = membersOf(one);
    const left = members.filter(({ id }) => !gone.has(id));
    const top = gone.has(one.id) ? left.shift() : one;
    if (!top) return [];
    return top === one && left.length === members.length ? [one] : [{ ...one, ...top, members: left }];
  });
}

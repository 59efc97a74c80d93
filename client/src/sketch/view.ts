/** Which part of the sheet is seen, and how large. No DOM here. */

import { type Mark, type Point, SIDE } from "./strokes";

/** `scale` 1 shows the whole sheet; `x`, `y` are the sheet units at the upper left corner. */
export interface View {
  scale: number;
  x: number;
  y: number;
}

export const WHOLE: View = { scale: 1, x: 0, y: 0 };
const LARGEST = 8;

/** The same view within the sheet's borders. */
function within({ scale, x, y }: View): View {
  const s = Math.min(LARGEST, Math.max(1, scale));
  const most = SIDE - SIDE / s;
  return s === 1 ? WHOLE : { scale: s, x: Math.min(most, Math.max(0, x)), y: Math.min(most, Math.max(0, y)) };
}

/** The sheet's point at a place of what is seen; `u` and `v` are shares of its width and height. */
export const pointAt = ({ scale, x, y }: View, u: number, v: number): readonly [x: number, y: number] => [
  x + (u * SIDE) / scale,
  y + (v * SIDE) / scale,
];

/** Larger by `factor`, with the sheet's point at (u, v) staying where it is. */
export function zoomed(view: View, factor: number, u = 0.5, v = 0.5): View {
  const scale = Math.min(LARGEST, Math.max(1, view.scale * factor));
  const [x, y] = pointAt(view, u, v);
  return within({ scale, x: x - (u * SIDE) / scale, y: y - (v * SIDE) / scale });
}

/** Moved by shares of what is seen: the sheet follows the hand. */
export const moved = (view: View, du: number, dv: number): View =>
  within({ ...view, x: view.x - (du * SIDE) / view.scale, y: view.y - (dv * SIDE) / view.scale });

type Place = readonly [x: number, y: number, ...rest: unknown[]];

function distance([px, py]: Place, [ax, ay]: Point, [bx, by]: Point): number {
  const [dx, dy] = [bx - ax, by - ay];
  const length = dx * dx + dy * dy;
  const t = length === 0 ? 0 : Math.min(1, Math.max(0, ((px - ax) * dx + (py - ay) * dy) / length));
  return Math.hypot(px - ax - t * dx, py - ay - t * dy);
}

/** The strokes of the pen that come within `radius` of a way between two points, all in sheet units. */
export function touched(marks: readonly Mark[], from: Place, to: Place, radius: number): readonly Mark[] {
  const steps = Math.max(1, Math.ceil(Math.hypot(to[0] - from[0], to[1] - from[1]) / radius));
  const way = Array.from({ length: steps + 1 }, (_, k): Place => {
    const share = k / steps;
    return [from[0] + (to[0] - from[0]) * share, from[1] + (to[1] - from[1]) * share];
  });
  return marks.filter((mark) => {
    if (mark.kind !== "pen") return false;
    const reach = radius + mark.size / 2;
    return mark.points.some((point, k) =>
      way.some((place) => distance(place, mark.points[k - 1] ?? point, point) <= reach),
    );
  });
}

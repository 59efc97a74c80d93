/** Small drawings to start from, made of lines and arcs on the SIDE x SIDE sheet. */

import type { Key } from "../i18n";
import type { Mark, Point, Stroke } from "./strokes";

const STEP = 9; // distance of points along a line, as a hand would give them
const WIDTH = 7;

type Corner = readonly [x: number, y: number];

function pen(points: readonly Corner[]): Stroke {
  return { kind: "pen", size: WIDTH, pressure: false, points: points.map(([x, y]): Point => [x, y, 0.5]) };
}

function line(...corners: Corner[]): Stroke {
  const points: Corner[] = [];
  for (const [i, [x, y]] of corners.entries()) {
    const [fromX, fromY] = corners[i - 1] ?? [x, y];
    const steps = Math.max(1, Math.round(Math.hypot(x - fromX, y - fromY) / STEP));
    for (let k = i === 0 ? steps : 1; k <= steps; k++)
      points.push([fromX + ((x - fromX) * k) / steps, fromY + ((y - fromY) * k) / steps]);
  }
  return pen(points);
}

/** Part of an ellipse; angles in degrees, clockwise from three o'clock. */
function arc(x: number, y: number, rx: number, ry = rx, from = 0, to = 360): Stroke {
  const steps = Math.max(8, Math.round(((Math.abs(to - from) / 360) * 2 * Math.PI * Math.max(rx, ry)) / STEP));
  return pen(
    Array.from({ length: steps + 1 }, (_, k): Corner => {
      const angle = ((from + ((to - from) * k) / steps) * Math.PI) / 180;
      return [x + rx * Math.cos(angle), y + ry * Math.sin(angle)];
    }),
  );
}

const cat: readonly Mark[] = [
  arc(256, 286, 132, 116),
  line([146, 222], [138, 96], [214, 182]),
  line([298, 182], [374, 96], [366, 222]),
  arc(208, 258, 15, 20),
  arc(304, 258, 15, 20),
  line([240, 306], [272, 306], [256, 324], [240, 306]),
  arc(232, 326, 24, 20, 0, 150),
  arc(280, 326, 24, 20, 180, 30),
  line([190, 314], [82, 294]),
  line([190, 330], [84, 346]),
  line([322, 314], [430, 294]),
  line([322, 330], [428, 346]),
];

const boat: readonly Mark[] = [
  line([92, 330], [420, 330], [358, 404], [150, 404], [92, 330]),
  line([250, 330], [250, 84]),
  line([266, 98], [266, 302], [396, 302], [266, 98]),
  line([234, 138], [234, 302], [130, 302], [234, 138]),
  arc(100, 440, 34, 12, 180, 360),
  arc(180, 440, 34, 12, 180, 360),
  arc(332, 440, 34, 12, 180, 360),
  arc(412, 440, 34, 12, 180, 360),
];

const car: readonly Mark[] = [
  line([56, 340], [60, 270], [142, 252], [196, 176], [344, 176], [396, 252], [452, 270], [456, 340], [410, 340]),
  line([102, 340], [56, 340]),
  line([196, 340], [316, 340]),
  arc(149, 342, 46),
  arc(149, 342, 18),
  arc(363, 342, 46),
  arc(363, 342, 18),
  line([164, 252], [206, 196], [262, 196], [262, 252], [164, 252]),
  line([280, 252], [280, 196], [336, 196], [372, 252], [280, 252]),
];

const plane: readonly Mark[] = [
  line([60, 250], [96, 226], [380, 226], [446, 150], [470, 150], [450, 262], [400, 286], [100, 286], [60, 250]),
  line([226, 226], [286, 122], [316, 122], [304, 226]),
  line([206, 286], [270, 396], [302, 396], [292, 286]),
  arc(150, 254, 9),
  arc(190, 254, 9),
  arc(230, 254, 9),
  arc(330, 254, 9),
];

const pizza: readonly Mark[] = [
  arc(256, 256, 180),
  arc(256, 256, 152),
  arc(198, 196, 26),
  arc(312, 190, 26),
  arc(250, 272, 26),
  arc(178, 306, 26),
  arc(326, 312, 26),
];

const tree: readonly Mark[] = [
  arc(170, 236, 66, 60, 60, 262),
  arc(206, 150, 74, 66, 168, 318),
  arc(312, 152, 74, 66, 222, 376),
  arc(346, 236, 66, 60, 282, 480),
  line([200, 288], [228, 278], [240, 300], [234, 410], [206, 440]),
  line([318, 288], [290, 278], [276, 300], [284, 410], [312, 440]),
  line([166, 442], [350, 442]),
];

export interface Example {
  name: Extract<Key, `example.${string}`>;
  marks: readonly Mark[];
  /** A query, hence in the language that the model knows. */
  text: string;
}

export const EXAMPLES: readonly Example[] = [
  { name: "example.plane", marks: plane, text: "" },
  { name: "example.boat", marks: boat, text: "on the sea" },
  { name: "example.words", marks: [], text: "people at a table" },
  { name: "example.pizza", marks: pizza, text: "" },
  { name: "example.words", marks: [], text: "a dog in the snow" },
  { name: "example.cat", marks: cat, text: "" },
  { name: "example.tree", marks: tree, text: "in the snow" },
  { name: "example.car", marks: car, text: "" },
];

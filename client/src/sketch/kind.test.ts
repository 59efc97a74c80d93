import { describe, expect, it } from "vitest";
import { kindOf } from "./kind";

const SIDE = 96;
type Colour = readonly [red: number, green: number, blue: number, alpha?: number];

/** What lies at each point of a small picture -> what `kindOf` takes it for. */
function seen(colourAt: (x: number, y: number) => Colour): string {
  const pixels = new Uint8ClampedArray(4 * SIDE * SIDE);
  for (let k = 0; k < SIDE * SIDE; k++) {
    const [red, green, blue, alpha = 255] = colourAt(k % SIDE, Math.floor(k / SIDE));
    pixels.set([red, green, blue, alpha], 4 * k);
  }
  return kindOf(pixels, SIDE, SIDE);
}
const ring = (x: number, y: number): boolean => Math.abs(Math.hypot(x - 48, y - 48) - 30) < 1.2;
const grey = (level: number): Colour => [level, level, level];

describe("a drawing", () => {
  it("is dark lines on white, or on nothing", () => {
    expect(seen((x, y) => grey(ring(x, y) ? 0 : 255))).toBe("drawing");
    expect(seen((x, y) => (ring(x, y) ? [0, 0, 0] : [0, 0, 0, 0]))).toBe("drawing");
    expect(seen(() => grey(255))).toBe("drawing");
  });

  it("may be photographed from paper, in one coloured ink", () => {
    expect(seen((x, y) => grey(ring(x, y) ? 70 : 205 + 10 * (x / SIDE)))).toBe("drawing");
    expect(seen((x, y) => (ring(x, y) && y < 30 ? [20, 40, 150] : grey(250)))).toBe("drawing");
  });
});

describe("a photo", () => {
  it("has shades", () => {
    expect(seen((x, y) => grey(120 + x + y / 3))).toBe("photo");
    expect(seen((x, y) => grey(150 + 100 * Math.sin(x / 9) * Math.cos(y / 7)))).toBe("photo");
  });

  it("has areas and colours, also before a white wall", () => {
    expect(seen((x, y) => (Math.hypot(x - 48, y - 48) < 32 ? [180, 90, 30] : grey(255)))).toBe("photo");
    expect(seen((x, y) => (Math.hypot(x - 48, y - 48) < 32 ? grey(60 + x) : grey(255)))).toBe("photo");
  });

  it("may be dark, or bright lines on a dark ground", () => {
    expect(seen(() => grey(20))).toBe("photo");
    expect(seen((x, y) => grey(ring(x, y) ? 255 : 10))).toBe("photo");
  });
});

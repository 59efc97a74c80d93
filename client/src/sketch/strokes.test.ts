import { describe, expect, it } from "vitest";
import { change, type Drawing, EMPTY, isBlank, type Mark } from "./strokes";

const stroke = (x: number, kind: "pen" | "eraser" = "pen"): Mark => ({
  kind,
  size: 6,
  pressure: false,
  points: [[x, 1, 0.5]],
});
const drawn = (...marks: Mark[]): Drawing => marks.reduce((sheet, mark) => change(sheet, { type: "add", mark }), EMPTY);

describe("history of a drawing", () => {
  it("undoes and redoes stroke by stroke", () => {
    const sheet = drawn(stroke(1), stroke(2));
    const back = change(sheet, { type: "undo" });
    expect(back.marks).toEqual([stroke(1)]);
    expect(change(back, { type: "redo" }).marks).toEqual(sheet.marks);
  });

  it("brings a cleared drawing back with one undo", () => {
    const sheet = drawn(stroke(1), stroke(2));
    const cleared = change(sheet, { type: "clear" });
    expect(cleared.marks).toEqual([]);
    expect(change(cleared, { type: "undo" }).marks).toEqual(sheet.marks);
  });

  it("forgets what was undone once something new is drawn", () => {
    const branched = change(change(drawn(stroke(1)), { type: "undo" }), { type: "add", mark: stroke(3) });
    expect(change(branched, { type: "redo" })).toBe(branched);
    expect(branched.marks).toEqual([stroke(3)]);
  });

  it("does nothing at either end of the history", () => {
    expect(change(EMPTY, { type: "undo" })).toBe(EMPTY);
    expect(change(EMPTY, { type: "redo" })).toBe(EMPTY);
    expect(change(EMPTY, { type: "clear" })).toBe(EMPTY);
  });

  it("keeps a bounded number of steps", () => {
    const sheet = drawn(...Array.from({ length: 260 }, (_, i) => stroke(i)));
    expect(sheet.marks).toHaveLength(260);
    expect(sheet.past).toHaveLength(200);
  });
});

describe("a sheet", () => {
  it("is blank without marks or with eraser marks only", () => {
    expect(isBlank([])).toBe(true);
    expect(isBlank([stroke(1, "eraser")])).toBe(true);
    expect(isBlank([stroke(1, "eraser"), stroke(1)])).toBe(false);
  });
});

import { describe, expect, it } from "vitest";
import type { Mark } from "../sketch/strokes";
import { BLANK, parseAddress } from "./address";
import { addressOf, entryFor, type Page, pageAt, turn } from "./question";

const mark: Mark = { kind: "pen", size: 7, pressure: false, points: [[1, 2, 0.5]] };
const start = pageAt(parseAddress("?in=holidays&q=dog&shape=square"));
const drawn = turn(start, { type: "draw", change: { type: "add", mark } });
const image = new File(["x"], "cat.jpg");
const marks = (page: Page): readonly Mark[] => page.question.drawing.marks;

describe("the page", () => {
  it("begins at its address and can tell it again", () => {
    expect(start.question).toMatchObject({ text: "dog", filter: { orientation: "square" }, image: null });
    expect(addressOf(start)).toEqual(parseAddress("?in=holidays&q=dog&shape=square"));
  });

  it("changes one part of the question and leaves the others", () => {
    const page = turn(drawn, { type: "ask", parts: { notText: "snow", image } });
    expect(page.question).toMatchObject({ text: "dog", notText: "snow", image });
    expect(marks(page)).toEqual([mark]);
  });

  it("is the same page when a step changes nothing", () => {
    expect(turn(start, { type: "draw", change: { type: "undo" } })).toBe(start);
  });

  it("asks for more like a picture, and for that alone; one undo brings the drawing back", () => {
    const page = turn(turn(drawn, { type: "view", id: 7 }), { type: "like", id: 7 });
    expect(addressOf(page)).toEqual({ collection: "holidays", view: null, query: { ...BLANK, like: 7 } });
    expect(marks(page)).toEqual([]);
    expect(marks(turn(page, { type: "draw", change: { type: "undo" } }))).toEqual([mark]);
  });

  it("starts from an example, and from nothing", () => {
    const page = turn(turn(start, { type: "ask", parts: { image } }), {
      type: "start",
      marks: [mark, mark],
      text: "sea",
    });
    expect(page.question).toMatchObject({ text: "sea", image: null, filter: {} });
    expect(marks(page)).toHaveLength(2);
    expect(turn(page, { type: "blank" }).question).toMatchObject({ ...BLANK, image: null });
  });

  it("takes no picture of one collection for a picture of another", () => {
    const page = turn(pageAt(parseAddress("?in=a&q=dog&like=3&view=4")), { type: "collection", name: "b" });
    expect(addressOf(page)).toEqual(parseAddress("?in=b&q=dog"));
  });

  it("keeps the drawing when the browser goes back", () => {
    const page = turn(drawn, { type: "arrive", address: parseAddress("?q=cat") });
    expect(addressOf(page)).toEqual(parseAddress("?q=cat"));
    expect(marks(page)).toEqual([mark]);
  });

  it("adds an entry to the history only where the viewer opens", () => {
    const viewing = turn(start, { type: "view", id: 1 });
    expect(entryFor(start, viewing)).toBe("push");
    expect(entryFor(viewing, turn(viewing, { type: "view", id: 2 }))).toBe("replace");
    expect(entryFor(start, drawn)).toBe("replace");
  });
});

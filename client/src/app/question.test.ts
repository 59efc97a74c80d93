import { describe, expect, it } from "vitest";
import { EMPTY, type Mark } from "../sketch/strokes";
import { BLANK, type Like, parseAddress } from "./address";
import { addressOf, entryFor, isBlankQuestion, type Page, pageAt, type Step, turn } from "./question";

const mark: Mark = { kind: "pen", size: 7, pressure: false, points: [[1, 2, 0.5]] };
const start = pageAt(parseAddress("?in=holidays&q=dog&shape=square"));
const drawn = turn(start, { type: "draw", change: { type: "add", mark } });
const image = new File(["x"], "cat.jpg");
const like = (id: number): Like => ({ id, against: false, box: null });
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
    expect(turn(start, { type: "rest" })).toBe(start);
  });

  it("asks for more like a picture, and for that alone; one undo brings the drawing back", () => {
    const page = turn(turn(drawn, { type: "view", id: 7 }), { type: "like", ids: [7] });
    expect(addressOf(page)).toEqual({ collection: "holidays", view: null, query: { ...BLANK, likes: [like(7)] } });
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
    const blank = turn(page, { type: "blank" });
    expect(blank.question).toMatchObject({ ...BLANK, image: null });
    expect([page, blank].map(({ question }) => isBlankQuestion(question))).toEqual([false, true]);
  });

  it("takes a photo for a drawing and a drawing for a photo when it is told so", () => {
    const pasted: Mark = { kind: "picture", src: "data:image/png;base64,AA==" };
    const sheet = turn(turn(drawn, { type: "ask", parts: { image } }), { type: "toSheet", mark: pasted });
    expect(marks(sheet)).toEqual([mark, pasted]);
    expect(sheet.question.image).toBeNull();
    const back = turn(sheet, { type: "toPicture", mark: pasted, image });
    expect(marks(back)).toEqual([mark]);
    expect(back.question.image).toBe(image);
  });

  it("forgets with a picture how strongly it counted", () => {
    const strengths = { level: 0.5, image: -1 };
    const page = turn(start, { type: "ask", parts: { image, strengths } });
    expect(page.question.strengths).toEqual(strengths);
    expect(turn(page, { type: "ask", parts: { text: "cat" } }).question.strengths).toEqual(strengths);
    expect(turn(page, { type: "ask", parts: { image: null } }).question.strengths).toEqual({ level: 0.5 });
  });

  it("gathers pictures that hits should resemble or not, each once, and parts of them", () => {
    const box = [0, 0, 0.5, 0.5] as const;
    const also = (page: Page, wanted: Like): Page => turn(page, { type: "also", like: wanted });
    const page = [like(3), like(4), { ...like(3), box }, { ...like(4), against: true }].reduce(also, start);
    expect(page.question.likes).toEqual([like(3), { ...like(4), against: true }, { ...like(3), box }]);
    expect(page.question.text).toBe("dog");
  });

  it("takes no picture of one collection for a picture of another", () => {
    const page = turn(pageAt(parseAddress("?in=a&q=dog&like=3&view=4")), { type: "collection", name: "b" });
    expect(addressOf(page)).toEqual(parseAddress("?in=b&q=dog"));
  });

  it("is as it was when the browser goes back: with the drawing of then, or without one", () => {
    const address = parseAddress("?q=cat");
    const held = { drawing: { ...EMPTY, marks: [mark] }, image };
    const page = turn(turn(start, { type: "like", ids: [7] }), { type: "arrive", address, held });
    expect(addressOf(page)).toEqual(address);
    expect(page.question).toMatchObject(held);
    expect(marks(turn(drawn, { type: "arrive", address, held: null }))).toEqual([]);
  });
});

describe("the history", () => {
  const draw: Step = { type: "draw", change: { type: "add", mark } };
  const say = (text: string): Step => ({ type: "ask", parts: { text } });
  /** The entries that steps leave behind, "push" where a new one began. */
  const entries = (...steps: Step[]): string[] => {
    let page = start;
    return steps.map((step) => {
      const before = page;
      page = turn(page, step);
      return entryFor(before, page);
    });
  };

  it("has one entry for strokes in a row, and one for words", () => {
    expect(entries(draw, draw, say("a"), say("ab"), draw)).toEqual(["push", "replace", "push", "replace", "push"]);
  });

  it("begins another entry once a thought is finished", () => {
    expect(entries(say("a"), { type: "rest" }, say("b"))).toEqual(["push", "replace", "push"]);
  });

  it("has an entry for each question of its own, and for the viewer, not for each picture in it", () => {
    const view = (id: number | null): Step => ({ type: "view", id });
    expect(entries({ type: "like", ids: [1] }, { type: "like", ids: [2] }, { type: "blank" })).toEqual(
      Array(3).fill("push"),
    );
    expect(entries(view(1), view(2), view(null), draw)).toEqual(["push", "replace", "replace", "push"]);
  });

  it("gets no entry by going through it", () => {
    expect(entries(draw, { type: "arrive", address: parseAddress("?q=cat"), held: null })).toEqual(["push", "replace"]);
  });
});

/** The page as one value, changed in one place: the question, and where one is in the library. No DOM here. */

import { type Change, change, type Drawing, EMPTY, type Mark } from "../sketch/strokes";
import { type Address, BLANK, type Query } from "./address";

/** All that is asked: the words and filters of the address, and what an address cannot hold. */
export interface Question extends Query {
  drawing: Drawing;
  /** A picture file that hits should resemble. */
  image: File | null;
}

export interface Page {
  collection: string | null;
  /** Id of the picture that the viewer shows. */
  view: number | null;
  question: Question;
}

export type Step =
  | { type: "draw"; change: Change }
  | { type: "ask"; parts: Partial<Omit<Question, "drawing">> }
  /** A question of its own: what resembles a stored picture. */
  | { type: "like"; id: number }
  /** A question of its own: an example's drawing and words. */
  | { type: "start"; marks: readonly Mark[]; text: string }
  | { type: "blank" }
  | { type: "view"; id: number | null }
  | { type: "collection"; name: string }
  /** The browser went back or forward to another address. */
  | { type: "arrive"; address: Address };

export const pageAt = ({ collection, query, view }: Address, drawing: Drawing = EMPTY): Page => ({
  collection,
  view,
  question: { ...query, drawing, image: null },
});

export const addressOf = ({ collection, view, question }: Page): Address => {
  const { drawing: _, image: __, ...query } = question;
  return { collection, query, view };
};

/** The page after a step. A cleared sheet comes back with one undo. */
export function turn(page: Page, step: Step): Page {
  const { question } = page;
  const fresh = (marks: readonly Mark[], query: Partial<Query>): Question => ({
    ...BLANK,
    ...query,
    image: null,
    drawing: change(question.drawing, marks.length > 0 ? { type: "load", marks } : { type: "clear" }),
  });
  switch (step.type) {
    case "draw": {
      const drawing = change(question.drawing, step.change);
      return drawing === question.drawing ? page : { ...page, question: { ...question, drawing } };
    }
    case "ask":
      return { ...page, question: { ...question, ...step.parts } };
    case "like":
      return { ...page, view: null, question: fresh([], { like: step.id }) };
    case "start":
      return { ...page, question: fresh(step.marks, { text: step.text }) };
    case "blank":
      return { ...page, question: fresh([], {}) };
    case "view":
      return { ...page, view: step.id };
    case "collection": // the ids of another collection mean other pictures
      return { collection: step.name, view: null, question: { ...question, like: null } };
    case "arrive": {
      const { collection, view, query } = step.address;
      return { collection, view, question: { ...question, ...query } };
    }
  }
}

/** Opening the viewer adds an entry to the history, so that Back closes it; everything else replaces the present one. */
export const entryFor = (before: Page, after: Page): "push" | "replace" =>
  before.view === null && after.view !== null ? "push" : "replace";

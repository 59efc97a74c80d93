/** The page as one value, changed in one place: the question, and where one is in the library. No DOM here. */

import { type Change, change, type Drawing, EMPTY, type Mark } from "../sketch/strokes";
import { type Address, BLANK, type Box, type Like, MOST_LIKES, type Query, type Strengths } from "./address";

/** All that is asked: the words and filters of the address, and what an address cannot hold. */
export interface Question extends Query {
  drawing: Drawing;
  /** A picture file that hits should resemble. */
  image: File | null;
}

/** What of the question was changed last: changes in a row of the same kind are one entry of the history. */
export type Hand = "words" | "without" | "sheet" | "weights" | "filters" | "order" | "pictures" | "whole";

export interface Page {
  collection: string | null;
  /** Id of the picture that the viewer shows. */
  view: number | null;
  question: Question;
  /** Null where the next change begins an entry of its own. */
  hand: Hand | null;
}

/** What an entry of the history holds beside its address. */
export type Held = Pick<Question, "drawing" | "image">;

export type Step =
  | { type: "draw"; change: Change }
  /** Changes parts of the question. A picture among them closes the viewer: its answer is what one wants to see. */
  | { type: "ask"; parts: Partial<Omit<Question, "drawing">> }
  /** A question of its own: what resembles stored pictures, or a part of one; of another `collection`, where they are of that. */
  | { type: "like"; ids: readonly number[]; box?: Box; collection?: string | undefined }
  /** One more stored picture in the question, or one that is there already, as it counts now. */
  | { type: "also"; like: Like }
  /** What was taken for a photo is a drawing. */
  | { type: "toSheet"; mark: Mark }
  /** What was taken for a drawing, and lies on the sheet, is a photo. */
  | { type: "toPicture"; mark: Mark; image: File }
  /** A question of its own: an example's drawing and words. */
  | { type: "start"; marks: readonly Mark[]; text: string }
  /** A question of its own: one that was asked before. */
  | { type: "repeat"; query: Query; held: Held }
  | { type: "blank" }
  /** A thought is finished: the next change is another question. */
  | { type: "rest" }
  | { type: "view"; id: number | null }
  | { type: "collection"; name: string }
  /** The browser went back or forward to another entry; `held` is null where nothing is known of it but its address. */
  | { type: "arrive"; address: Address; held: Held | null };

export const pageAt = ({ collection, query, view }: Address, held: Held = { drawing: EMPTY, image: null }): Page => ({
  collection,
  view,
  question: { ...query, ...held },
  hand: null,
});

export const addressOf = ({ collection, view, question }: Page): Address => {
  const { drawing: _, image: __, ...query } = question;
  return { collection, query, view };
};

/** Nothing is asked and nothing is on the sheet. */
export const isBlankQuestion = ({ text, notText, likes, image, filter, drawing }: Question): boolean =>
  text === "" &&
  notText === "" &&
  likes.length === 0 &&
  image === null &&
  drawing.marks.length === 0 &&
  Object.keys(filter).length === 0;

function handOf(parts: Partial<Question>): Hand {
  if ("image" in parts || "likes" in parts) return "pictures";
  if ("text" in parts) return "words";
  if ("notText" in parts) return "without";
  if ("sort" in parts) return "order";
  return "filter" in parts || "collapse" in parts || "everywhere" in parts ? "filters" : "weights";
}

/** A picture that is changed does not inherit how strongly, or against what, the one before counted. */
function weighedAnew(strengths: Strengths, { image }: Partial<Question>): Strengths {
  if (image === undefined) return strengths;
  const { image: _, ...rest } = strengths;
  return rest;
}

/** The picture in the place where it, or this part of it, stood before, or behind the others. */
function withLike(likes: readonly Like[], like: Like): readonly Like[] {
  const same = (other: Like): boolean => other.id === like.id && String(other.box) === String(like.box);
  return likes.some(same) ? likes.map((other) => (same(other) ? like : other)) : [...likes, like].slice(-MOST_LIKES);
}

/** The page after a step. A cleared sheet comes back with one undo. */
export function turn(page: Page, step: Step): Page {
  const { question } = page;
  const fresh = (marks: readonly Mark[], query: Partial<Query>): Page => {
    const drawing = change(question.drawing, marks.length > 0 ? { type: "load", marks } : { type: "clear" });
    return { ...page, question: { ...BLANK, ...query, image: null, drawing }, hand: "whole" };
  };
  switch (step.type) {
    case "draw": {
      const drawing = change(question.drawing, step.change);
      return drawing === question.drawing ? page : { ...page, question: { ...question, drawing }, hand: "sheet" };
    }
    case "ask": {
      const { image, strengths = weighedAnew(question.strengths, step.parts) } = step.parts;
      const shown = image !== undefined;
      const asked = { ...question, ...step.parts, strengths };
      return { ...page, view: shown ? null : page.view, question: asked, hand: handOf(step.parts) };
    }
    case "like":
      return {
        ...fresh([], {
          likes: step.ids.map((id) => ({ id, against: false, box: step.box ?? null })),
          collapse: question.collapse,
          everywhere: question.everywhere,
        }),
        ...(step.collection !== undefined && { collection: step.collection }),
        view: null,
      };
    case "also":
      return {
        ...page,
        view: null,
        question: { ...question, likes: withLike(question.likes, step.like) },
        hand: "pictures",
      };
    case "toSheet": {
      const drawing = change(question.drawing, { type: "add", mark: step.mark });
      return { ...page, question: { ...question, drawing, image: null }, hand: "pictures" };
    }
    case "toPicture": {
      const marks = question.drawing.marks.filter((mark) => mark !== step.mark);
      const drawing = change(question.drawing, { type: "load", marks });
      return {
        ...page,
        question: {
          ...question,
          drawing,
          image: step.image,
          strengths: weighedAnew(question.strengths, { image: null }),
        },
        hand: "pictures",
      };
    }
    case "start":
      return fresh(step.marks, { text: step.text });
    case "repeat":
      return { ...page, view: null, question: { ...step.query, ...step.held }, hand: "whole" };
    case "blank":
      return fresh([], {});
    case "rest":
      return page.hand === null ? page : { ...page, hand: null };
    case "view":
      return { ...page, view: step.id, hand: null };
    case "collection": // the ids of another collection mean other pictures
      return { collection: step.name, view: null, question: { ...question, likes: [] }, hand: "whole" };
    case "arrive": {
      const { collection, view, query } = step.address;
      const held = step.held ?? { drawing: EMPTY, image: null };
      return { collection, view, question: { ...query, ...held }, hand: null };
    }
  }
}

/**
 * Each question has an entry in the history, and so has the viewer, so that Back leads through them. Changes of the same kind in a row
 * (stroke after stroke, letter after letter) replace the entry that the first of them began.
 */
export function entryFor(before: Page, after: Page): "push" | "replace" {
  if (before.view === null && after.view !== null) return "push";
  if (before.question === after.question || after.hand === null) return "replace";
  return after.hand === "whole" || after.hand !== before.hand ? "push" : "replace";
}

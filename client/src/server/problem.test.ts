import { describe, expect, it } from "vitest";
import { asProblem, noAnswer, problemOf } from "./problem";

describe("an answer that is an error", () => {
  it("is read as the problem document that it is", () => {
    const body = JSON.stringify({
      title: "Not found",
      status: 404,
      detail: "There is no picture 7.",
      code: "not_found",
    });
    expect(problemOf(404, body, null)).toMatchObject({
      status: 404,
      code: "not_found",
      message: "There is no picture 7.",
      retryAfter: null,
      away: false,
      word: null,
    });
  });

  it("points at the word that it is about", () => {
    const body = JSON.stringify({
      detail: "“after:soon” is no date.",
      code: "unreadable_query",
      position: 4,
      length: 10,
    });
    expect(problemOf(400, body, null).word).toEqual({ position: 4, length: 10 });
  });

  it("may come from a server that names no code, or from the reference's routes", () => {
    expect(problemOf(409, '{"title": "Conflict", "detail": "", "status": 409}', null)).toMatchObject({
      code: "",
      message: "Conflict",
    });
    expect(problemOf(422, '{"status": false, "msg": "No such table."}', null).message).toBe("No such table.");
  });

  it("may be a gateway's page, or nothing at all", () => {
    expect(problemOf(502, "<html>Bad gateway</html>", null)).toMatchObject({
      code: "gateway",
      message: "",
      away: true,
    });
    expect(problemOf(500, "[]", null)).toMatchObject({ code: "status", away: false });
    expect(noAnswer()).toMatchObject({ status: 0, away: true });
  });

  it("says when asking again makes sense", () => {
    expect(problemOf(503, '{"detail": "Milvus is away.", "code": "store_unavailable"}', "5")).toMatchObject({
      retryAfter: 5,
      away: true,
    });
    expect(problemOf(503, "", "Wed, 21 Oct 2026 07:28:00 GMT").retryAfter).toBeNull();
  });
});

it("makes a problem of whatever was thrown", () => {
  const known = noAnswer();
  expect(asProblem(known)).toBe(known);
  expect(asProblem(new TypeError("odd")).message).toBe("odd");
  expect(asProblem("odd").message).toBe("odd");
});

import { describe, expect, it } from "vitest";
import { byDate } from "./dates";

const picture = (taken_at: string | null, created_at = "2026-01-02T12:00:00Z") => ({ taken_at, created_at });
const titles = (items: ReturnType<typeof picture>[]) => byDate(items, (key, by) => `${by} ${key}`);
const many = (count: number, taken: string | null, created?: string) =>
  Array.from({ length: count }, () => picture(taken, created));

describe("dates of a list", () => {
  it("are the months in which its pictures were taken", () => {
    const sections = titles([...many(9, "2024-05-31T23:59:00Z"), ...many(7, "2024-04-01T00:00:00Z")]);
    expect(sections.map(({ title, items }) => [title, items.length])).toEqual([
      ["month 2024-05", 9],
      ["month 2024-04", 7],
    ]);
  });
  it("are the days of adding where nobody knows when they were taken", () => {
    const sections = titles([...many(2, null, "2026-01-03T12:00:00Z"), ...many(3, null, "2026-01-02T12:00:00Z")]);
    expect(sections.map(({ title, items }) => [title, items.length])).toEqual([
      ["day 2026-01-03", 2],
      ["day 2026-01-02", 3],
    ]);
  });
  it("are the days of adding where months are mixed", () => {
    const mixed = Array.from({ length: 60 }, (_, index) => picture(`20${10 + (index % 9)}-05-01T00:00:00Z`));
    expect(titles(mixed).map(({ title }) => title)).toEqual(["day 2026-01-02"]);
  });
  it("lose no picture and change no order", () => {
    const items = [...many(7, "2024-05-01T00:00:00"), ...many(1, null), ...many(8, "2023-01-01T00:00:00")];
    expect(titles(items).flatMap((section) => section.items)).toEqual(items);
    expect(byDate([], String)).toEqual([]);
  });
});

import { describe, expect, it } from "vitest";
import { merged, progress } from "./jobs";
import type { Job } from "./types";

const job = (changes: Partial<Job>): Job => ({
  id: 1,
  collection: "c",
  kind: "import",
  source: "/photos",
  cancelling: false,
  state: "running",
  total: null,
  done: 0,
  skipped: 0,
  failed: 0,
  rate: 0,
  eta_s: null,
  message: null,
  created_at: "2026-01-01T00:00:00Z",
  started_at: null,
  finished_at: null,
  ...changes,
});

describe("progress of a job", () => {
  it("is unknown until the pictures are counted", () => {
    expect(progress(job({ done: 3 }))).toBeNull();
    expect(progress(job({ total: 0 }))).toBeNull();
  });
  it("counts what is behind us, well or badly", () => {
    expect(progress(job({ total: 10, done: 4, skipped: 3, failed: 1 }))).toBe(0.8);
    expect(progress(job({ total: 2, done: 4 }))).toBe(1);
  });
  it("is whole when the job is done, even of nothing", () => {
    expect(progress(job({ state: "done", total: 0 }))).toBe(1);
  });
});

describe("what is known of jobs", () => {
  const ids = (jobs: readonly Job[]): [number, number][] => jobs.map(({ id, done }) => [id, done]);

  it("is put together, the newest first", () => {
    expect(ids(merged([job({ id: 2 })], [job({ id: 3 }), job({ id: 1 })]))).toEqual([
      [3, 0],
      [2, 0],
      [1, 0],
    ]);
  });
  it("never steps back, whichever answer comes last", () => {
    expect(ids(merged([job({ done: 5 })], [job({ done: 3 })]))).toEqual([[1, 5]]);
    expect(ids(merged([job({ done: 3 })], [job({ done: 5 })]))).toEqual([[1, 5]]);
    const over = job({ state: "done", done: 5 });
    expect(merged([over], [job({ done: 9 })])).toEqual([over]);
  });
});

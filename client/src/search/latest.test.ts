import { describe, expect, it } from "vitest";
import { Latest } from "./latest";

/** A task whose end the test decides. */
function controlled<T>() {
  let signal: AbortSignal | undefined;
  let resolve: (value: T) => void = () => {};
  let reject: (error: Error) => void = () => {};
  const promise = new Promise<T>((keep, fail) => {
    resolve = keep;
    reject = fail;
  });
  const task = (given: AbortSignal): Promise<T> => {
    signal = given;
    return promise;
  };
  return { task, resolve, reject, aborted: () => signal?.aborted };
}

describe("Latest", () => {
  it("drops an answer that arrives after a later request was made", async () => {
    const latest = new Latest();
    const [slow, quick] = [controlled<string>(), controlled<string>()];
    const first = latest.run(slow.task);
    const second = latest.run(quick.task);
    expect(slow.aborted()).toBe(true);
    quick.resolve("new");
    slow.resolve("old");
    expect(await first).toBeUndefined();
    expect(await second).toBe("new");
  });

  it("drops the error of an overtaken request and passes on that of the latest", async () => {
    const latest = new Latest();
    const [overtaken, current] = [controlled<string>(), controlled<string>()];
    const first = latest.run(overtaken.task);
    const second = latest.run(current.task);
    overtaken.reject(new Error("aborted"));
    current.reject(new Error("no server"));
    expect(await first).toBeUndefined();
    await expect(second).rejects.toThrow("no server");
  });

  it("gives nothing after cancel", async () => {
    const latest = new Latest();
    const task = controlled<string>();
    const result = latest.run(task.task);
    latest.cancel();
    task.resolve("late");
    expect(await result).toBeUndefined();
  });
});

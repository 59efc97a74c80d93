/** Jobs of the server, as they move on. */

import { useCallback, useEffect, useRef, useState } from "react";
import { api, Problem } from "../api/client";
import type { Job } from "../api/types";

const POLL_MS = 1000;

export const isOver = (job: Job): boolean =>
  job.state === "done" || job.state === "failed" || job.state === "cancelled";

const isJob = (value: unknown): value is Job =>
  typeof value === "object" && value !== null && "id" in value && "state" in value && "done" in value;

/** Share of the work behind us, 0..1, or null while the total is unknown. */
export function progress(job: Job): number | null {
  if (job.state === "done") return 1;
  if (!job.total) return null;
  return Math.min(1, (job.done + job.skipped + job.failed) / job.total);
}

/**
 * Reports a job until it is over: by server-sent events, and by asking once a second where those do not come through.
 * Returns the way to stop.
 */
export function watchJob(id: number, report: (job: Job) => void, lost: (problem: Problem) => void): () => void {
  let stopped = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let events: EventSource | null = null;

  const stop = (): void => {
    stopped = true;
    clearTimeout(timer);
    events?.close();
  };
  const deliver = (job: Job): void => {
    if (stopped) return;
    if (isOver(job)) {
      // The last word comes from the job itself: it lists the failures.
      stop();
      api.job(id).then(report, () => report(job));
    } else report(job);
  };
  const poll = async (): Promise<void> => {
    if (stopped) return;
    try {
      deliver(await api.job(id));
    } catch (error) {
      if (error instanceof Problem && (error.status === 404 || error.status === 401)) {
        stop();
        lost(error);
        return;
      }
    }
    if (!stopped) timer = setTimeout(poll, POLL_MS);
  };
  const onEvent = (event: MessageEvent<string>): void => {
    try {
      const job: unknown = JSON.parse(event.data);
      if (isJob(job)) deliver(job);
    } catch {
      // A comment or a keep-alive of a proxy.
    }
  };

  events = api.jobEvents(id);
  for (const name of ["message", "progress", "job", "done"]) events.addEventListener(name, onEvent as EventListener);
  events.onerror = () => {
    events?.close();
    events = null;
    if (!stopped) void poll();
  };
  return stop;
}

export interface Jobs {
  jobs: readonly Job[];
  running: readonly Job[];
  /** Looks for jobs that others started: the command line, another tab, the server itself at its first start. */
  look: () => void;
  /** Follow a job that was just started. */
  add: (job: Job) => void;
  cancel: (id: number) => Promise<void>;
  dismiss: (id: number) => void;
  /** Loads the failures of a job, or more of them. */
  inspect: (job: Job) => void;
}

/** All recent jobs, newest first; `onProgress` hears of each step. */
export function useJobs(onProgress: (job: Job) => void): Jobs {
  const [jobs, setJobs] = useState<readonly Job[]>([]);
  const watched = useRef(new Map<number, () => void>());
  const listener = useRef(onProgress);
  useEffect(() => {
    listener.current = onProgress;
  }, [onProgress]);

  const put = useCallback((job: Job) => {
    setJobs((now) => {
      const rest = now.filter((other) => other.id !== job.id);
      return [...rest, job].sort((a, b) => b.id - a.id);
    });
  }, []);

  const follow = useCallback(
    (job: Job) => {
      put(job);
      if (isOver(job) || watched.current.has(job.id)) return;
      const stop = watchJob(
        job.id,
        (moved) => {
          put(moved);
          if (isOver(moved)) watched.current.delete(moved.id);
          listener.current(moved);
        },
        () => watched.current.delete(job.id),
      );
      watched.current.set(job.id, stop);
    },
    [put],
  );

  const seen = useRef(new Set<number>());
  const look = useCallback(() => {
    api.jobs().then(
      (found) => {
        for (const job of found) {
          // What is over is listed once: a hidden one stays hidden.
          if (isOver(job) && seen.current.has(job.id)) continue;
          seen.current.add(job.id);
          follow(job);
        }
      },
      () => undefined, // the results say that the server is away
    );
  }, [follow]);

  useEffect(() => {
    const stops = watched.current;
    look();
    return () => {
      for (const stop of stops.values()) stop();
      stops.clear();
    };
  }, [look]);

  const add = useCallback(
    (job: Job) => {
      seen.current.add(job.id);
      follow(job);
      // A job that was over at once (everything known already) is never watched: its end is news all the same.
      if (isOver(job)) listener.current(job);
    },
    [follow],
  );
  const cancel = useCallback(
    async (id: number) => {
      await api.cancel(id);
      const job = await api.job(id);
      put(job);
    },
    [put],
  );
  const dismiss = useCallback((id: number) => setJobs((now) => now.filter((job) => job.id !== id)), []);
  const inspect = useCallback((job: Job) => {
    const known = job.failures ?? [];
    api.failures(job.id, known.length).then(
      (more) =>
        setJobs((now) =>
          now.map((other) => (other.id === job.id ? { ...other, failures: [...known, ...more] } : other)),
        ),
      () => undefined, // the button stays, to be pressed again
    );
  }, []);
  return { jobs, running: jobs.filter((job) => !isOver(job)), look, add, cancel, dismiss, inspect };
}

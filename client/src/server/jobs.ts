/** Jobs of the server, as they move on. */

import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { api } from "./client";
import { Problem } from "./problem";
import { EMPTY_MS } from "./queries";
import type { Job } from "./types";

const POLL_MS = 1000;
const LOOK_MS = 5000; // between looks for imports that others started

export const isOver = (job: Job): boolean =>
  job.state === "done" || job.state === "failed" || job.state === "cancelled";

const isJob = (value: unknown): value is Job =>
  typeof value === "object" && value !== null && "id" in value && "state" in value && "done" in value;

/** Pictures that the job has dealt with, well or badly. */
export const behind = (job: Job): number => job.done + job.skipped + job.failed;

/** Share of the work behind us, 0..1, or null while the total is unknown. */
export function progress(job: Job): number | null {
  if (job.state === "done") return 1;
  if (!job.total) return null;
  return Math.min(1, behind(job) / job.total);
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
  events.onmessage = onEvent;
  events.onerror = () => {
    events?.close();
    events = null;
    if (!stopped) void poll();
  };
  return stop;
}

/** Two reports of jobs as one list, newest first. They may overtake each other: the one that is further on counts. */
export function merged(known: readonly Job[], found: readonly Job[]): readonly Job[] {
  const jobs = new Map(known.map((job) => [job.id, job]));
  for (const job of found) {
    const before = jobs.get(job.id);
    if (before && !isOver(job) && (isOver(before) || behind(before) > behind(job))) continue;
    jobs.set(job.id, job);
  }
  return [...jobs.values()].sort((a, b) => b.id - a.id);
}

const KEY = ["jobs"];

export interface Jobs {
  jobs: readonly Job[];
  running: readonly Job[];
  /** Follow a job that was just started. */
  add: (job: Job) => void;
  cancel: (id: number) => Promise<void>;
  dismiss: (id: number) => void;
}

/**
 * All recent jobs, newest first; `onProgress` hears of each step. Others start jobs too (the command line, another tab, the server itself
 * at its first start): one looks for those while the page is shown, more often while the library is `empty`.
 */
export function useJobs(empty: boolean, onProgress: (job: Job) => void): Jobs {
  const client = useQueryClient();
  const [hidden, setHidden] = useState<ReadonlySet<number>>(new Set());
  const watched = useRef(new Map<number, () => void>());
  const listener = useRef(onProgress);
  useEffect(() => {
    listener.current = onProgress;
  }, [onProgress]);

  const { data } = useQuery({
    queryKey: KEY,
    queryFn: async () => {
      const found = await api.jobs();
      return merged(client.getQueryData<readonly Job[]>(KEY) ?? [], found);
    },
    refetchOnWindowFocus: "always",
    refetchInterval: empty ? EMPTY_MS : LOOK_MS,
  });
  const put = useCallback(
    (job: Job) => client.setQueryData<readonly Job[]>(KEY, (known) => merged(known ?? [], [job])),
    [client],
  );

  const seen = useRef<Set<number> | null>(null); // null until the first look: what was over by then is no news
  useEffect(() => {
    if (!data) return;
    const first = seen.current === null;
    seen.current ??= new Set();
    for (const job of data) {
      const fresh = !seen.current.has(job.id);
      seen.current.add(job.id);
      if (isOver(job) && fresh && !first) listener.current(job); // it began and ended between two looks
      if (isOver(job) || watched.current.has(job.id)) continue;
      const forget = (): unknown => watched.current.delete(job.id);
      const stop = watchJob(
        job.id,
        (moved) => {
          put(moved);
          if (isOver(moved)) forget();
          listener.current(moved);
        },
        forget,
      );
      watched.current.set(job.id, stop);
    }
  }, [data, put]);
  useEffect(() => {
    const stops = watched.current;
    return () => {
      for (const stop of stops.values()) stop();
      stops.clear();
    };
  }, []);

  const cancel = useCallback(
    async (id: number) => {
      await api.cancel(id);
      put(await api.job(id));
    },
    [put],
  );
  const dismiss = useCallback((id: number) => setHidden((now) => new Set(now).add(id)), []);
  const jobs = useMemo(() => (data ?? []).filter((job) => !hidden.has(job.id)), [data, hidden]);
  return { jobs, running: jobs.filter((job) => !isOver(job)), add: put, cancel, dismiss };
}

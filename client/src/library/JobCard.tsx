import { useState } from "react";
import type { Job } from "../api/types";
import { count, duration, pictures } from "../ui/format";
import { CloseIcon } from "../ui/icons";
import { isOver, progress } from "./jobs";

const STATES: Record<Job["state"], string> = {
  queued: "Waiting",
  running: "Importing",
  done: "Done",
  failed: "Failed",
  cancelled: "Cancelled",
};

/** "62 of 100 · 12 pictures/s · 3 s left" */
export function jobLine(job: Job): string {
  const behind = job.done + job.skipped + job.failed;
  if (isOver(job)) {
    const parts = [
      job.done > 0 || job.skipped === 0 ? `${pictures(job.done)} ${job.kind === "reencode" ? "encoded" : "added"}` : "",
    ];
    if (job.skipped > 0) parts.push(`${count(job.skipped)} unchanged`);
    return parts.filter(Boolean).join(" · ");
  }
  if (job.cancelling) return "Stopping…";
  if (job.total === null)
    return job.state === "queued" ? "Waiting for its turn" : `Looking at the files… ${behind > 0 ? count(behind) : ""}`;
  const parts = [`${count(behind)} of ${count(job.total)}`];
  if (job.rate > 0) parts.push(`${job.rate < 10 ? job.rate.toFixed(1) : count(Math.round(job.rate))}/s`);
  if (job.eta_s !== null && job.eta_s > 0) parts.push(`${duration(job.eta_s)} left`);
  return parts.join(" · ");
}

interface Props {
  job: Job;
  /** Named where it is not the collection on screen. */
  elsewhere: boolean;
  onCancel: () => Promise<void>;
  onDismiss: () => void;
  onInspect: () => void;
}

export function JobCard({ job, elsewhere, onCancel, onDismiss, onInspect }: Props) {
  const [open, setOpen] = useState(false);
  const share = progress(job);
  const over = isOver(job);
  const title = job.kind === "reencode" ? "Encoding again" : STATES[job.state];
  return (
    <li className={`job ${job.state}`} data-job={job.id} data-state={job.state}>
      <div className="job-head">
        <strong>{over ? STATES[job.state] : job.state === "queued" ? STATES.queued : title}</strong>
        <span className="job-source" title={job.source}>
          {job.source}
        </span>
        {over ? (
          <button type="button" className="icon-button tiny" aria-label="Hide this import" onClick={onDismiss}>
            <CloseIcon />
          </button>
        ) : (
          <button type="button" className="button small" disabled={job.cancelling} onClick={() => void onCancel()}>
            Cancel
          </button>
        )}
      </div>
      <progress
        className={over ? "over" : ""}
        max="1"
        aria-label={`Import of ${job.source}`}
        {...(share === null ? {} : { value: over && job.state !== "done" ? share : share })}
      />
      <p className="job-line">
        <span aria-live={over ? "polite" : "off"}>
          {jobLine(job)}
          {elsewhere && ` · in ${job.collection}`}
        </span>
        {job.failed > 0 && (
          <button
            type="button"
            className="link"
            aria-expanded={open}
            onClick={() => {
              setOpen(!open);
              if (!job.failures) onInspect();
            }}
          >
            {count(job.failed)} could not be used
          </button>
        )}
      </p>
      {job.message && <p className={job.state === "failed" ? "notice bad" : "hint"}>{job.message}</p>}
      {open && job.failures && (
        <ul className="failures">
          {job.failures.map((failure) => (
            <li key={failure.path}>
              <code>{failure.path}</code>
              <span>{failure.reason}</span>
            </li>
          ))}
          {job.failed > job.failures.length && (
            <li>
              <button type="button" className="button small" onClick={onInspect}>
                Show more of the other {count(job.failed - job.failures.length)}
              </button>
            </li>
          )}
        </ul>
      )}
    </li>
  );
}

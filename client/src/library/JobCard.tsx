import { useInfiniteQuery } from "@tanstack/react-query";
import { X } from "lucide-react";
import { useState } from "react";
import { type Translate, useSpeech } from "../i18n";
import { count, duration, pictures, rate } from "../i18n/format";
import { api } from "../server/client";
import { behind, isOver, progress } from "../server/jobs";
import type { Job } from "../server/types";
import { Button, IconButton } from "../ui/Button";
import { Notice } from "../ui/Notice";
import styles from "./JobCard.module.css";

/** "62 of 100 · 12/s · 3 s left" */
function told(job: Job, t: Translate): string {
  if (isOver(job)) {
    const parts: string[] = [];
    if (job.done > 0 || job.skipped + job.failed === 0)
      parts.push(t(job.kind === "reencode" ? "job.encoded" : "job.added", { pictures: pictures(job.done) }));
    if (job.skipped > 0) parts.push(t("job.unchanged", { count: job.skipped }));
    return parts.join(" · ");
  }
  if (job.cancelling) return t("job.stopping");
  const dealt = behind(job);
  if (job.total === null) {
    if (job.state === "queued") return t("job.turn");
    return dealt > 0 ? `${t("job.looking")} ${count(dealt)}` : t("job.looking");
  }
  const parts = [t("job.behind", { done: dealt, total: job.total })];
  if (job.rate > 0) parts.push(t("job.rate", { rate: rate(job.rate) }));
  if (job.eta_s !== null && job.eta_s > 0) parts.push(t("job.left", { time: duration(job.eta_s) }));
  return parts.join(" · ");
}

/** How an import ended that was carried to its end: with nothing, with some left out, or well. */
function outcome({ state, done, skipped, failed }: Job): "none" | "some" | null {
  if (state !== "done" || failed === 0) return null;
  return done + skipped === 0 ? "none" : "some";
}

interface Props {
  job: Job;
  /** Named where it is not the collection on screen. */
  elsewhere: boolean;
  onCancel: () => Promise<void>;
  onDismiss: () => void;
}

export function JobCard({ job, elsewhere, onCancel, onDismiss }: Props) {
  const { t } = useSpeech();
  const [open, setOpen] = useState(false);
  const share = progress(job);
  const over = isOver(job);
  const end = outcome(job);
  const encoding = job.kind === "reencode" && job.state === "running";
  return (
    <li className={styles.job} data-job={job.id} data-state={job.state} data-outcome={end ?? undefined}>
      <div className={styles.head}>
        <strong>{t(encoding ? "job.encoding" : end ? `job.done.${end}` : `job.${job.state}`)}</strong>
        <span className={styles.source} title={job.source}>
          {job.source}
        </span>
        {over ? (
          <IconButton tiny label={t("job.hide")} onClick={onDismiss}>
            <X />
          </IconButton>
        ) : (
          <Button small disabled={job.cancelling} onClick={() => void onCancel()}>
            {t("cancel")}
          </Button>
        )}
      </div>
      <progress
        max="1"
        aria-label={t("job.progress", { source: job.source })}
        {...(share !== null && { value: share })}
      />
      <p className={styles.line}>
        <span aria-live={over ? "polite" : "off"}>
          {told(job, t)}
          {elsewhere && ` · ${t("job.in", { collection: job.collection })}`}
        </span>
        {job.failed > 0 && (
          <button type="button" className={styles.failed} aria-expanded={open} onClick={() => setOpen(!open)}>
            {t("job.failures", { count: job.failed })}
          </button>
        )}
      </p>
      {job.message &&
        (job.state === "failed" ? <Notice bad>{job.message}</Notice> : <p className="hint">{job.message}</p>)}
      {open && <Failures job={job} />}
    </li>
  );
}

/** Files that could not be used, each with its reason. */
function Failures({ job }: { job: Job }) {
  const { t } = useSpeech();
  const { data, fetchNextPage } = useInfiniteQuery({
    queryKey: ["failures", job.id, job.failed],
    queryFn: ({ pageParam }) => api.failures(job.id, pageParam),
    initialPageParam: 0,
    getNextPageParam: (last, pages) => (last.length > 0 ? pages.flat().length : null),
    placeholderData: (before) => before,
  });
  const failures = data?.pages.flat() ?? [];
  return (
    <ul className={styles.failures}>
      {failures.map((failure) => (
        <li key={failure.path}>
          <code>{failure.path}</code>
          <span>{failure.reason}</span>
        </li>
      ))}
      {data && job.failed > failures.length && (
        <li>
          <Button small onClick={() => void fetchNextPage()}>
            {t("job.failures.more", { count: job.failed - failures.length })}
          </Button>
        </li>
      )}
    </ul>
  );
}

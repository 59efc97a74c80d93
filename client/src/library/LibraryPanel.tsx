import { X } from "lucide-react";
import { useState } from "react";
import { useSpeech } from "../i18n";
import type { Jobs } from "../server/jobs";
import { asProblem, type Problem } from "../server/problem";
import type { Library } from "../server/queries";
import type { Job } from "../server/types";
import { Button, IconButton } from "../ui/Button";
import { Dialog } from "../ui/Dialog";
import { Notice } from "../ui/Notice";
import { AddPictures } from "./AddPictures";
import { Collections } from "./Collections";
import { JobCard } from "./JobCard";
import styles from "./LibraryPanel.module.css";

const RECENT = 3; // imports that are listed at once
const EARLIER = 50;

interface Props {
  library: Library;
  jobs: Jobs;
  /** Files that were dropped on the page: sent at once. */
  dropped: readonly File[] | null;
  onDroppedTaken: () => void;
  onPick: (name: string) => void;
  onStarted: (job: Job) => void;
  onClose: () => void;
}

/** Everything about the stored pictures as a whole: adding some, imports on their way, the collections. */
export function LibraryPanel({ library, jobs, dropped, onDroppedTaken, onPick, onStarted, onClose }: Props) {
  const { t } = useSpeech();
  const { current, system } = library;
  return (
    <Dialog className={styles.drawer} label={t("library")} onClose={onClose}>
      <header className={styles.head}>
        <h2>{t("library")}</h2>
        <IconButton label={t("close")} onClick={onClose}>
          <X />
        </IconButton>
      </header>

      <section aria-labelledby="add-title">
        <h3 id="add-title">{t("library.add", { collection: current })}</h3>
        <AddPictures
          collection={current}
          system={system}
          dropped={dropped}
          onDroppedTaken={onDroppedTaken}
          onStarted={onStarted}
        />
      </section>

      {jobs.jobs.length > 0 && <Imports jobs={jobs} current={current} />}
      <Collections library={library} onPick={onPick} onStarted={onStarted} />

      {system && (
        <footer className={styles.foot}>
          {t("library.system", { version: system.version, encoder: system.encoder.name, device: system.device })}
          {system.advice.map((sentence) => (
            <Notice key={sentence}>{sentence}</Notice>
          ))}
        </footer>
      )}
    </Dialog>
  );
}

function Imports({ jobs, current }: { jobs: Jobs; current: string }) {
  const { t, explain } = useSpeech();
  const [earlier, setEarlier] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);
  const shown = earlier ? EARLIER : Math.max(RECENT, jobs.running.length);
  const cancel = async (id: number): Promise<void> => {
    setProblem(null);
    await jobs.cancel(id).catch((error: unknown) => setProblem(asProblem(error)));
  };
  return (
    <section aria-labelledby="jobs-title">
      <h3 id="jobs-title">{t("library.imports")}</h3>
      {problem && <Notice bad>{explain(problem)}</Notice>}
      <ul className={styles.jobs}>
        {jobs.jobs.slice(0, shown).map((job) => (
          <JobCard
            key={job.id}
            job={job}
            elsewhere={job.collection !== current}
            onCancel={() => cancel(job.id)}
            onDismiss={() => jobs.dismiss(job.id)}
          />
        ))}
      </ul>
      {!earlier && jobs.jobs.length > shown && (
        <Button look="quiet" className={styles.start} onClick={() => setEarlier(true)}>
          {t("library.imports.earlier")}
        </Button>
      )}
    </section>
  );
}

import { useQuery, useQueryClient } from "@tanstack/react-query";
import { X } from "lucide-react";
import { useEffect, useState } from "react";
import { useSpeech } from "../i18n";
import { api } from "../server/client";
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
import { Trash } from "./Trash";

const RECENT = 3; // imports that are listed at once
const EARLIER = 50;

interface Props {
  library: Library;
  jobs: Jobs;
  /** Files that were dropped on the page: sent at once. */
  dropped: readonly File[] | null;
  onDroppedTaken: () => void;
  onPick: (name: string) => void;
  /** The pictures whose files are not there are wanted on the page. */
  onMissing: () => void;
  /** Pictures came back from the trash, with what encodes them again. */
  onBack: (job: Job | null) => void;
  onStarted: (job: Job) => void;
  onClose: () => void;
}

/** Everything about the stored pictures as a whole: adding some, imports on their way, the collections. */
export function LibraryPanel({
  library,
  jobs,
  dropped,
  onDroppedTaken,
  onPick,
  onMissing,
  onBack,
  onStarted,
  onClose,
}: Props) {
  const { t } = useSpeech();
  const { current, system } = library;
  const client = useQueryClient();
  // What the server advises changes with the library.
  useEffect(() => void client.invalidateQueries({ queryKey: ["system"] }), [client]);
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
      <Collections library={library} onPick={onPick} onMissing={onMissing} onStarted={onStarted} />
      <Trash onBack={onBack} />

      {system && (
        <footer className={styles.foot}>
          {t("library.system", { version: system.version, encoder: system.encoder.name, device: system.device })}
          <SignedIn />
          {system.advice.map((sentence) => (
            <Notice key={sentence}>{sentence}</Notice>
          ))}
        </footer>
      )}
    </Dialog>
  );
}

/** What the key that was given allows, and the way out; nothing where no key is needed. */
function SignedIn() {
  const { t } = useSpeech();
  const { data } = useQuery({ queryKey: ["session"], queryFn: api.session, staleTime: 0 });
  if (data?.by !== "cookie") return null;
  const leave = async (): Promise<void> => {
    await api.signOut();
    window.location.reload(); // what was fetched with the key goes with it
  };
  return (
    <p>
      {t(data.scope === "read" ? "key.reads" : "key.writes")}{" "}
      <Button small onClick={() => void leave()}>
        {t("key.leave")}
      </Button>
    </p>
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

import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useSpeech } from "../i18n";
import { bytes, date, list, pictures } from "../i18n/format";
import { api } from "../server/client";
import { asProblem } from "../server/problem";
import type { Job, TrashEntry } from "../server/types";
import { Button } from "../ui/Button";
import { Confirm } from "../ui/Confirm";
import { Notice } from "../ui/Notice";
import styles from "./Trash.module.css";

const KEY = ["trash"];

const KEPT = /^[0-9a-f]{32}\./; // a name that the server gave to an upload says nothing to anybody

/** The first names of what was taken out. */
function named({ pictures: all, names }: TrashEntry): string[] {
  const told = names.filter((name) => !KEPT.test(name));
  return told.length > 0 ? [list(told) + (all > told.length ? " …" : "")] : [];
}

/** What was taken out and can come back; nothing where there is nothing. `onBack`: pictures came back, with what encodes them again. */
export function Trash({ onBack }: { onBack: (job: Job | null) => void }) {
  const { t, explain } = useSpeech();
  const client = useQueryClient();
  const { data } = useQuery({ queryKey: KEY, queryFn: api.trash, retry: false, refetchOnMount: "always" });
  const [emptying, setEmptying] = useState(false);
  const [said, setSaid] = useState<string | null>(null);
  const [problem, setProblem] = useState<string | null>(null);

  const attempt = async (work: () => Promise<unknown>): Promise<void> => {
    setProblem(null);
    setSaid(null);
    setEmptying(false);
    try {
      await work();
    } catch (error) {
      setProblem(explain(asProblem(error)));
    }
    await client.invalidateQueries({ queryKey: KEY });
  };
  const restore = (entry: TrashEntry): Promise<void> =>
    attempt(async () => {
      const { collection, pictures: came, lost, job } = await api.restore(entry.id);
      const back = t("trash.back", { pictures: pictures(came), collection });
      setSaid(lost > 0 ? `${back} ${t("trash.lost", { pictures: pictures(lost) })}` : back);
      onBack(job);
    });

  if (!data || (data.entries.length === 0 && !said && !problem)) return null;
  return (
    <section aria-labelledby="trash-title">
      <h3 id="trash-title">{t("trash")}</h3>
      <p className="hint">{t("trash.how", { days: data.days, size: bytes(data.bytes) })}</p>
      {problem && <Notice bad>{problem}</Notice>}
      {said && <p role="status">{said}</p>}
      <ul className={styles.entries}>
        {data.entries.map((entry) => (
          <li key={entry.id}>
            <p>
              <strong>
                {entry.collection === null
                  ? t("trash.stray")
                  : t(entry.why === "dropped" ? "trash.dropped" : "trash.removed", {
                      pictures: pictures(entry.pictures),
                      collection: entry.collection,
                    })}
              </strong>
              <span className={styles.names}>
                {[...named(entry), t("trash.until", { date: date(entry.gone_at) })].join(" · ")}
              </span>
            </p>
            <Button small onClick={() => void restore(entry)}>
              {t("trash.restore")}
            </Button>
          </li>
        ))}
      </ul>
      {emptying ? (
        <Confirm
          question={t("trash.empty.sure")}
          no={t("keep")}
          yes={t("trash.empty.yes")}
          onNo={() => setEmptying(false)}
          onYes={() => void attempt(api.emptyTrash)}
        />
      ) : (
        data.entries.length > 0 && (
          <Button look="quiet" small className={styles.empty} onClick={() => setEmptying(true)}>
            {t("trash.empty")}
          </Button>
        )
      )}
    </section>
  );
}

/** What stands in the place of the results where there are none. */

import { useQueryClient } from "@tanstack/react-query";
import { Folder } from "lucide-react";
import { useRef } from "react";
import { useSpeech } from "../i18n";
import { offerKey } from "../server/key";
import type { Problem } from "../server/problem";
import { useAccept } from "../server/queries";
import { EXAMPLES } from "../sketch/examples";
import { MiniSketch } from "../sketch/MiniSketch";
import { Button } from "../ui/Button";
import { cx } from "../ui/cx";
import styles from "./States.module.css";

export function Nothing({ asked }: { asked: boolean }) {
  const { t } = useSpeech();
  return (
    <div className={styles.empty}>
      <h2>{t(asked ? "nothing.found" : "nothing.yet")}</h2>
      <p>{t(asked ? "nothing.found.more" : "nothing.yet.more")}</p>
    </div>
  );
}

/** `waiting`: the page tries again without being told to. */
export function Trouble({ problem, waiting, onAgain }: { problem: Problem; waiting: boolean; onAgain?: () => void }) {
  const { t, explain } = useSpeech();
  if (problem.status === 401) return <Locked problem={problem} />;
  return (
    <div className={cx(styles.empty, styles.trouble)} role="alert">
      <h2>{t("trouble")}</h2>
      <p>{explain(problem)}</p>
      {waiting && <p>{t("trouble.waiting")}</p>}
      {onAgain && <Button onClick={onAgain}>{t("trouble.again")}</Button>}
    </div>
  );
}

/** The server wants a key, and the user did not give one. */
function Locked({ problem }: { problem: Problem }) {
  const { t, explain } = useSpeech();
  const client = useQueryClient();
  const offer = async (): Promise<void> => {
    if (await offerKey(problem)) await client.resetQueries();
  };
  return (
    <div className={styles.empty} role="alert">
      <h2>{t("key.title")}</h2>
      <p>{t("key.why")}</p>
      <p>{explain(problem)}</p>
      <Button look="primary" onClick={() => void offer()}>
        {t("key.ask")}
      </Button>
    </div>
  );
}

export function Welcome({ onAdd, onFiles }: { onAdd: () => void; onFiles: (files: readonly File[]) => void }) {
  const { t } = useSpeech();
  const accept = useAccept(true);
  const chooser = useRef<HTMLInputElement>(null);
  return (
    <div className={styles.empty}>
      <div className={styles.art} aria-hidden="true">
        {EXAMPLES.filter((example) => example.marks.length > 0)
          .slice(0, 3)
          .map((example) => (
            <span key={example.name}>
              <MiniSketch marks={example.marks} className={styles.drawing} />
            </span>
          ))}
      </div>
      <h2>{t("welcome")}</h2>
      <p>{t("welcome.more")}</p>
      <div className="actions">
        <Button look="primary" onClick={onAdd}>
          <Folder /> {t("welcome.folder")}
        </Button>
        <Button onClick={() => chooser.current?.click()}>{t("welcome.files")}</Button>
      </div>
      <input
        ref={chooser}
        type="file"
        accept={accept}
        multiple
        hidden
        aria-label={t("welcome.chooser")}
        onChange={(event) => {
          onFiles([...(event.target.files ?? [])]);
          event.target.value = "";
        }}
      />
    </div>
  );
}

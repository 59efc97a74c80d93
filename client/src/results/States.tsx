/** What stands in the place of the results where there are none. */

import { useQueryClient } from "@tanstack/react-query";
import { Folder } from "lucide-react";
import { useRef } from "react";
import { useSpeech } from "../i18n";
import { pictures } from "../i18n/format";
import { offerKey } from "../server/key";
import type { Problem } from "../server/problem";
import { useAccept } from "../server/queries";
import { EXAMPLES } from "../sketch/examples";
import { MiniSketch } from "../sketch/MiniSketch";
import { Button } from "../ui/Button";
import { cx } from "../ui/cx";
import styles from "./States.module.css";

export function Nothing({ asked, filtered }: { asked: boolean; filtered: boolean }) {
  const { t } = useSpeech();
  const found = asked || filtered;
  return (
    <div className={styles.empty}>
      <h2>{t(found ? "nothing.found" : "nothing.yet")}</h2>
      <p>{t(asked ? "nothing.found.more" : filtered ? "nothing.filtered" : "nothing.yet.more")}</p>
    </div>
  );
}

/** `waiting`: the page tries again without being told to. `onReencode`: where the collection can be encoded again, which would help. */
export function Trouble(props: { problem: Problem; waiting: boolean; onAgain?: () => void; onReencode?: () => void }) {
  const { problem, waiting, onAgain, onReencode } = props;
  const { t, explain } = useSpeech();
  if (problem.status === 401) return <Locked problem={problem} />;
  return (
    <div className={cx(styles.empty, styles.trouble)} role="alert">
      <h2>{t("trouble")}</h2>
      <p>{explain(problem)}</p>
      {waiting && <p>{t("trouble.waiting")}</p>}
      <div className="actions">
        {onAgain && <Button onClick={onAgain}>{t("trouble.again")}</Button>}
        {onReencode && (
          <Button look="primary" onClick={onReencode}>
            {t("collections.reencode")}
          </Button>
        )}
      </div>
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

/** All there is has no file now: the library is not empty. */
export function Away({ missing, onShow }: { missing: number; onShow: () => void }) {
  const { t } = useSpeech();
  return (
    <div className={styles.empty} role="status">
      <h2>{t("missing.all")}</h2>
      <p>{t("missing.why", { pictures: pictures(missing) })}</p>
      <Button onClick={onShow}>{t("missing.show")}</Button>
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

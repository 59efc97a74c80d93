/** Parts of the page that come when they are wanted, or when the page has nothing else to do. */

import { type ComponentType, lazy } from "react";
import { useSpeech } from "../i18n";
import { noAnswer } from "../server/problem";
import { Button } from "../ui/Button";
import { Dialog } from "../ui/Dialog";
import styles from "./KeyDialog.module.css";

const AHEAD_MS = 1500; // after the start

/** In the place of what did not come: the server is away, or holds a newer page by now. */
function Missing({ onClose }: { onClose: () => void }) {
  const { t, explain } = useSpeech();
  return (
    <Dialog className={styles.card} label={t("trouble")} onClose={onClose}>
      <p role="alert">{explain(noAnswer())}</p>
      <div className="actions">
        <Button onClick={onClose}>{t("close")}</Button>
        <Button look="primary" onClick={() => window.location.reload()}>
          {t("trouble.again")}
        </Button>
      </div>
    </Dialog>
  );
}

function later<P extends { onClose: () => void }>(load: () => Promise<ComponentType<P>>) {
  setTimeout(() => void load().catch(() => undefined), AHEAD_MS);
  return lazy(() =>
    load().then(
      (component) => ({ default: component }),
      () => ({ default: Missing as ComponentType<P> }),
    ),
  );
}

export const Viewer = later(async () => (await import("../viewer/Viewer")).Viewer);
export const LibraryPanel = later(async () => (await import("../library/LibraryPanel")).LibraryPanel);

import { X } from "lucide-react";
import { useEffect } from "react";
import { useSpeech } from "../i18n";
import { IconButton } from "../ui/Button";
import styles from "./Toast.module.css";

const SHOWN_MS = 6000;

export function Toast({ sentence, onGone }: { sentence: string; onGone: () => void }) {
  const { t } = useSpeech();
  // biome-ignore lint/correctness/useExhaustiveDependencies: another sentence is read anew
  useEffect(() => {
    const timer = setTimeout(onGone, SHOWN_MS);
    return () => clearTimeout(timer);
  }, [sentence]);
  return (
    <div className={styles.toast} role="alert">
      {sentence}
      <IconButton label={t("dismiss")} tiny className={styles.close} onClick={onGone}>
        <X />
      </IconButton>
    </div>
  );
}

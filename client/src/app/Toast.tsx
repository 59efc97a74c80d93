import { X } from "lucide-react";
import { useEffect } from "react";
import { useSpeech } from "../i18n";
import { Button, IconButton } from "../ui/Button";
import styles from "./Toast.module.css";

const SHOWN_MS = 6000;

interface Props {
  sentence: string;
  /** Something to do about it: the toast then stays as long as its owner keeps it. */
  action?: string;
  onAction?: () => void;
  onGone: () => void;
}

export function Toast({ sentence, action, onAction, onGone }: Props) {
  const { t } = useSpeech();
  // biome-ignore lint/correctness/useExhaustiveDependencies: another sentence is read anew
  useEffect(() => {
    if (action) return;
    const timer = setTimeout(onGone, SHOWN_MS);
    return () => clearTimeout(timer);
  }, [sentence]);
  return (
    <div className={styles.toast} role={action ? "status" : "alert"}>
      {sentence}
      {action && (
        <Button look="quiet" className={styles.action} onClick={onAction}>
          {action}
        </Button>
      )}
      <IconButton label={t("dismiss")} tiny className={styles.close} onClick={onGone}>
        <X />
      </IconButton>
    </div>
  );
}

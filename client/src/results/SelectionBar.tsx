import { Download, Images, Trash2, X } from "lucide-react";
import { useState } from "react";
import { useSpeech } from "../i18n";
import { asProblem } from "../server/problem";
import type { Hit, Picture } from "../server/types";
import { Button, IconButton } from "../ui/Button";
import { Notice } from "../ui/Notice";
import styles from "./SelectionBar.module.css";

interface Props {
  pictures: readonly (Picture | Hit)[];
  onLike: (id: number) => void;
  onRemove: () => void;
  onClear: () => void;
}

/** What can be done with the chosen pictures. */
export function SelectionBar({ pictures, onLike, onRemove, onClear }: Props) {
  const { t, explain } = useSpeech();
  const [packed, setPacked] = useState<number | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const [first] = pictures;

  const save = async (): Promise<void> => {
    setPacked(0);
    setProblem(null);
    try {
      const { download } = await import("./zip");
      await download(pictures, setPacked);
    } catch (error) {
      setProblem(explain(asProblem(error)));
    }
    setPacked(null);
  };

  return (
    <div className={styles.bar} role="toolbar" aria-label={t("gallery.selection")}>
      <IconButton label={t("gallery.clear")} onClick={onClear}>
        <X />
      </IconButton>
      <strong aria-live="polite">{t("gallery.chosen", { count: pictures.length })}</strong>
      <Button
        look="quiet"
        title={t(pictures.length > 1 ? "gallery.like.first" : "viewer.like")}
        onClick={() => first && onLike(first.id)}
      >
        <Images /> <span>{t("viewer.like")}</span>
      </Button>
      <Button look="quiet" disabled={packed !== null} onClick={() => void save()}>
        <Download />{" "}
        <span>
          {packed === null ? t("viewer.download") : t("job.behind", { done: packed, total: pictures.length })}
        </span>
      </Button>
      <Button look="quiet" onClick={onRemove}>
        <Trash2 /> <span>{t("remove")}</span>
      </Button>
      {problem && <Notice bad>{problem}</Notice>}
    </div>
  );
}

import { Image, X } from "lucide-react";
import { useEffect, useState } from "react";
import { useSpeech } from "../i18n";
import { address } from "../server/client";
import { usePicture } from "../server/queries";
import { IconButton } from "../ui/Button";
import styles from "./chips.module.css";

/** A picture file in the question. */
export function FileChip({ file, onDrop }: { file: File; onDrop: () => void }) {
  const { t } = useSpeech();
  const [source, setSource] = useState<string | null>(null);
  useEffect(() => {
    const url = URL.createObjectURL(file);
    setSource(url);
    return () => URL.revokeObjectURL(url);
  }, [file]);
  return <Chip source={source} label={t("query.similar.to", { name: file.name })} onDrop={onDrop} />;
}

/** A stored picture in the question; its id may come from the address alone. */
export function LikeChip({ collection, id, onDrop }: { collection: string; id: number; onDrop: () => void }) {
  const { t } = useSpeech();
  const { picture } = usePicture(collection, id);
  const source = picture && address(picture.thumbnail_url, { size: "small" });
  return <Chip source={source} label={t("query.like")} onDrop={onDrop} />;
}

function Chip({ source, label, onDrop }: { source: string | null; label: string; onDrop: () => void }) {
  const { t } = useSpeech();
  return (
    <span className={styles.chip}>
      {source ? <img src={source} alt="" width="28" height="28" /> : <Image />}
      <span className={styles.label}>{label}</span>
      <IconButton tiny label={t("query.drop", { part: label })} onClick={onDrop}>
        <X />
      </IconButton>
    </span>
  );
}

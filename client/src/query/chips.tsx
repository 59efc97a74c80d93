import { Image, X } from "lucide-react";
import { type ReactNode, useEffect, useState } from "react";
import { useSpeech } from "../i18n";
import { percent } from "../i18n/format";
import { address } from "../server/client";
import { usePicture } from "../server/queries";
import { MiniSketch } from "../sketch/MiniSketch";
import type { Mark, Pasted } from "../sketch/strokes";
import { Button, IconButton } from "../ui/Button";
import { cx } from "../ui/cx";
import { Popover } from "../ui/Popover";
import styles from "./chips.module.css";
import { Strength } from "./Strength";

interface Weighed {
  /** Factor on the server's own weight; below zero: not like this. */
  factor: number;
  /** Whether there are other parts, against which this one is weighed. */
  many: boolean;
  onFactor: (factor: number) => void;
  onDrop: () => void;
}

/** The drawing as a part of the question. `picture` is the one that lies on the sheet, if any. */
export function DrawingChip({
  marks,
  picture,
  onPhoto,
  ...weighed
}: Weighed & { marks: readonly Mark[]; picture: Pasted | undefined; onPhoto: () => void }) {
  const { t } = useSpeech();
  const face = picture ? <img src={picture.src} alt="" /> : <MiniSketch marks={marks} />;
  return (
    <Chip face={face} part="sketch" label={t("part.sketch")} {...weighed}>
      {picture && (
        <Button small onClick={onPhoto}>
          {t("pictures.to.photo")}
        </Button>
      )}
    </Chip>
  );
}

/** A picture file in the question. */
export function FileChip({ file, onSheet, ...weighed }: Weighed & { file: File; onSheet: () => void }) {
  const { t } = useSpeech();
  const [source, setSource] = useState<string | null>(null);
  const [broken, setBroken] = useState(false);
  useEffect(() => {
    const url = URL.createObjectURL(file);
    setSource(url);
    setBroken(false);
    return () => URL.revokeObjectURL(url);
  }, [file]);
  const against = weighed.factor < 0;
  const label = t(against ? "query.unlike.to" : "query.similar.to", { name: file.name });
  const face = source && !broken ? <img src={source} alt="" onError={() => setBroken(true)} /> : <Image />;
  return (
    <Chip face={face} part="image" label={label} signed {...weighed}>
      <Button small onClick={onSheet}>
        {t("pictures.to.drawing")}
      </Button>
    </Chip>
  );
}

/** A stored picture in the question; its id may come from the address alone. */
export function LikeChip({ collection, id, ...weighed }: Weighed & { collection: string; id: number }) {
  const { t } = useSpeech();
  const { picture } = usePicture(collection, id);
  const face = picture ? <img src={address(picture.thumbnail_url, { size: "small" })} alt="" /> : <Image />;
  const label = t(weighed.factor < 0 ? "query.unlike" : "query.like");
  return <Chip face={face} part="like" label={label} signed {...weighed} />;
}

/** A condition that hits must fulfil. */
export function FilterChip({ label, onDrop }: { label: string; onDrop: () => void }) {
  const { t } = useSpeech();
  return (
    <span className={styles.chip} data-ingredient="filter">
      <span className={styles.label}>{label}</span>
      <IconButton tiny label={t("query.drop", { part: label })} onClick={onDrop}>
        <X />
      </IconButton>
    </span>
  );
}

interface ChipProps extends Weighed {
  face: ReactNode;
  part: "sketch" | "image" | "like";
  label: string;
  /** Whether it may be turned into its opposite. */
  signed?: boolean;
  children?: ReactNode;
}

function Chip({ face, part, label, signed = false, factor, many, onFactor, onDrop, children }: ChipProps) {
  const { t } = useSpeech();
  const against = factor < 0;
  return (
    <span className={cx(styles.chip, against && styles.against)} data-ingredient={part}>
      <Popover
        label={label}
        className={styles.popover}
        trigger={(trigger) => (
          <button type="button" className={styles.face} {...trigger}>
            {face}
            <span className={styles.label}>{label}</span>
            {many && Math.abs(factor) !== 1 && !(against && factor === -0.5) && (
              <span className={styles.factor}>{percent(Math.abs(factor) + 1e-6)}</span>
            )}
          </button>
        )}
      >
        {signed && (
          <fieldset className={styles.sign}>
            <legend className="visually-hidden">{label}</legend>
            {([false, true] as const).map((opposite) => (
              <label key={String(opposite)}>
                <input
                  type="radio"
                  name={`sign-${part}`}
                  checked={against === opposite}
                  onChange={() => onFactor(opposite ? -0.5 : 1)}
                />
                <span>{t(opposite ? "query.unlike.this" : "query.like.this")}</span>
              </label>
            ))}
          </fieldset>
        )}
        {many || signed ? <Strength factor={factor} part={label} onChange={onFactor} /> : null}
        {children}
      </Popover>
      <IconButton tiny label={t("query.drop", { part: label })} onClick={onDrop}>
        <X />
      </IconButton>
    </span>
  );
}

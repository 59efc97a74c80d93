import { Image, X } from "lucide-react";
import { type ReactNode, useEffect, useId, useState } from "react";
import type { Box, Like } from "../app/address";
import { useSpeech } from "../i18n";
import { percent } from "../i18n/format";
import { address } from "../server/client";
import { usePictureOf } from "../server/queries";
import { MiniSketch } from "../sketch/MiniSketch";
import type { Mark, Pasted } from "../sketch/strokes";
import { Button, IconButton } from "../ui/Button";
import { cx } from "../ui/cx";
import { Popover } from "../ui/Popover";
import styles from "./chips.module.css";
import { Strength } from "./Strength";

const AGAINST = -0.5; // as the server weighs "without"

interface Weighed {
  /** Factor on the server's own weight; of a picture file below zero: not like this. */
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
export function FileChip({ file, onSheet, factor, onFactor, ...rest }: Weighed & { file: File; onSheet: () => void }) {
  const { t } = useSpeech();
  const [source, setSource] = useState<string | null>(null);
  const [broken, setBroken] = useState(false);
  useEffect(() => {
    const url = URL.createObjectURL(file);
    setSource(url);
    setBroken(false);
    return () => URL.revokeObjectURL(url);
  }, [file]);
  const against = factor < 0;
  const label = t(against ? "query.unlike.to" : "query.similar.to", { name: file.name });
  const face = source && !broken ? <img src={source} alt="" onError={() => setBroken(true)} /> : <Image />;
  return (
    <Chip
      face={face}
      part="image"
      label={label}
      against={against}
      onAgainst={(opposite) => onFactor(opposite ? AGAINST : 1)}
      // Half the strength is what the server gives what pushes away.
      factor={against ? factor / AGAINST : factor}
      onFactor={(size) => onFactor(against ? size * AGAINST : size)}
      {...rest}
    >
      <Button small onClick={onSheet}>
        {t("pictures.to.drawing")}
      </Button>
    </Chip>
  );
}

/** A stored picture in the question; its id may come from the address alone. */
export function LikeChip({
  collections,
  like,
  onAgainst,
  ...weighed
}: Weighed & { collections: readonly string[]; like: Like; onAgainst: (against: boolean) => void }) {
  const { t } = useSpeech();
  const { id, against, box } = like;
  const picture = usePictureOf(collections, id);
  const source = picture && address(picture.thumbnail_url, { size: "small" });
  const face = !source ? <Image /> : box ? <Cutting source={source} box={box} /> : <img src={source} alt="" />;
  const label = t(box ? (against ? "query.unlike.part" : "query.like.part") : against ? "query.unlike" : "query.like");
  return <Chip face={face} part="like" label={label} against={against} onAgainst={onAgainst} {...weighed} />;
}

/** What a box shows of a picture. */
function Cutting({ source, box: [x0, y0, x1, y1] }: { source: string; box: Box }) {
  const [width, height] = [x1 - x0, y1 - y0];
  return (
    <span className={styles.cutting}>
      <img
        src={source}
        alt=""
        style={{
          width: `${100 / width}%`,
          height: `${100 / height}%`,
          left: `${(-100 * x0) / width}%`,
          top: `${(-100 * y0) / height}%`,
        }}
      />
    </span>
  );
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
  /** Whether hits should not be like it; not given where nobody may ask that. */
  against?: boolean;
  onAgainst?: (against: boolean) => void;
  children?: ReactNode;
}

function Chip({ face, part, label, against = false, onAgainst, factor, many, onFactor, onDrop, children }: ChipProps) {
  const { t } = useSpeech();
  const name = useId();
  return (
    <span className={cx(styles.chip, against && styles.against)} data-ingredient={part}>
      <Popover
        label={label}
        className={styles.popover}
        trigger={(trigger) => (
          <button type="button" className={styles.face} {...trigger}>
            {face}
            <span className={styles.label}>{label}</span>
            {many && factor !== 1 && <span className={styles.factor}>{percent(factor + 1e-6)}</span>}
          </button>
        )}
      >
        {onAgainst && (
          <fieldset className={styles.sign}>
            <legend className="visually-hidden">{label}</legend>
            {([false, true] as const).map((opposite) => (
              <label key={String(opposite)}>
                <input type="radio" name={name} checked={against === opposite} onChange={() => onAgainst(opposite)} />
                <span>{t(opposite ? "query.unlike.this" : "query.like.this")}</span>
              </label>
            ))}
          </fieldset>
        )}
        {many || onAgainst ? <Strength factor={factor} part={label} onChange={onFactor} /> : null}
        {children}
      </Popover>
      <IconButton tiny label={t("query.drop", { part: label })} onClick={onDrop}>
        <X />
      </IconButton>
    </span>
  );
}

import { SlidersHorizontal } from "lucide-react";
import { useId } from "react";
import { STRONGEST, WEAKEST } from "../app/address";
import { useSpeech } from "../i18n";
import { percent } from "../i18n/format";
import { IconButton } from "../ui/Button";
import { cx } from "../ui/cx";
import { Popover } from "../ui/Popover";
import styles from "./Strength.module.css";

interface Props {
  /** Factor on the server's own weight; its sign is not shown. */
  factor: number;
  /** The name of the part that it belongs to. */
  part: string;
  onChange: (factor: number) => void;
}

/** How strongly a part of the question counts: half, as always, twice. */
export function Strength({ factor, part, onChange }: Props) {
  const { t } = useSpeech();
  const id = useId();
  const size = Math.abs(factor);
  return (
    <div className={styles.strength}>
      <label htmlFor={id}>{t("strength")}</label>
      <output htmlFor={id}>{percent(size + 1e-6)}</output>
      <input
        id={id}
        type="range"
        min={WEAKEST}
        max={STRONGEST}
        step="0.1"
        aria-label={t("strength.of", { part })}
        aria-valuetext={percent(size + 1e-6)}
        value={size}
        onChange={(event) => onChange(Math.sign(factor) * Number(event.target.value))}
        onDoubleClick={() => onChange(Math.sign(factor))}
      />
    </div>
  );
}

/** The same behind a button, for parts that are a line of words. */
export function StrengthButton(props: Props) {
  const { t } = useSpeech();
  const label = t("strength.of", { part: props.part });
  return (
    <Popover
      label={label}
      trigger={(trigger) => (
        <IconButton tiny label={label} className={cx(props.factor !== 1 && styles.changed)} {...trigger}>
          <SlidersHorizontal />
        </IconButton>
      )}
    >
      <Strength {...props} />
    </Popover>
  );
}

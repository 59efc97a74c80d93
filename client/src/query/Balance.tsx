import { type Translate, useSpeech } from "../i18n";
import { percent } from "../i18n/format";
import { cx } from "../ui/cx";
import styles from "./Balance.module.css";

interface Props {
  /** 0: words only, 1: drawing only. */
  balance: number;
  /** Whether there are both words and a drawing to weigh. */
  active: boolean;
  onChange: (balance: number) => void;
}

export function Balance({ balance, active, onChange }: Props) {
  const { t } = useSpeech();
  const state = told(balance, t);
  return (
    <div className={cx(styles.balance, !active && styles.idle)}>
      <label htmlFor="balance">{t("part.text")}</label>
      <input
        id="balance"
        type="range"
        min="0"
        max="1"
        step="0.05"
        disabled={!active}
        aria-label={t("balance")}
        aria-valuetext={state}
        title={active ? state : t("balance.idle")}
        value={balance}
        onChange={(event) => onChange(Number(event.target.value))}
        onDoubleClick={() => onChange(0.5)}
      />
      <span>{t("part.sketch")}</span>
    </div>
  );
}

function told(balance: number, t: Translate): string {
  if (balance === 0) return t("balance.words");
  if (balance === 1) return t("balance.drawing");
  if (balance === 0.5) return t("balance.middle");
  const words = Math.round((1 - balance) * 100) / 100;
  return t("balance.shares", { words: percent(words), drawing: percent(1 - words) });
}

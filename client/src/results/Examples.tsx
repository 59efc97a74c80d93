import { useSpeech } from "../i18n";
import { EXAMPLES, type Example } from "../sketch/examples";
import { MiniSketch } from "../sketch/MiniSketch";
import styles from "./Examples.module.css";

/** Questions to begin with. */
export function Examples({ onStart }: { onStart: (example: Example) => void }) {
  const { t } = useSpeech();
  return (
    <ul className={styles.examples} aria-label={t("examples")}>
      {EXAMPLES.map((example) => {
        const { name, marks, text } = example;
        const drawn = marks.length > 0;
        return (
          <li key={name + text}>
            <button
              type="button"
              className={styles.example}
              aria-label={text ? t("examples.with", { name: t(name), text }) : t(name)}
              onClick={() => onStart(example)}
            >
              {drawn && <MiniSketch marks={marks} />}
              {text && <span>{drawn ? `+ ${text}` : text}</span>}
            </button>
          </li>
        );
      })}
    </ul>
  );
}

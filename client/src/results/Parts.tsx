import { type Speech, useSpeech } from "../i18n";
import { score as written } from "../i18n/format";
import type { Hit, Picture } from "../server/types";
import { cx } from "../ui/cx";
import styles from "./Parts.module.css";
import { type Best, reasonsOf } from "./reason";

/** The parts of a question, in the order in which they are shown. */
export const PARTS = ["text", "sketch", "image", "like", "not_text"] as const;

export const isHit = (picture: Picture | Hit): picture is Hit => "score" in picture;

const order = (name: string): number => (PARTS as readonly string[]).indexOf(name);

const entries = (parts: Hit["parts"]): [name: string, share: number][] =>
  Object.entries(parts).sort(([a], [b]) => order(a) - order(b));

const isPart = (name: string): name is (typeof PARTS)[number] => order(name) >= 0;

const nameOf = (name: string, { t }: Speech): string => (isPart(name) ? t(`part.${name}`) : name);

/** "Matches your drawing strongly and the words somewhat." */
export function inWords(hit: Hit, best: Best, { t }: Speech): string {
  const reasons = [...reasonsOf(hit, best)].sort((a, b) => order(a.part) - order(b.part));
  const parts = reasons.map(({ part, strength }) =>
    t(`reason.${strength}`, { part: isPart(part) && part !== "not_text" ? t(`reason.part.${part}`) : part }),
  );
  return parts.length > 0 ? t("reason", { parts: parts.join(t("reason.joint")) }) : "";
}

/** The colour that a part of the question wears everywhere. */
export const Swatch = ({ part }: { part: string }) => <i className={cx(styles.part, styles.swatch)} data-part={part} />;

/** A bar as long as the score is against the best one, divided by what each part of the query gave. */
export function PartsBar({ hit, best }: { hit: Hit; best: number }) {
  const given = entries(hit.parts).filter(([, share]) => share > 0);
  const sum = given.reduce((total, [, share]) => total + share, 0);
  const length = best > 0 ? Math.min(1, Math.max(0.02, hit.score / best)) : 0;
  return (
    <span className={styles.bar} aria-hidden="true">
      {given.map(([name, share]) => (
        <span
          key={name}
          className={styles.part}
          data-part={name}
          style={{ width: `${(share / sum) * length * 100}%` }}
        />
      ))}
    </span>
  );
}

/** The same, with names and numbers. */
export function PartsTable({ hit }: { hit: Hit }) {
  const speech = useSpeech();
  const given = entries(hit.parts);
  const largest = Math.max(...given.map(([, share]) => Math.abs(share)), 1e-9);
  return (
    <table className={styles.table}>
      <caption>
        {speech.t("part.score")} <strong>{written(hit.score)}</strong>
      </caption>
      <tbody>
        {given.map(([name, share]) => (
          <tr key={name}>
            <th scope="row">{nameOf(name, speech)}</th>
            <td className={styles.track}>
              <span
                className={styles.part}
                data-part={name}
                style={{ width: `${(Math.abs(share) / largest) * 100}%` }}
              />
            </td>
            <td className={styles.number}>{written(share)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

import type { Hit, Picture } from "../api/types";
import { score as written } from "../ui/format";

const NAMES: Record<string, string> = {
  text: "Words",
  sketch: "Drawing",
  image: "Picture",
  like: "More like this",
  not_text: "Without",
};
const ORDER = ["text", "sketch", "image", "like", "not_text"];

export const isHit = (picture: Picture | Hit): picture is Hit => "score" in picture;

const entries = (parts: Hit["parts"]): [name: string, share: number][] =>
  Object.entries(parts).sort(([a], [b]) => ORDER.indexOf(a) - ORDER.indexOf(b));

/** "score 0.412: words 0.250, drawing 0.162" */
export const spoken = (hit: Hit): string =>
  `score ${written(hit.score)}: ${entries(hit.parts)
    .map(([name, share]) => `${(NAMES[name] ?? name).toLowerCase()} ${written(share)}`)
    .join(", ")}`;

/** A bar as long as the score is against the best one, divided by what each part of the query gave. */
export function PartsBar({ hit, best }: { hit: Hit; best: number }) {
  const given = entries(hit.parts).filter(([, share]) => share > 0);
  const sum = given.reduce((total, [, share]) => total + share, 0);
  const length = best > 0 ? Math.min(1, Math.max(0.02, hit.score / best)) : 0;
  return (
    <span className="parts-bar" aria-hidden="true">
      {given.map(([name, share]) => (
        <span key={name} className={`part-${name}`} style={{ width: `${(share / sum) * length * 100}%` }} />
      ))}
    </span>
  );
}

/** The same, with names and numbers. */
export function PartsTable({ hit }: { hit: Hit }) {
  const given = entries(hit.parts);
  const largest = Math.max(...given.map(([, share]) => Math.abs(share)), 1e-9);
  return (
    <table className="parts-table">
      <caption>
        Score <strong>{written(hit.score)}</strong>
      </caption>
      <tbody>
        {given.map(([name, share]) => (
          <tr key={name}>
            <th scope="row">{NAMES[name] ?? name}</th>
            <td className="part-track">
              <span className={`part-${name}`} style={{ width: `${(Math.abs(share) / largest) * 100}%` }} />
            </td>
            <td className="number">{written(share)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

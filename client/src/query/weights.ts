/** How strongly words and drawing count each, from the balance between them and their common level, and back. No DOM here. */

import type { Query } from "../app/address";

export interface Pair {
  text: number;
  sketch: number;
}

/** The factors of words and drawing on the server's own weights; one that stands alone has the level. */
export function pairOf({ balance, strengths }: Pick<Query, "balance" | "strengths">, both: boolean): Pair {
  const level = strengths.level ?? 1;
  const weigh = both ? 2 * balance : 1;
  return { text: level * (2 - weigh), sketch: level * weigh };
}

/** The question's parts that give such factors. */
export function withPair({ strengths }: Pick<Query, "strengths">, pair: Pair): Pick<Query, "balance" | "strengths"> {
  const round = (value: number): number => Math.round(value * 1e6) / 1e6;
  const { level: _, ...rest } = strengths;
  const level = round((pair.text + pair.sketch) / 2);
  const balance = round(pair.sketch / (pair.text + pair.sketch));
  return { balance, strengths: level === 1 ? rest : { ...rest, level } };
}

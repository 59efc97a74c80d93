/** What can be said of words before a model reads them. No DOM here. */

const LETTER = /\p{Letter}/gu;
const LATIN = /\p{Script=Latin}/u;

/** Whether most letters are of another script than the Latin one, so that a model of English knows none of the words. */
export function isForeignToEnglish(text: string): boolean {
  const letters = text.match(LETTER) ?? [];
  return letters.filter((letter) => !LATIN.test(letter)).length > letters.length / 2;
}

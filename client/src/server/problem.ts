/** What the server (or the lack of one) has to say. Status 0 means no answer at all. */
export class Problem extends Error {
  constructor(
    readonly status: number,
    /** The kind of trouble in one word, the server's or one of `gateway`, `status` and `no_answer`; "" when nobody named it. */
    readonly code: string,
    /** The server's own sentence; "" when there is none. */
    sentence = "",
    readonly retryAfter: number | null = null,
    /** Of a question's word that cannot be read: its first character, from 0, and how many it has. */
    readonly word: { position: number; length: number } | null = null,
  ) {
    super(sentence);
  }

  /** The server or a store is away: asking again may help. */
  get away(): boolean {
    return this.status === 0 || this.status >= 502;
  }
}

/** The answer of RFC 9457, of the reference's routes, or of a proxy that speaks HTML. */
export function problemOf(status: number, text: string, retryAfter: string | null): Problem {
  const seconds = Number(retryAfter);
  const words: string[] = [];
  let code = "";
  let word: Problem["word"] = null;
  try {
    const body: unknown = JSON.parse(text);
    if (typeof body === "object" && body !== null) {
      const given = body as Record<string, unknown>;
      for (const part of [given.detail, given.msg, given.title]) if (typeof part === "string") words.push(part);
      if (typeof given.code === "string") code = given.code;
      const { position, length } = given;
      if (typeof position === "number" && typeof length === "number") word = { position, length };
    }
  } catch {
    // Not JSON: a gateway's page. Its status says enough.
  }
  const sentence = words.find((part) => part !== "") ?? "";
  if (!sentence) code = status >= 502 && status <= 504 ? "gateway" : "status";
  return new Problem(status, code, sentence, seconds > 0 ? seconds : null, word);
}

export const noAnswer = (): Problem => new Problem(0, "no_answer");

export const asProblem = (error: unknown): Problem =>
  error instanceof Problem ? error : new Problem(-1, "", error instanceof Error ? error.message : String(error));

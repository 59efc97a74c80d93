/** Of several requests only the latest counts: starting one aborts the one before it. */
export class Latest {
  private running: AbortController | null = null;

  /** The task's result, or undefined when a later `run` or `cancel` overtook it: then neither result nor error matters. */
  async run<T>(task: (signal: AbortSignal) => Promise<T>): Promise<T | undefined> {
    this.cancel();
    const mine = new AbortController();
    this.running = mine;
    try {
      const result = await task(mine.signal);
      return mine.signal.aborted ? undefined : result;
    } catch (error) {
      if (mine.signal.aborted) return undefined;
      throw error;
    } finally {
      if (this.running === mine) this.running = null;
    }
  }

  cancel(): void {
    this.running?.abort();
    this.running = null;
  }
}

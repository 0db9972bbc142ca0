// Exponential back-off with full jitter: each wait is drawn from [0, ceiling), and the ceiling doubles up to its limit.

export class Backoff {
  private failures = 0;

  constructor(private readonly random: () => number, private readonly firstMs: number, private readonly limitMs: number) {}

  /** How long to wait before the next attempt, in whole milliseconds. */
  next(): number {
    const ceiling = Math.min(this.limitMs, this.firstMs * 2 ** this.failures);
    this.failures += 1;
    return Math.floor(this.random() * ceiling);
  }

  reset(): void {
    this.failures = 0;
  }
}

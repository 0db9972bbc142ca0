// The recording's running duration between messages: a line that grows with the client's clock for a while after the server
// was heard, then stands still. It never goes back while `on` is true; a confirmed total replaces it.

/** The line's value from `asOf` on. Immutable: a state that the application keeps goes on being right. */
export interface DurationLine {
  readonly totalMs: number;
  readonly asOf: number;
  readonly growsUntil: number;
  readonly floorMs: number;
}

export const zeroLine: DurationLine = { totalMs: 0, asOf: 0, growsUntil: 0, floorMs: 0 };

export const durationAt = (line: DurationLine, now: number): number => {
  const grown = Math.max(0, Math.min(now, line.growsUntil) - line.asOf);
  return Math.max(line.floorMs, Math.floor(line.totalMs + grown));
};

/** `on` is false: the server's total is final and replaces every extrapolation, also a larger one. */
export const confirmedLine = (totalMs: number, now: number): DurationLine => ({ totalMs, asOf: now, growsUntil: now, floorMs: 0 });

/** The line after the server said `totalMs` at `now`; `growsForMs` is 0 when nothing is being recorded. */
export const nextLine = (line: DurationLine, totalMs: number, now: number, growsForMs: number): DurationLine => ({
  totalMs, asOf: now, growsUntil: now + growsForMs, floorMs: durationAt(line, now),
});

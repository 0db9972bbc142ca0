// Values as people read them.

const two = (value: number): string => String(value).padStart(2, '0');

/** hh:mm:ss.t, cut and not rounded, so that it never runs ahead. */
export function formatDuration(milliseconds: number): string {
  const tenths = Math.floor(Math.max(0, milliseconds) / 100);
  const seconds = Math.floor(tenths / 10);
  return `${two(Math.floor(seconds / 3600))}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}.${tenths % 10}`;
}

export const formatClock = (date: Date): string => `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;

/** A moment of the server's, in the reader's own time zone; what cannot be read is shown as it came. */
export function formatMoment(text: string | undefined): string {
  if (text === undefined) return '';
  const date = new Date(text);
  return Number.isNaN(date.getTime()) ? text : date.toLocaleString();
}

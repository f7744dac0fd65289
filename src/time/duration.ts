/** Durations as Kubernetes writes them (metav1.Duration is Go's text): `90s`, `1m30s`, `1.5h`, `500ms`. Milliseconds inside. */

const UNIT_MILLISECONDS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  // The two characters that both mean micro.
  "\u00b5s": 1e-3,
  "\u03bcs": 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};
const WHOLE = /^([-+]?)((?:\d+\.?\d*|\.\d+)(?:ns|us|\u00b5s|\u03bcs|ms|s|m|h))+$/;
const PART = /(\d+\.?\d*|\.\d+)(ns|us|\u00b5s|\u03bcs|ms|s|m|h)/g;
/** Go counts nanoseconds in an int64. */
const MILLISECONDS_MAX = 2 ** 63 / 1e6;
/** Nobody writes a longer one on purpose. */
const TEXT_MAX = 64;

/** Milliseconds, possibly negative or fractional, exactly as Go's time.ParseDuration reads it; `undefined` for other text. */
export function parseDuration(text: string): number | undefined {
  if (/^[-+]?0$/.test(text)) return 0;
  if (text.length > TEXT_MAX || !WHOLE.test(text)) return undefined;
  let milliseconds = 0;
  for (const [, amount = "", unit = ""] of text.matchAll(PART))
    milliseconds += Number(amount) * (UNIT_MILLISECONDS[unit] ?? 0);
  if (milliseconds >= MILLISECONDS_MAX) return undefined;
  return text.startsWith("-") ? -milliseconds : milliseconds;
}

/** As Go prints whole seconds and more: `1h0m0s`, `1m30s`, `90ms`. */
export function formatDuration(milliseconds: number): string {
  if (milliseconds < 0) return `-${formatDuration(-milliseconds)}`;
  if (milliseconds === 0) return "0s";
  if (milliseconds < 1000) return `${milliseconds}ms`;
  const hours = Math.floor(milliseconds / 3_600_000);
  const minutes = Math.floor(milliseconds / 60_000) % 60;
  const seconds = `${(milliseconds % 60_000) / 1000}s`;
  if (hours > 0) return `${hours}h${minutes}m${seconds}`;
  return minutes > 0 ? `${minutes}m${seconds}` : seconds;
}

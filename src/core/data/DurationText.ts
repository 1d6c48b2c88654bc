/** Durations as people write them on command lines and in configuration files: `30s`, `1m30s`, `250ms`, plain seconds. */
import { Duration } from "effect"

/** Units `h m s ms us ns` in any order, or plain seconds; `undefined` for anything else, negative, or above a year. */
export const parse = (text: string): Duration.Duration | undefined => {
  const ms = PLAIN.test(text) ? Number(text) * 1000 : withUnitsMs(text)
  return ms === undefined || !Number.isFinite(ms) || ms > MAX_MS ? undefined : Duration.millis(ms)
}

/** The shortest usual form: `30s`, `1m30s`, `250ms`, `0s`. */
export const format = (duration: Duration.Duration): string => {
  const ms = Duration.toMillis(duration)
  if (ms < 1000) return ms === 0 ? "0s" : `${ms}ms`
  const hours = Math.floor(ms / 3_600_000)
  const minutes = Math.floor((ms % 3_600_000) / 60_000)
  const seconds = Math.round(ms % 60_000) / 1000
  return `${hours > 0 ? `${hours}h` : ""}${hours > 0 || minutes > 0 ? `${minutes}m` : ""}${seconds}s`
}

const withUnitsMs = (text: string): number | undefined => {
  if (text.length > TEXT_MAX || !WITH_UNITS.test(text)) return undefined
  let totalMs = 0
  for (const [, amount, unit] of text.matchAll(PART)) totalMs += Number(amount) * (UNIT_MS.get(unit!) ?? 0)
  return totalMs
}

const PLAIN = /^[0-9]{1,12}(?:\.[0-9]{1,12})?$/
const PART = /([0-9]+(?:\.[0-9]+)?)(ns|us|µs|ms|s|m|h)/g
const WITH_UNITS = /^(?:[0-9]+(?:\.[0-9]+)?(?:ns|us|µs|ms|s|m|h))+$/
const TEXT_MAX = 64
const UNIT_MS: ReadonlyMap<string, number> = new Map([
  ["ns", 1e-6],
  ["us", 1e-3],
  ["µs", 1e-3],
  ["ms", 1],
  ["s", 1000],
  ["m", 60_000],
  ["h", 3_600_000]
])
const MAX_MS = 366 * 86_400_000

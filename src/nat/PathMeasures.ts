/** When the paths to a peer are measured, and when one of them has shown to be better than the one in use. */
import { type Candidate, isProven } from "./PathCandidate.ts"

/** What the pauses depend on. */
export interface Rhythm {
  /** How often a translator wants to see a mapping used. */
  readonly keepaliveMs: number
  /** A direct path is being looked for, by other probes than these. */
  readonly isSought: boolean
  /** When a frame last went to the peer. */
  readonly spentAtMs: number
}

/** When to ask next; `Infinity` for paths that are tried otherwise, or not at all. */
export const dueAtMs = (candidate: Candidate, { isSought, keepaliveMs, spentAtMs }: Rhythm): number => {
  const { isLearned, measuredAtMs, path, probedAtMs } = candidate
  if (!isProven(candidate)) {
    return !isLearned || path.relayed || isSought
      ? Number.POSITIVE_INFINITY
      : Math.max(measuredAtMs, probedAtMs) + RECHECK_MS
  }
  return measuredAtMs + (spentAtMs >= measuredAtMs ? Math.min(keepaliveMs, MEASURE_MS) : keepaliveMs)
}

/**
 * Whether another direct path is to be taken instead of the one in use: better by a clear margin, several times in a row,
 * lest two paths of one kind take turns. Counts; to be asked once for each answer.
 */
export const hasWon = (candidate: Candidate, current: Candidate): boolean => {
  if (candidate === current || candidate.path.relayed || current.path.relayed) return false
  const [its, ours] = [candidate.quality.costMs, current.quality.costMs]
  if (its === undefined || ours === undefined) return false
  candidate.wins = its < ours * BETTER_PART && its < ours - BETTER_MS ? candidate.wins + 1 : 0
  return candidate.wins >= WINS_MIN
}

/** Between two questions while frames are sent to the peer. */
const MEASURE_MS = 5_000
/** Between two where nobody has answered yet, once a direct path is in use. */
const RECHECK_MS = 60_000
/** How much better it must be, as a part and in milliseconds, and how often in a row. */
const BETTER_PART = 0.8
const BETTER_MS = 2
const WINS_MIN = 3

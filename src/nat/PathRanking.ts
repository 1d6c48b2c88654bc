/** Which of a peer's paths is the best one now, and what is to be said of each. */
import type * as Path from "./Path.ts"
import { type Candidate, isProven } from "./PathCandidate.ts"
import type * as PathReport from "./PathReport.ts"

/** Frames have gone unanswered for so long, or it was given up. */
export const isSilent = (candidate: Candidate, silenceMs: number, nowMs: number): boolean =>
  candidate.isLeft || nowMs > silentFromMs(candidate, silenceMs)

/** From when on it is silent, if no answer comes; `Infinity` while none is missing. */
export const silentFromMs = ({ aliveAtMs, unanswered, unansweredSinceMs }: Candidate, silenceMs: number): number =>
  unanswered < UNANSWERED_MIN ? Number.POSITIVE_INFINITY : Math.max(unansweredSinceMs, aliveAtMs) + silenceMs

/** A frame was sent that wants an answer. */
export const awaits = (candidate: Candidate, nowMs: number): void => {
  // Not the first of them: that may be the last acknowledgement before a pause, which nobody answers.
  if (candidate.unanswered === UNANSWERED_MIN - 1) candidate.unansweredSinceMs = nowMs
  candidate.unanswered += 1
}

/** The best of them; of equal ones that which opened last. */
export const best = (candidates: ReadonlyArray<Candidate>, silenceMs: number, nowMs: number): Candidate | undefined => {
  let found: Candidate | undefined
  let highest = Number.NEGATIVE_INFINITY
  for (const candidate of candidates) {
    const score = scoreOf(candidate, silenceMs, nowMs)
    const isLater = found !== undefined && score === highest && candidate.openedAtMs > found.openedAtMs
    if (score > highest || isLater) {
      found = candidate
      highest = score
    }
  }
  return found
}

/**
 * Proven and answering beats proven and silent, so that no forged source takes over what is sent; heard from beats merely
 * known. Direct beats relay, but not among silent ones: there the path that opened last does, because frames that want no
 * answer make a living path look silent.
 */
const scoreOf = (candidate: Candidate, silenceMs: number, nowMs: number): number => {
  const preference = candidate.path.relayed ? 0 : 1
  if (isProven(candidate)) return isSilent(candidate, silenceMs, nowMs) ? 10 : 30 + preference
  if (candidate.receivedBytes > 0) return 5 + preference
  return candidate.path.relayed ? 1 : 0
}

/** For whoever wants to know why. */
export const report = (
  candidate: Candidate,
  chosen: Path.Path | undefined,
  silenceMs: number,
  nowMs: number
): PathReport.Candidate => ({
  path: candidate.path,
  isChosen: candidate.path === chosen,
  isLearned: candidate.isLearned,
  verdict: verdictOf(candidate, silenceMs, nowMs),
  openedMsAgo: isProven(candidate) ? nowMs - candidate.openedAtMs : undefined,
  sentBytes: candidate.sentBytes,
  receivedBytes: candidate.receivedBytes,
  unanswered: candidate.unanswered,
  probes: candidate.quality.snapshot
})

const verdictOf = (candidate: Candidate, silenceMs: number, nowMs: number): PathReport.Verdict => {
  if (isProven(candidate)) return isSilent(candidate, silenceMs, nowMs) ? "silent" : "proven"
  if (candidate.receivedBytes > 0) return "heard"
  return candidate.isLearned ? "unanswered" : "untried"
}

/** A single lost frame is not silence. */
const UNANSWERED_MIN = 3

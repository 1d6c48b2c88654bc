/**
 * Round-trip time estimation for one path (RFC 9002 §5, RFC 6298 §2). Feed one sample per acknowledgement
 * that newly acknowledges the largest outstanding segment. All times are milliseconds.
 */

/** The estimate. Until `hasSample`, every field derives from the configured initial RTT. */
export interface RttEstimator {
  readonly hasSample: boolean
  readonly latestRttMs: number
  readonly minRttMs: number
  readonly smoothedRttMs: number
  readonly rttVarMs: number
}

/** Bounds of the retransmission timeout. */
export interface TimeoutLimits {
  readonly minMs: number
  readonly maxMs: number
  /** The longest that the peer holds an acknowledgement back, which the estimate does not contain. */
  readonly ackDelayMs: number
}

/** The estimate before any sample (RFC 9002 §6.2.2). */
export const make = (initialRttMs: number): RttEstimator => ({ ...first(initialRttMs), hasSample: false })

/**
 * Folds one sample into the estimate. `ackDelayMs` is the longest that the peer may have held the answer back; the wire does
 * not say how long it did. So much is taken off as leaves no less than the minimum, which ignores it: timers add the whole
 * delay again, and are never too short.
 */
export const update = (self: RttEstimator, rttMs: number, ackDelayMs: number): RttEstimator => {
  if (!self.hasSample) return first(rttMs)
  const minRttMs = Math.min(self.minRttMs, rttMs)
  const adjustedRttMs = Math.max(minRttMs, rttMs - ackDelayMs)
  // The variance reads the previous smoothed RTT, so it comes first (RFC 6298 §2.3).
  const rttVarMs = 0.75 * self.rttVarMs + 0.25 * Math.abs(self.smoothedRttMs - adjustedRttMs)
  const smoothedRttMs = 0.875 * self.smoothedRttMs + 0.125 * adjustedRttMs
  return { hasSample: true, latestRttMs: rttMs, minRttMs, smoothedRttMs, rttVarMs }
}

/** An answer that comes sooner is to something earlier. Before any sample nothing is too soon, however much is assumed. */
export const leastMs = (self: RttEstimator): number => (self.hasSample ? self.minRttMs : 0)

/** By when what the peer answers at once should have been answered (RFC 9002 §6.2.1 without the acknowledgement delay). */
export const answerTimeoutMs = (self: RttEstimator): number =>
  self.smoothedRttMs + Math.max(LATENESS_MS, 4 * self.rttVarMs)

/** Retransmission timeout after `expiries` timeouts in a row (RFC 6298 §2.3, §5.5). */
export const retransmissionTimeoutMs = (self: RttEstimator, limits: TimeoutLimits, expiries: number): number => {
  const baseMs = self.smoothedRttMs + Math.max(GRANULARITY_MS, 4 * self.rttVarMs) + limits.ackDelayMs
  return Math.min(limits.maxMs, Math.max(limits.minMs, baseMs) * 2 ** expiries)
}

const first = (rttMs: number): RttEstimator => ({
  hasSample: true,
  latestRttMs: rttMs,
  minRttMs: rttMs,
  smoothedRttMs: rttMs,
  rttVarMs: rttMs / 2
})

/** Timer granularity (RFC 9002 §6.1.2). */
const GRANULARITY_MS = 1
/** What two busy event loops may add to a round trip at any time (wire §8 has the same floor). */
const LATENESS_MS = 10

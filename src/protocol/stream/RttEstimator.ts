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
}

/** The estimate before any sample (RFC 9002 §6.2.2). */
export const make = (initialRttMs: number): RttEstimator => ({ ...first(initialRttMs), hasSample: false })

/**
 * Folds one sample into the estimate. `ackDelayMs` is the delay the peer reports, already capped; 0 if the
 * wire carries none. The minimum ignores it, so a lying peer cannot pull the estimate below `minRttMs`.
 */
export const update = (self: RttEstimator, rttMs: number, ackDelayMs: number): RttEstimator => {
  if (!self.hasSample) return first(rttMs)
  const minRttMs = Math.min(self.minRttMs, rttMs)
  const adjustedRttMs = rttMs >= minRttMs + ackDelayMs ? rttMs - ackDelayMs : rttMs
  // The variance reads the previous smoothed RTT, so it comes first (RFC 6298 §2.3).
  const rttVarMs = 0.75 * self.rttVarMs + 0.25 * Math.abs(self.smoothedRttMs - adjustedRttMs)
  const smoothedRttMs = 0.875 * self.smoothedRttMs + 0.125 * adjustedRttMs
  return { hasSample: true, latestRttMs: rttMs, minRttMs, smoothedRttMs, rttVarMs }
}

/** Retransmission timeout after `expiries` timeouts in a row (RFC 6298 §2.3, §5.5). */
export const retransmissionTimeoutMs = (self: RttEstimator, limits: TimeoutLimits, expiries: number): number => {
  const baseMs = self.smoothedRttMs + Math.max(GRANULARITY_MS, 4 * self.rttVarMs)
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

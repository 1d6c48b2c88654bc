/**
 * What a stream's sender does over time, for plots and diagnosis: see `Connection.observe`. A sample is taken at the end of
 * each `drain` of a synchronized stream, so after every batch of acknowledgements, every write and every timer. A stream
 * that nobody observes takes none.
 */
import type { Sender } from "./Sender.ts"

/** One instant of one sender. Times are milliseconds. */
export interface StreamSample {
  /** Of the owner's clock, as given to `drain`. */
  readonly atMs: number
  readonly congestionWindowBytes: number
  /** `Infinity` until the path's capacity or a first loss is known. */
  readonly slowStartThresholdBytes: number
  /** Payload bytes per millisecond at which segments may leave. */
  readonly pacingBytesPerMs: number
  /** Payload bytes believed to be on their way. */
  readonly bytesInFlight: number
  /** Payload bytes sent since the stream began, repeats included, and segments repeated. */
  readonly bytesSent: number
  readonly retransmits: number
  /** Of the last measurement, smoothed, and the least of the stream; 0 until the first measurement. */
  readonly latestRttMs: number
  readonly smoothedRttMs: number
  readonly minRttMs: number
  /** A loss is being repaired. */
  readonly isInRecovery: boolean
}

/** Takes samples; called on the packet path, must not wait and must not throw. */
export type Observer = (sample: StreamSample) => void

/** Reads a sample off a sender. */
export const make = ({ bytesInFlight, recovery, stats }: Sender, atMs: number): StreamSample => {
  const { congestion, isActive, rtt } = recovery
  return {
    atMs,
    congestionWindowBytes: congestion.congestionWindow,
    slowStartThresholdBytes: congestion.slowStartThreshold,
    pacingBytesPerMs: congestion.pacingBytesPerMs(rtt.smoothedRttMs),
    bytesInFlight,
    bytesSent: stats.bytes,
    retransmits: stats.retransmits,
    latestRttMs: rtt.hasSample ? rtt.latestRttMs : 0,
    smoothedRttMs: rtt.hasSample ? rtt.smoothedRttMs : 0,
    minRttMs: rtt.hasSample ? rtt.minRttMs : 0,
    isInRecovery: isActive
  }
}

/** What a stream tells of itself (the columns of node §1.7 that a stream knows). */
import * as ConnectionState from "./ConnectionState.ts"
import type { Receiver } from "./Receiver.ts"
import type { Sender } from "./Sender.ts"

/** A snapshot. Times are 0 until the first round trip was measured; an unlimited threshold is `MAX_SAFE_INTEGER`. */
export interface ConnectionStats {
  readonly state: string
  /** Payload bytes of data segments sent, repeats included. */
  readonly bytesSent: number
  /** Payload bytes received, repeats not included. */
  readonly bytesReceived: number
  readonly segmentsSent: number
  readonly segmentsReceived: number
  readonly congestionWindowBytes: number
  readonly slowStartThresholdBytes: number
  readonly bytesInFlight: number
  readonly smoothedRttMs: number
  readonly rttVarMs: number
  readonly retransmits: number
  readonly fastRetransmits: number
  readonly duplicateAcks: number
  readonly sackSent: number
  readonly sackReceived: number
  readonly unackedSegments: number
  readonly outOfOrderSegments: number
  readonly peerWindowSegments: number
  readonly windowSegments: number
  readonly inRecovery: boolean
}

/** Reads the snapshot off the parts of a connection. */
export const make = (
  state: ConnectionState.ConnectionState,
  { bytesInFlight, recovery, stats, unackedSegments, window }: Sender,
  { buffer, bytesReceived, sackSent, segmentsReceived }: Receiver
): ConnectionStats => {
  const { congestion, fastRetransmits, isActive, rtt } = recovery
  return {
    state: ConnectionState.label(state),
    bytesSent: stats.bytes,
    bytesReceived,
    segmentsSent: stats.segments,
    segmentsReceived,
    congestionWindowBytes: Math.floor(congestion.congestionWindow),
    slowStartThresholdBytes: Math.min(Number.MAX_SAFE_INTEGER, congestion.slowStartThreshold),
    bytesInFlight,
    smoothedRttMs: rtt.hasSample ? rtt.smoothedRttMs : 0,
    rttVarMs: rtt.hasSample ? rtt.rttVarMs : 0,
    retransmits: stats.retransmits,
    fastRetransmits,
    duplicateAcks: stats.duplicateAcks,
    sackSent,
    sackReceived: stats.sackReceived,
    unackedSegments,
    outOfOrderSegments: buffer.heldSegments,
    peerWindowSegments: window.segments,
    windowSegments: buffer.freeSegments,
    inRecovery: isActive
  }
}

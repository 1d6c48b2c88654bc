/**
 * What the owner of a stream decides: sizes, times and limits. The defaults obey wire §8 where a peer depends on a value
 * and are our own choice elsewhere.
 */
import { Capability } from "../wire/Announcement.ts"
import type { PathRtt } from "./PathRtt.ts"
import type { ReceiveBudget } from "./ReceiveBudget.ts"

/**
 * Times are milliseconds, sizes bytes unless the name says segments. What depends on the peer's announcement may change
 * while a stream lives, and is read at each use.
 */
export interface StreamConfig {
  /** Payload of the largest segment sent: follows the path, so it may change while a stream lives. */
  readonly segmentBytesMax: number
  /** Bytes written but not yet acknowledged; `write` accepts no more than fits. */
  readonly sendBufferBytesMax: number
  /** Delivered bytes that wait for the reader before the window closes. Twice this is ever held (see `ReceiveBuffer`). */
  readonly receiveBytesMax: number
  /** What all streams of the node hold together; absent: only the stream's own limit counts. */
  readonly receiveBudget: ReceiveBudget | undefined
  /** The same limit in segments, which bounds the overhead of tiny ones. */
  readonly receiveSegmentsMax: number
  /** What a stream begins with: sends a short segment at once even while earlier bytes are unacknowledged (wire §10.1: Nagle off). */
  readonly noDelay: boolean
  /** The longest that Nagle holds a short segment. */
  readonly nagleDelayMs: number
  /** The longest that an acknowledgement waits for a second segment or for data to ride on. */
  readonly ackDelayMs: number
  /** Congestion window of a new stream. */
  readonly initialWindowSegments: number
  readonly congestionControl: "Bbr" | "Cubic" | "NewReno"
  /** Of the path that segments take: the same for all streams on it, another one once it changes. Absent: the stream's own. */
  readonly path: PathRtt | undefined
  /** Stands for the RTT until there is a sample (RFC 9002 §6.2.2). */
  readonly initialRttMs: number
  readonly retransmitMinMs: number
  readonly retransmitMaxMs: number
  /** Without any progress for so long, with data that should have been acknowledged, the stream ends with `Timeout`. */
  readonly giveUpMs: number
  /** First repeat of a SYN on a path not measured yet; later ones double up to `synRetryMaxMs`. */
  readonly synRetryMs: number
  readonly synRetryMaxMs: number
  /** A dial without answer for so long fails with `Timeout`. */
  readonly dialTimeoutMs: number
  /** Window probe: first after `probeMinMs` blocked, doubling to `probeMaxMs`. */
  readonly probeMinMs: number
  readonly probeMaxMs: number
  /** After `close`, what was written is dropped when nothing has been acknowledged for so long. */
  readonly lingerMs: number
  /** First repeat of a FIN, doubling, `finRetriesMax` times. */
  readonly finRetryMs: number
  readonly finRetriesMax: number
  /** How long a FIN waits for the data before it. */
  readonly finHoldMs: number
  readonly timeWaitMs: number
  /** Nothing sent for so long: an empty ACK. */
  readonly keepaliveMs: number
  /** Nothing heard from the peer, and no data sent, for so long: the stream is closed. */
  readonly idleMs: number
  /** After `close`, an end of the peer that does not come is waited for so long; then it is told that nobody reads. */
  readonly finWaitMs: number
  /** What the peer takes one slot of its window to hold. */
  readonly peerSlotBytes: number
  /** Empty duplicate ACKs per hole, by which v1.2/1.3 finds a loss (wire §10.4); 0 for a peer known to count SACK. */
  readonly duplicateAcksPerHole: number
  /** The peer means it when it advertises 0 (wire §10.3: the later reference and ours). */
  readonly isZeroWindowClosed: boolean
  /** The peer is known to start its sequence at 0 whatever a repeated SYN-ACK says (wire §9.2: v1.2/1.3). */
  readonly isPeerSequenceFromZero: boolean
  /** Both ends have announced that a FIN ends one direction only (wire §17 bit 0). */
  readonly isHalfClose: boolean
  /** Both ends have announced that resets carry a reason, so that they may also answer what belongs to no stream (bit 1). */
  readonly hasResetReasons: boolean
  /** Both ends have announced that segments may be re-cut when they are sent again (bit 2). */
  readonly isRecut: boolean
  /** The peer draws its initial sequences at random, so that a SYN with the same one is the same SYN. */
  readonly isPeerSequenceRandom: boolean
}

/** Relay wrapping 9, PILS 36, packet header 34 (wire §3, §4). */
const OVERHEAD_BYTES = 9 + 36 + 34
/** Fits a UDP payload of 1200 bytes, sealed and relayed: what every path carries (architecture, decision 7). */
export const SEGMENT_BYTES_BASE = 1200 - OVERHEAD_BYTES
/** Fits one of 548 bytes, which every host accepts, for the path on which even the base vanishes. */
export const SEGMENT_BYTES_FLOOR = 548 - OVERHEAD_BYTES

/** What a stream uses unless told otherwise. */
export const defaults: StreamConfig = {
  segmentBytesMax: SEGMENT_BYTES_BASE,
  sendBufferBytesMax: 4 * 1024 * 1024,
  receiveBytesMax: 4 * 1024 * 1024,
  receiveBudget: undefined,
  receiveSegmentsMax: 4096,
  noDelay: false,
  nagleDelayMs: 40,
  ackDelayMs: 40,
  initialWindowSegments: 32,
  congestionControl: "Bbr",
  path: undefined,
  initialRttMs: 333,
  retransmitMinMs: 200,
  retransmitMaxMs: 10_000,
  giveUpMs: 30_000,
  synRetryMs: 250,
  synRetryMaxMs: 2_000,
  dialTimeoutMs: 30_000,
  probeMinMs: 500,
  probeMaxMs: 30_000,
  lingerMs: 10_000,
  finRetryMs: 250,
  finRetriesMax: 5,
  finHoldMs: 5_000,
  timeWaitMs: 10_000,
  keepaliveMs: 30_000,
  idleMs: 120_000,
  finWaitMs: 10_000,
  peerSlotBytes: 4096,
  duplicateAcksPerHole: 3,
  isZeroWindowClosed: false,
  isPeerSequenceFromZero: false,
  isHalfClose: false,
  hasResetReasons: false,
  isRecut: false,
  isPeerSequenceRandom: false
}

/** The defaults with some of them replaced. */
export const make = (options: Partial<StreamConfig>): StreamConfig => ({ ...defaults, ...options })

/** What follows from the capabilities that both ends have announced (wire §17). */
export const announced = (capabilities: number): Partial<StreamConfig> => ({
  isHalfClose: (capabilities & Capability.HalfClose) !== 0,
  hasResetReasons: (capabilities & Capability.ResetReason) !== 0,
  isRecut: (capabilities & Capability.Recut) !== 0,
  // Of our own kind: it counts SACK, draws its sequences, and means a window of 0, which it never sends.
  isPeerSequenceRandom: true,
  isZeroWindowClosed: true,
  duplicateAcksPerHole: 0
})

/** What holds again when the peer has yet to announce anything: what `own` says of those fields. */
export const unannounced = (own: StreamConfig): Partial<StreamConfig> => ({
  isHalfClose: own.isHalfClose,
  hasResetReasons: own.hasResetReasons,
  isRecut: own.isRecut,
  isPeerSequenceRandom: own.isPeerSequenceRandom,
  isZeroWindowClosed: own.isZeroWindowClosed,
  duplicateAcksPerHole: own.duplicateAcksPerHole
})

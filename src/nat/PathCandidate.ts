/** One path to a peer with what a `PathSelector` knows of it. All instants are of the monotonic clock. */
import type * as Path from "./Path.ts"
import { PathQuality } from "./PathQuality.ts"

/**
 * What opened: the peer's data, or a probe of a path. Data goes by the path that its sender uses; a probe may have come
 * although nothing gets back. One that only measures does not even say that the peer is there rather than elsewhere.
 */
export type Opened = "Data" | "Probe" | "Measure"

/** Mutable, owned by its selector. */
export interface Candidate {
  readonly path: Path.Path
  /** IP and UDP headers of each datagram on it. */
  readonly headersBytes: number
  /** Named by the registry, the beacon or the peer, not only by the source address of datagrams that anybody may have sent. */
  isLearned: boolean
  receivedBytes: number
  sentBytes: number
  openedAtMs: number
  /** When it last carried something both ways, or the peer's data: not only a probe, of which nobody knows whether its answer gets back. */
  aliveAtMs: number
  /** Given up until it is seen alive again: the peer or this node has gone elsewhere, or it fell silent. */
  isLeft: boolean
  /** Frames sent since a frame last opened on this path, and when so many had gone that an answer is missing. */
  unanswered: number
  unansweredSinceMs: number
  probedAtMs: number
  probes: number
  measuredAtMs: number
  readonly quality: PathQuality
  /** Comparisons in a row in which it was better than the path in use. */
  wins: number
}

/** A path of which nothing is known. */
export const make = (path: Path.Path): Candidate => ({
  path,
  headersBytes: isIpv6(path) ? UDP_BYTES + IPV6_BYTES : UDP_BYTES + IPV4_BYTES,
  isLearned: false,
  receivedBytes: 0,
  sentBytes: 0,
  openedAtMs: Number.NEGATIVE_INFINITY,
  aliveAtMs: Number.NEGATIVE_INFINITY,
  isLeft: false,
  unanswered: 0,
  unansweredSinceMs: 0,
  probedAtMs: Number.NEGATIVE_INFINITY,
  probes: 0,
  measuredAtMs: Number.NEGATIVE_INFINITY,
  quality: new PathQuality(),
  wins: 0
})

/** An authenticated frame has come by it. */
export const isProven = (candidate: Candidate): boolean => candidate.openedAtMs > Number.NEGATIVE_INFINITY

/** It carries again. */
export const revive = (candidate: Candidate, nowMs: number): void => {
  candidate.aliveAtMs = nowMs
  candidate.unanswered = 0
  candidate.isLeft = false
}

/** Books a datagram if it may go: all it wants to a proven path, three times what came to another (RFC 9000 §8.1). */
export const book = (candidate: Candidate, payloadBytes: number): boolean => {
  const sentBytes = candidate.sentBytes + payloadBytes + candidate.headersBytes
  if (!isProven(candidate) && sentBytes > AMPLIFICATION_MAX * candidate.receivedBytes) return false
  candidate.sentBytes = sentBytes
  return true
}

/** An IPv4 address in the form of IPv6 still travels with the smaller header. */
const isIpv6 = ({ endpoint }: Path.Path): boolean =>
  endpoint?.host.includes(":") === true && !endpoint.host.toLowerCase().startsWith("::ffff:")

const UDP_BYTES = 8
const IPV4_BYTES = 20
const IPV6_BYTES = 40
/** RFC 9000 §8.1. */
const AMPLIFICATION_MAX = 3

/** How the access of a simulated host is described: by what people know of a link, the same in both directions. */
import * as Link from "./Link.ts"
import type { Access } from "./VirtualNetwork.ts"

/** What is not said is as it is for everybody. */
export interface SimLink {
  /** What this access adds to a round trip. */
  readonly rttMs?: number
  /** At most so much more, each way. */
  readonly jitterMs?: number
  /** Probability, per datagram and direction. */
  readonly loss?: number
  /** Losses that come together. */
  readonly bursts?: Link.Bursts
  readonly duplication?: number
  readonly reordering?: number
  readonly bitsPerSecond?: number
  readonly queueBytes?: number
  /** Of IP packets. */
  readonly mtuBytes?: number
}

/** What a host has unless told otherwise: a good home connection. */
export const defaults: SimLink = { rttMs: 20, mtuBytes: 1500 }

/** Both directions of an access. */
export const access = (link: SimLink): Access => {
  const direction: Link.Link = {
    delayMs: (link.rttMs ?? 0) / 2,
    jitterMs: link.jitterMs ?? 0,
    lossRate: link.loss ?? 0,
    bursts: link.bursts,
    duplicationRate: link.duplication ?? 0,
    reorderRate: link.reordering ?? 0,
    bitsPerSecond: link.bitsPerSecond ?? Link.PERFECT.bitsPerSecond,
    queueBytes: link.queueBytes ?? QUEUE_BYTES,
    mtuBytes: link.mtuBytes ?? Link.PERFECT.mtuBytes
  }
  return { up: direction, down: direction }
}

/** Of a link with a rate, unless told otherwise: what cheap routers have. */
const QUEUE_BYTES = 256 * 1024

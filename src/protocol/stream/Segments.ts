/**
 * The segments that a stream sends, in their exact forms (wire §9.2, §9.4, §10.1, §10.4), and how it tells those of a peer
 * apart that carry data from those that carry SACK.
 */
import { Result } from "effect"
import { Flag, type Segment } from "../wire/Packet.ts"
import * as ResetReason from "../wire/ResetReason.ts"
import * as SackBlocks from "../wire/SackBlocks.ts"
import { toWire } from "./Position.ts"

/** SYN: first of the initiator. */
export const syn = (start: number, window: number): Segment => make(Flag.Syn, toWire(start), 0, window, EMPTY)

/** SYN|ACK: its sequence is the original one, however often it is repeated (wire §9.2 "better"). */
export const synAck = (start: number, acknowledgement: number, window: number): Segment =>
  make(Flag.Syn | Flag.Ack, toWire(start), toWire(acknowledgement), window, EMPTY)

/** ACK with data, with a SACK payload, or empty. */
export const ack = (sequence: number, acknowledgement: number, window: number, payload: Uint8Array): Segment =>
  make(Flag.Ack, toWire(sequence), toWire(acknowledgement), window, payload)

/** FIN: no acknowledgement, window 0 (wire §9.4). */
export const fin = (sequence: number): Segment => make(Flag.Fin, toWire(sequence), 0, 0, EMPTY)

/** FIN|ACK, the answer to a bare FIN. */
export const finAck = (sequence: number, acknowledgement: number): Segment =>
  make(Flag.Fin | Flag.Ack, toWire(sequence), toWire(acknowledgement), 0, EMPTY)

/** RST: all numbers 0 (wire §9.4). */
export const reset: Segment = {
  flags: Flag.Rst,
  sequence: 0,
  acknowledgement: 0,
  window: 0,
  payload: new Uint8Array(0)
}

/** RST with its reason, for a peer that announced that it reads it (wire §17 bit 1). */
export const resetFor = (reason: ResetReason.ResetReason): Segment => ({
  ...reset,
  payload: ResetReason.encode(reason)
})

/** No payload. */
export const EMPTY = reset.payload

/** The SACK blocks that a payload is made of; none if it is data. */
export const blocksOf = (payload: Uint8Array): ReadonlyArray<SackBlocks.SackBlock> => {
  // Data is the common case, and must not pay for a failed decoding.
  if (!SackBlocks.looksLikeSack(payload)) return NO_BLOCKS
  return Result.getOrElse(SackBlocks.decode(payload), () => NO_BLOCKS)
}

// One constructor, so that every segment has the same hidden class on the packet path.
const make = (
  flags: number,
  sequence: number,
  acknowledgement: number,
  window: number,
  payload: Uint8Array
): Segment => ({ flags, sequence, acknowledgement, window, payload })

const NO_BLOCKS: ReadonlyArray<SackBlocks.SackBlock> = []

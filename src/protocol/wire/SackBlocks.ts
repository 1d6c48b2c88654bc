/**
 * Selective acknowledgement (wire §10.4): the payload of an empty ACK names up to four blocks held beyond the
 * cumulative acknowledgement.
 *
 * ```
 * 0  "SACK"   4  number of blocks, 1-4   5 + 8i  left: first sequence held (4)   9 + 8i  right: after the last (4)
 * ```
 */
import { Result } from "effect"
import * as Bytes from "../../core/data/Bytes.ts"
import * as SerialNumber from "../../core/data/SerialNumber.ts"
import * as DecodeError from "./DecodeError.ts"

/** Sequence numbers from `left` up to but not including `right`, on the circle of 2^32. */
export interface SackBlock {
  readonly left: number
  readonly right: number
}

/** Blocks that one acknowledgement carries. */
export const BLOCKS_MAX = 4

/** Bytes of `SACK` alone, which no reader takes for an acknowledgement. */
export const MAGIC_BYTES = 4

/**
 * Whether a payload would be taken for an acknowledgement. A sender must cut such data in two, the first four bytes
 * alone, because the receiver would swallow it (wire §10.1).
 */
export const looksLikeSack = (payload: Uint8Array): boolean =>
  payload.length >= HEADER_BYTES &&
  Bytes.readU32(payload, 0) === MAGIC &&
  payload[4]! >= 1 &&
  payload[4]! <= BLOCKS_MAX &&
  payload.length >= HEADER_BYTES + BLOCK_BYTES * payload[4]!

/** Reads the blocks as sent, not normalised; bytes after them are ignored. Fails exactly when it is data. */
export const decode = (payload: Uint8Array): Result.Result<ReadonlyArray<SackBlock>, DecodeError.DecodeError> => {
  if (!looksLikeSack(payload)) return DecodeError.badMagic
  const blocks: Array<SackBlock> = []
  for (let offset = HEADER_BYTES; blocks.length < payload[4]!; offset += BLOCK_BYTES)
    blocks.push({ left: Bytes.readU32(payload, offset), right: Bytes.readU32(payload, offset + 4) })
  return Result.succeed(blocks)
}

/** The payload for the first four blocks; no bytes for none. */
export const encode = (blocks: ReadonlyArray<SackBlock>): Uint8Array => {
  const count = Math.min(blocks.length, BLOCKS_MAX)
  if (count === 0) return Bytes.empty
  const payload = new Uint8Array(HEADER_BYTES + BLOCK_BYTES * count)
  Bytes.writeU32(payload, 0, MAGIC)
  payload[4] = count
  for (let index = 0; index < count; index++) {
    Bytes.writeU32(payload, HEADER_BYTES + BLOCK_BYTES * index, blocks[index]!.left)
    Bytes.writeU32(payload, HEADER_BYTES + BLOCK_BYTES * index + 4, blocks[index]!.right)
  }
  return payload
}

/**
 * Ascending and merged where they touch or overlap, by serial number (the reference compares plainly and fails at the
 * wrap). Empty and reversed blocks, and what does not lie after `acknowledged`, are left out: a peer's claim about
 * them means nothing.
 */
export const normalize = (blocks: ReadonlyArray<SackBlock>, acknowledged: number): ReadonlyArray<SackBlock> => {
  const ascending = blocks
    .filter(({ left, right }) => SerialNumber.isAfter(right, left) && SerialNumber.isAfter(left, acknowledged))
    .toSorted((a, b) => SerialNumber.difference(a.left, acknowledged) - SerialNumber.difference(b.left, acknowledged))
  const merged: Array<SackBlock> = []
  for (const block of ascending) {
    const last = merged.at(-1)
    if (last !== undefined && SerialNumber.isAtOrAfter(last.right, block.left))
      merged[merged.length - 1] = { left: last.left, right: SerialNumber.max(last.right, block.right) }
    else merged.push(block)
  }
  return merged
}

const MAGIC = 0x5341434b
const HEADER_BYTES = 5
const BLOCK_BYTES = 8

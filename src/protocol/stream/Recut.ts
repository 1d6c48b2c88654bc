/**
 * Cutting segments anew when they are sent again (wire §17 bit 2): the path takes less than it did, or may take less; and many
 * small ones in a row, each of which would cost a datagram, go as one (RFC 9293 §3.8.6 "repacketization"). Only for peers that trim overlaps; old ones match segments by their exact start (wire §10.2).
 */
import * as SackBlocks from "../wire/SackBlocks.ts"
import type { SackScoreboard } from "./SackScoreboard.ts"
import type { SentSegment } from "./SentSegment.ts"

/**
 * Leaves no more than `bytes` of a segment that is about to be sent again, the rest follows it on the scoreboard; or fills it up
 * from those behind it.
 */
export const fit = (board: SackScoreboard, segment: SentSegment, bytes: number): void => {
  // The peer has it, and is only asked for a sign of life.
  if (segment.fate === "Sacked") return
  if (segment.payload.length > bytes) board.cut(segment, bytes)
  else board.join(segment, bytes)
  // A piece that reads as SACK would be swallowed by the peer, so its first four bytes travel alone (wire §10.1).
  if (SackBlocks.looksLikeSack(segment.payload)) board.cut(segment, SackBlocks.MAGIC_BYTES)
}

/** The end of the last segment that the peer is not known to hold: at most `bytes` of it. */
export const tail = (board: SackScoreboard, bytes: number): SentSegment | undefined => {
  const last = board.highestMissing
  return last !== undefined && last.payload.length > bytes ? board.cut(last, last.payload.length - bytes) : last
}

/**
 * Positions in a stream: sequence numbers that do not wrap. A position is the 32-bit sequence number plus as many times
 * 2^32 as the stream has gone round, so that buffers compare, subtract and sort with plain arithmetic. Only the two
 * functions below meet the wire. Exact up to 2^53, which a stream does not reach.
 */

/** The sequence number that stands for a position on the wire. */
export const toWire = (position: number): number => position >>> 0

/** The position nearest to `near` that a sequence number can mean (wire §8: the signed 32-bit difference decides). */
export const fromWire = (sequence: number, near: number): number => near + ((sequence - near) | 0)

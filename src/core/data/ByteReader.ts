/**
 * A cursor over bytes for formats read field by field. Reading past the end yields zero or no bytes and marks the
 * reader as overrun, so a decoder reads all its fields and asks once at the end.
 */
import * as Bytes from "./Bytes.ts"

/** The cursor, mutated by every read; it has one owner, the decoder. */
export interface ByteReader {
  readonly bytes: Uint8Array
  /** Of the next byte to read. */
  offset: number
  /** Whether any read asked for more than there was. Never cleared. */
  isOverrun: boolean
}

/** At the first byte. */
export const make = (bytes: Uint8Array): ByteReader => ({ bytes, offset: 0, isOverrun: false })

/** Bytes not yet read. */
export const remaining = (self: ByteReader): number => self.bytes.length - self.offset

/** The next 8 bits; 0 past the end. */
export const u8 = (self: ByteReader): number => {
  const offset = advance(self, 1)
  return offset < 0 ? 0 : self.bytes[offset]!
}

/** The next 16 bits; 0 past the end. */
export const u16 = (self: ByteReader): number => {
  const offset = advance(self, 2)
  return offset < 0 ? 0 : Bytes.readU16(self.bytes, offset)
}

/** The next 32 bits; 0 past the end. */
export const u32 = (self: ByteReader): number => {
  const offset = advance(self, 4)
  return offset < 0 ? 0 : Bytes.readU32(self.bytes, offset)
}

/** The next 64 bits; 0 past the end, `undefined` above 2^53 − 1. */
export const u64 = (self: ByteReader): number | undefined => {
  const offset = advance(self, 8)
  return offset < 0 ? 0 : Bytes.readU64(self.bytes, offset)
}

/** A view of the next `sizeBytes`; empty past the end. A length from the wire allocates nothing. */
export const take = (self: ByteReader, sizeBytes: number): Uint8Array => {
  const offset = advance(self, sizeBytes)
  return offset < 0 ? Bytes.empty : self.bytes.subarray(offset, offset + sizeBytes)
}

/** A view of everything left. */
export const rest = (self: ByteReader): Uint8Array => take(self, remaining(self))

const advance = (self: ByteReader, sizeBytes: number): number => {
  if (self.isOverrun || sizeBytes > remaining(self)) {
    self.isOverrun = true
    return -1
  }
  const offset = self.offset
  self.offset += sizeBytes
  return offset
}

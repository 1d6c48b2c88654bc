/**
 * CRC-32 of IEEE 802.3 (reflected polynomial EDB88320, initial and final value FFFFFFFF), sixteen bytes at a time by
 * table look-up: about 1.5 GB/s, which is near the cost of AES-GCM, so the packet path may bring a faster `Update`.
 */

/**
 * Extends the CRC of what came before by `bytes[start, end)`. The CRC of nothing is 0; updating piece by piece equals
 * updating at once.
 */
export type Update = (crc: number, bytes: Uint8Array, start: number, end: number) => number

/** The CRC of `bytes`. */
export const checksum = (bytes: Uint8Array): number => update(0, bytes, 0, bytes.length)

/** The portable `Update`. */
export const update: Update = (crc, bytes, start, end) => {
  let c = ~crc
  let i = start
  for (; i + 16 <= end; i += 16) {
    // The first four bytes meet the running CRC; table k advances a byte by k further bytes of zeros.
    c =
      T[0xf00 + (bytes[i]! ^ (c & 0xff))]! ^
      T[0xe00 + (bytes[i + 1]! ^ ((c >>> 8) & 0xff))]! ^
      T[0xd00 + (bytes[i + 2]! ^ ((c >>> 16) & 0xff))]! ^
      T[0xc00 + (bytes[i + 3]! ^ (c >>> 24))]! ^
      T[0xb00 + bytes[i + 4]!]! ^
      T[0xa00 + bytes[i + 5]!]! ^
      T[0x900 + bytes[i + 6]!]! ^
      T[0x800 + bytes[i + 7]!]! ^
      T[0x700 + bytes[i + 8]!]! ^
      T[0x600 + bytes[i + 9]!]! ^
      T[0x500 + bytes[i + 10]!]! ^
      T[0x400 + bytes[i + 11]!]! ^
      T[0x300 + bytes[i + 12]!]! ^
      T[0x200 + bytes[i + 13]!]! ^
      T[0x100 + bytes[i + 14]!]! ^
      T[bytes[i + 15]!]!
  }
  for (; i < end; i++) c = (c >>> 8) ^ T[(c ^ bytes[i]!) & 0xff]!
  return ~c >>> 0
}

/** Sixteen tables of 256 entries: `T[256 * k + b]` is the CRC register after byte `b` and `k` zero bytes. */
const makeTables = (): Uint32Array => {
  const tables = new Uint32Array(16 * 256)
  for (let byte = 0; byte < 256; byte++) {
    let register = byte
    for (let bit = 0; bit < 8; bit++) register = register & 1 ? (register >>> 1) ^ 0xedb88320 : register >>> 1
    tables[byte] = register
  }
  for (let entry = 256; entry < tables.length; entry++) {
    const previous = tables[entry - 256]!
    tables[entry] = (previous >>> 8) ^ tables[previous & 0xff]!
  }
  return tables
}

const T = makeTables()

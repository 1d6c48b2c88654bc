/**
 * CRC-32 by zlib, for the packet path: 5 GB/s on large datagrams where the portable tables reach 1.5, but its call costs
 * more than the tables need for a header.
 */
import { crc32 } from "node:zlib"
import * as Crc32 from "../data/Crc32.ts"

/** The faster of both for each length; a `Crc32.Update` for `Packet.encode` and `Packet.decode`. */
export const update: Crc32.Update = (crc, bytes, start, end) =>
  end - start < NATIVE_BYTES_MIN ? Crc32.update(crc, bytes, start, end) : crc32(bytes.subarray(start, end), crc)

/** Where the native call begins to pay; measured on Node 24. */
const NATIVE_BYTES_MIN = 320

/**
 * A standing checker: nothing that users write is seen on the wire, and no frame of the plain kind (wire §3) is. It looks
 * into every datagram that leaves a host, relayed ones too.
 */
import { Result } from "effect"
import * as BeaconMessage from "../protocol/wire/BeaconMessage.ts"

/** Mutable; one for each simulated world. */
export class ClearText {
  /** Datagrams looked into. */
  checked = 0
  readonly #markers: Array<Buffer> = []
  #next = 0

  /** What was written must not be seen. Of short texts nothing is remembered: they occur by chance. */
  written(bytes: Uint8Array): void {
    if (bytes.length < MARKER_BYTES || isUniform(bytes)) return
    this.#markers[this.#next] = Buffer.from(bytes.slice(0, MARKER_BYTES))
    this.#next = (this.#next + 1) % MARKERS_MAX
  }

  /** What is wrong with a datagram, if anything. */
  problemWith(bytes: Uint8Array): string | undefined {
    this.checked++
    if (isPlain(frameOf(bytes))) return "a plain frame on the wire"
    const datagram = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
    return this.#markers.some((marker) => datagram.includes(marker)) ? "what a user wrote, in clear" : undefined
  }
}

/** The frame inside a relayed datagram, else the datagram. */
const frameOf = (bytes: Uint8Array): Uint8Array => {
  const first = bytes[0]
  if (first === undefined || first > RELAY_TYPES_MAX) return bytes
  const message = Result.getOrUndefined(BeaconMessage.decode(bytes))
  return message !== undefined && "frame" in message ? message.frame : bytes
}

const isPlain = (frame: Uint8Array): boolean => PLAIN.every((byte, index) => frame[index] === byte)

/** Zeros are seen in padding, and tell nothing. */
const isUniform = (bytes: Uint8Array): boolean => bytes.subarray(0, MARKER_BYTES).every((byte) => byte === bytes[0])

/** `PILT`. */
const PLAIN = [0x50, 0x49, 0x4c, 0x54]
/** Beacon messages have small type bytes, frames begin with a letter. */
const RELAY_TYPES_MAX = 0x0a
/** Long enough not to occur by chance. */
const MARKER_BYTES = 16
/** The latest writes; each costs a search in every datagram. */
const MARKERS_MAX = 16

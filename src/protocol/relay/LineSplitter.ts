/**
 * Cuts a byte stream into lines (mcp §2.1): newlines are found in bytes, so a character split between chunks needs no
 * care; `\r\n` counts as a newline, blank lines are dropped. Mutable inside the one fiber that reads the stream.
 */
import { Data } from "effect"
import { EnvelopeScan } from "./EnvelopeScan.ts"
import type { Envelope } from "./JsonRpcPeek.ts"

/**
 * A whole line without its newline, or what is known of one that passed the bound: it is not kept, but the request it
 * answers or makes can still be told.
 */
export type Line = Data.TaggedEnum<{
  Whole: { readonly bytes: Uint8Array }
  Oversized: { readonly sizeBytes: number; readonly envelope: Envelope | undefined }
}>
/** Constructors of `Line`. */
export const Line = Data.taggedEnum<Line>()

/** Holds at most one unfinished line of `lineBytesMax`. */
export class LineSplitter {
  readonly #lineBytesMax: number
  #parts: Array<Uint8Array> = []
  #sizeBytes = 0
  #scan: EnvelopeScan | undefined

  constructor(lineBytesMax: number) {
    this.#lineBytesMax = lineBytesMax
  }

  /** The lines completed by these bytes, in order. */
  push(chunk: Uint8Array): ReadonlyArray<Line> {
    const lines: Array<Line> = []
    let at = 0
    while (at < chunk.length) {
      const newline = chunk.indexOf(NEWLINE, at)
      const end = newline < 0 ? chunk.length : newline
      if (end > at) this.#append(chunk.subarray(at, end))
      if (newline < 0) break
      const line = this.#finish()
      if (line !== undefined) lines.push(line)
      at = newline + 1
    }
    // Only the unfinished rest outlives this call, so it must not keep a large chunk alive.
    const tail = this.#parts.length - 1
    const part = this.#parts[tail]
    if (part !== undefined && part.buffer === chunk.buffer && part.length < chunk.length)
      this.#parts[tail] = part.slice()
    return lines
  }

  /** What an ended stream leaves without a newline, if it is not blank. */
  finish(): Line | undefined {
    return this.#finish()
  }

  #append(part: Uint8Array): void {
    this.#sizeBytes += part.length
    if (this.#scan === undefined && this.#sizeBytes > this.#lineBytesMax) {
      this.#scan = new EnvelopeScan()
      for (const earlier of this.#parts) this.#scan.push(earlier)
      this.#parts = []
    }
    if (this.#scan === undefined) this.#parts.push(part)
    else this.#scan.push(part)
  }

  #finish(): Line | undefined {
    const [parts, scan, sizeBytes] = [this.#parts, this.#scan, this.#sizeBytes]
    this.#parts = []
    this.#scan = undefined
    this.#sizeBytes = 0
    if (scan !== undefined) return { _tag: "Oversized", sizeBytes, envelope: scan.envelope() }
    const bytes = withoutReturn(concat(parts, sizeBytes))
    // Without the constructor, which is a proxy.
    return isBlank(bytes) ? undefined : { _tag: "Whole", bytes }
  }
}

const concat = (parts: ReadonlyArray<Uint8Array>, sizeBytes: number): Uint8Array => {
  const [first] = parts
  if (first !== undefined && parts.length === 1) return first
  const whole = new Uint8Array(sizeBytes)
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}

const withoutReturn = (bytes: Uint8Array): Uint8Array =>
  bytes[bytes.length - 1] === CARRIAGE_RETURN ? bytes.subarray(0, -1) : bytes

const isBlank = (bytes: Uint8Array): boolean => {
  let at = 0
  while (at < bytes.length && (bytes[at] === SPACE || bytes[at] === TAB)) at++
  return at === bytes.length
}

const NEWLINE = 0x0a
const CARRIAGE_RETURN = 0x0d
const SPACE = 0x20
const TAB = 0x09

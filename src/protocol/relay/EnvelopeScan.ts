/**
 * Finds out what an over-long message is while throwing its bytes away, so that the call it belongs to can still be
 * answered (mcp §6.8). It follows only strings and nesting and keeps only the short members of the outermost object.
 * Mutable inside the `LineSplitter` that owns it.
 */
import { Result } from "effect"
import { type Envelope, peek } from "./JsonRpcPeek.ts"

/** One message, fed in pieces. */
export class EnvelopeScan {
  #depth = 0
  #inString = false
  #escaped = false
  /** The outermost object without its long values: `{"jsonrpc":"2.0","result":0,"id":7}`. */
  #kept: Array<number> = []
  /** Where in `#kept` the member or value being read starts. */
  #valueAt = 0
  #isLong = false
  #hasFailed = false

  /** Takes the next piece. */
  push(bytes: Uint8Array): void {
    for (const byte of bytes) this.#next(byte)
  }

  /** What the message is, as far as its short members tell; `undefined` if it is no JSON object. */
  envelope(): Envelope | undefined {
    if (this.#hasFailed || this.#depth !== 0) return undefined
    const envelope = Result.getOrUndefined(peek(Uint8Array.from(this.#kept)))
    return envelope === undefined || envelope._tag === "Batch" ? undefined : envelope
  }

  #next(byte: number): void {
    if (this.#hasFailed) return
    if (this.#inString) {
      this.#keep(byte)
      if (this.#escaped) this.#escaped = false
      else if (byte === BACKSLASH) this.#escaped = true
      else if (byte === QUOTE) this.#inString = false
      return
    }
    if (byte === QUOTE) this.#inString = true
    const closes = byte === CLOSE_BRACE || byte === CLOSE_BRACKET
    if (this.#depth === 1 && (closes || byte === COMMA || byte === COLON)) this.#endToken(byte === COLON)
    if (byte === OPEN_BRACE || byte === OPEN_BRACKET) this.#depth++
    this.#keep(byte)
    if (closes) this.#depth--
    if (this.#depth === 1 && (byte === COMMA || byte === COLON || byte === OPEN_BRACE)) this.#startToken()
  }

  #startToken(): void {
    this.#valueAt = this.#kept.length
    this.#isLong = false
  }

  /** A nested or long value is replaced by `0`, a long name by `""`: no reader of the envelope looks into either. */
  #endToken(isName: boolean): void {
    if (this.#isLong) {
      const shown = isName ? [QUOTE, QUOTE] : [ZERO]
      this.#kept.splice(this.#valueAt, this.#kept.length - this.#valueAt, ...shown)
    }
    if (this.#kept.length > KEPT_BYTES_MAX) this.#hasFailed = true
    this.#isLong = false
  }

  #keep(byte: number): void {
    if (this.#isLong) return
    if (this.#kept.length - this.#valueAt >= TOKEN_BYTES_MAX) this.#isLong = true
    else this.#kept.push(byte)
  }
}

const TOKEN_BYTES_MAX = 1024
const KEPT_BYTES_MAX = 16_384
const QUOTE = 0x22
const BACKSLASH = 0x5c
const OPEN_BRACE = 0x7b
const CLOSE_BRACE = 0x7d
const OPEN_BRACKET = 0x5b
const CLOSE_BRACKET = 0x5d
const COMMA = 0x2c
const COLON = 0x3a
const ZERO = 0x30

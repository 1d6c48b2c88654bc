/**
 * The record of calls (mcp §6.10): one JSON line per finished request, each with the SHA-256 of the line before. A line that
 * is changed, taken out or put in breaks the chain; only what is cut off at the end leaves no trace in the file itself.
 */
import * as Bytes from "../../core/data/Bytes.ts"
import * as Json from "../../core/data/Json.ts"

/** SHA-256. */
export type Sha256 = (bytes: Uint8Array) => Uint8Array

/** What happened to one request. Hashes are of raw bytes as they passed, in hex. */
export interface Call {
  /** Wall clock, ISO 8601. */
  readonly time: string
  /** With `epoch` and `seq` the same in the records of both ends; empty and 0 if the request never left the mount. */
  readonly session: string
  readonly epoch: number
  /** The number of the message that carried it, in its session and epoch. */
  readonly seq: number
  /** The node that called; undefined in the record of a mount. */
  readonly node: number | undefined
  /** The peer that was called; undefined in the record of its keeper. */
  readonly peer: string | undefined
  readonly service: string
  readonly method: string
  readonly target: string | undefined
  /** Raw JSON text of the request's id. */
  readonly id: string
  readonly argumentsHash: string | undefined
  /** Of the tool as its server defines it (mcp §6.9), where an approval depends on it. */
  readonly definitionHash: string | undefined
  readonly resultHash: string | undefined
  readonly bytesIn: number
  readonly bytesOut: number
  readonly durationMs: number
  readonly outcome: "ok" | "toolError" | "error" | "cancelled" | "unknown" | "denied"
  /** Of an error. */
  readonly code: number | undefined
  /**
   * `allow`, or what was against it. Of calls that need an approval: `approved` by a person for this once, `always` because
   * one said so before; `refused` by a person or, because one said so before, `never`; `expired` without an answer,
   * `unasked` because it could not be asked, `asking` when its caller gave it up before the answer.
   */
  readonly decision: Decision
  /** Of the approval, where there is one: what `pilotctl mcp approvals` calls it. */
  readonly approval: string | undefined
  /** The W3C trace context that the caller named. */
  readonly traceparent: string | undefined
  /** Raw JSON text, only if the owner wants it. */
  readonly arguments: string | undefined
}

/** What was decided about a request. */
export type Decision =
  | "allow"
  | "method"
  | "tool"
  | "quota"
  | "approved"
  | "always"
  | "refused"
  | "never"
  | "expired"
  | "unasked"
  | "asking"

/** Where a chain begins. */
export const ORIGIN = "0".repeat(64)

/** One line without its newline. `lost` calls before it could not be written. */
export const line = (call: Call, previous: string, lost: number): string =>
  JSON.stringify({ v: 1, previous, ...(lost === 0 ? {} : { lost }), ...call })

/** What the next line must carry. */
export const hash = (sha256: Sha256, text: string): string => Bytes.toHex(sha256(Bytes.fromUtf8(text)))

/** How a chain was found. `brokenAt` is the index of the first line that does not follow from the one before. */
export interface Verdict {
  readonly lines: number
  readonly lost: number
  readonly brokenAt: number | undefined
  /** What a line after the last would carry. */
  readonly head: string
}

/** Follows a chain. Its first line may follow one that is not there any more. */
export const verify = (sha256: Sha256, lines: ReadonlyArray<string>): Verdict => {
  let lost = 0
  let head = ORIGIN
  for (const [index, text] of lines.entries()) {
    const value = Json.parseObject(text)
    const previous = value === undefined ? undefined : Json.string(value, "previous")
    if (value === undefined || !/^[0-9a-f]{64}$/.test(previous ?? "") || (index > 0 && previous !== head)) {
      return { lines: lines.length, lost, brokenAt: index, head }
    }
    lost += Json.integer(value, "lost")
    head = hash(sha256, text)
  }
  return { lines: lines.length, lost, brokenAt: undefined, head }
}

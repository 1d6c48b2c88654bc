/** Puts another value in the place of one member of a message; every other byte stays (mcp §3.2). */
import * as Bytes from "../../core/data/Bytes.ts"
import * as JsonScanner from "./JsonScanner.ts"

/** The message with the raw JSON `value` at the end of `path`; the same message if nothing is there. */
export const replace = (bytes: Uint8Array, path: ReadonlyArray<string>, value: string): Uint8Array => {
  let span: JsonScanner.Span = { start: 0, end: bytes.length }
  for (const key of path) {
    const root = JsonScanner.read(bytes, span)
    const next = root?._tag === "Object" ? root.members.find((member) => member.key === key) : undefined
    if (next === undefined) return bytes
    span = next
  }
  return Bytes.concat(bytes.subarray(0, span.start), Bytes.fromUtf8(value), bytes.subarray(span.end))
}

/** The elements of an array, as bytes of their own; undefined for anything else. */
export const elements = (bytes: Uint8Array): ReadonlyArray<Uint8Array> | undefined => {
  const root = JsonScanner.read(bytes, { start: 0, end: bytes.length })
  return root?._tag === "Array" ? root.elements.map(({ end, start }) => bytes.slice(start, end)) : undefined
}

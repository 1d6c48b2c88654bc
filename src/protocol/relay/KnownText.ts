/**
 * Names and methods that nearly every message has, found without making a text: their bytes are compared in place, which
 * takes a fraction of decoding them, and equal names are one object.
 */

/** The text that the bytes from `start` to `end` spell, if it is one of those. */
export const find = (bytes: Uint8Array, start: number, end: number): string | undefined => {
  const candidates = end - start < BY_LENGTH.length ? BY_LENGTH[end - start] : undefined
  if (candidates === undefined) return undefined
  for (const { spelling, text } of candidates) {
    let index = 0
    while (index < spelling.length && bytes[start + index] === spelling[index]) index++
    if (index === spelling.length) return text
  }
  return undefined
}

interface Known {
  readonly text: string
  readonly spelling: Uint8Array
}

/** The most frequent of a length first. */
const TEXTS = [
  ...["id", "uri", "name", "code", "data", "text", "type", "_meta", "error", "tools", "total"],
  ...["method", "params", "result", "content", "jsonrpc", "isError", "message", "progress", "arguments"],
  ...["requestId", "nextCursor", "traceparent", "progressToken", "inputSchema", "structuredContent", "2.0"],
  ...["tools/call", "tools/list", "notifications/progress", "notifications/cancelled"]
]

const BY_LENGTH: ReadonlyArray<ReadonlyArray<Known> | undefined> = TEXTS.reduce<Array<Array<Known> | undefined>>(
  (lengths, text) => {
    const known = { text, spelling: new TextEncoder().encode(text) }
    lengths[text.length] = [...(lengths[text.length] ?? []), known]
    return lengths
  },
  // Without holes, because every look-up reads it.
  Array.from({ length: 1 + Math.max(...TEXTS.map((text) => text.length)) }, () => undefined)
)

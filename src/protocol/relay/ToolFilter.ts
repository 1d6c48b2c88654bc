/**
 * Tools taken out of a list (mcp §6.10) by cutting elements out of the raw bytes: whatever is not cut stays as it was, to
 * the space.
 */
import * as Bytes from "../../core/data/Bytes.ts"
import * as JsonScanner from "./JsonScanner.ts"
import * as RawJson from "./RawJson.ts"

/** One tool of a list as it lies in the message. */
export interface ListedTool extends JsonScanner.Span {
  /** Undefined if it has no name, or two. */
  readonly name: string | undefined
}

/** The tools of every `result.tools` in a message, or in the messages of a batch. */
export const listed = (bytes: Uint8Array): ReadonlyArray<ListedTool> => lists(bytes).flat()

/** The message with only the tools that are kept; the same bytes if all are. */
export const cut = (bytes: Uint8Array, keeps: (tool: ListedTool) => boolean): Uint8Array => {
  const removed: Array<JsonScanner.Span> = []
  for (const tools of lists(bytes)) {
    let kept = 0
    tools.forEach((tool, index) => {
      if (keeps(tool)) {
        kept++
        return
      }
      const next = tools[index + 1]
      const previous = tools[index - 1]
      // Each cut takes one comma along: the one behind, or, when nothing comes behind that stays, the one before.
      if (kept > 0 && previous !== undefined) removed.push({ start: previous.end, end: tool.end })
      else removed.push({ start: tool.start, end: next?.start ?? tool.end })
    })
  }
  if (removed.length === 0) return bytes
  const pieces: Array<Uint8Array> = []
  let at = 0
  for (const span of removed) {
    pieces.push(bytes.subarray(at, span.start))
    at = span.end
  }
  pieces.push(bytes.subarray(at))
  return Bytes.concat(...pieces)
}

const lists = (bytes: Uint8Array): ReadonlyArray<ReadonlyArray<ListedTool>> =>
  RawJson.messages(bytes).flatMap((message) =>
    RawJson.members(bytes, message, "result").flatMap((result) =>
      RawJson.members(bytes, result, "tools").flatMap((tools) => {
        const list = JsonScanner.read(bytes, tools)
        return list?._tag === "Array" ? [list.elements.map((span) => ({ ...span, name: nameOf(bytes, span) }))] : []
      })
    )
  )

const nameOf = (bytes: Uint8Array, tool: JsonScanner.Span): string | undefined => {
  const name = RawJson.only(bytes, tool, "name")
  return name === undefined || name === RawJson.TWICE ? undefined : JsonScanner.string(bytes, name)
}

/**
 * What can still be told of a line that is no JSON: whether it is a request or an answer, and whose. With that the party
 * that waits for it is told at once, instead of waiting for ever for a message that was dropped (mcp §2.1).
 *
 * It reads only the members of the outermost object, in one pass, and believes nothing else.
 */
import * as Json from "../../core/data/Json.ts"
import * as BridgeReplies from "./BridgeReplies.ts"

/** A request or an answer whose id is whole; `id` is raw JSON text. */
export interface BrokenMessage {
  readonly kind: "Request" | "Response"
  readonly id: string
}

/** What the line was meant to be; undefined if that cannot be told without guessing. */
export const read = (bytes: Uint8Array): BrokenMessage | undefined => {
  const members = membersOf(outermost(DECODER.decode(bytes)))
  const ids = members.filter(({ name }) => name === "id")
  const [id] = ids
  if (id === undefined || ids.length > 1 || !isId(id.value)) return undefined
  const has = (wanted: string) => members.some(({ name }) => name === wanted)
  if (has("method")) return { kind: "Request", id: id.value }
  return has("result") || has("error") ? { kind: "Response", id: id.value } : undefined
}

/** What to tell the sender of such a line: one error if it was a request, else nothing. */
export const refusals = (bytes: Uint8Array): ReadonlyArray<Uint8Array> => {
  const broken = read(bytes)
  return broken?.kind === "Request" ? [BridgeReplies.failure(broken.id, PARSE_ERROR, "The request is not JSON.")] : []
}

/** The text of the outermost object, with a `0` for every value that nests and a `""` for every long text. */
const outermost = (text: string): string => {
  let depth = 0
  let isString = false
  let kept = ""
  let keptFrom = 0
  let stringAt = 0
  for (let at = 0; at < text.length; at++) {
    const char = text[at]
    if (isString) {
      if (char === "\\") at++
      if (char !== '"') continue
      isString = false
      if (depth !== 1 || at - stringAt < TOKEN_CHARACTERS_MAX) continue
      kept += `${text.slice(keptFrom, stringAt)}""`
      keptFrom = at + 1
    } else if (char === '"') {
      isString = true
      stringAt = at
    } else if (char === "{" || char === "[") {
      if (++depth !== 2) continue
      kept += `${text.slice(keptFrom, at)}0`
    } else if (char === "}" || char === "]") {
      if (--depth === 1) keptFrom = at + 1
      if (depth < 1) return kept + text.slice(keptFrom, at + 1)
    }
  }
  // Cut off: what nests then has no end, and nothing of it is kept.
  return depth > 1 ? kept : kept + text.slice(keptFrom)
}

/** The members that are whole, from the first on; the first that is not ends the list. */
const membersOf = (text: string): ReadonlyArray<{ readonly name: string; readonly value: string }> => {
  const members: Array<{ readonly name: string; readonly value: string }> = []
  const start = /^\s*\{/.exec(text)
  if (start === null) return members
  const member = new RegExp(MEMBER, "y")
  member.lastIndex = start[0].length
  while (members.length < MEMBERS_MAX) {
    const [, rawName, value] = member.exec(text) ?? []
    if (rawName === undefined || value === undefined) break
    const name = Json.parse(rawName)
    if (typeof name === "string") members.push({ name, value })
  }
  return members
}

/** An id in which nothing was lost: a character that stands for bytes that are none may have been any. */
const isId = (raw: string): boolean => {
  const value = Json.parse(raw)
  return typeof value === "number" || (typeof value === "string" && !value.includes("\ufffd"))
}

const MEMBER = /\s*("(?:[^"\\]|\\.)*")\s*:\s*("(?:[^"\\]|\\.)*"|[^\s,"{}[\]]{1,1024})\s*(?:,|\}|$)/
/** JSON-RPC's code for what is no JSON. */
const PARSE_ERROR = -32700
const DECODER = new TextDecoder()
/** No id is longer, nor is the name of a member that says what a message is. */
const TOKEN_CHARACTERS_MAX = 1024
/** A message has five. */
const MEMBERS_MAX = 16

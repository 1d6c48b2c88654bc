/**
 * Lists of many services as one (mcp §6.11): ordered by alias, then by name, and given out in pages. A cursor names the
 * last entry given, so that it stays good while services come and go.
 */
import * as Bytes from "../../core/data/Bytes.ts"
import type { JsonObject } from "../../core/data/Json.ts"

/** One entry: where it stands, and what the client gets. */
export interface Entry {
  readonly alias: string
  readonly name: string
  readonly value: JsonObject
}

/** A part of a list; `nextCursor` is undefined for the last. */
export interface Page {
  readonly values: ReadonlyArray<JsonObject>
  readonly nextCursor: string | undefined
}

/** Entries in their order; of two that stand at the same place the first stays. */
export const sorted = <E extends Entry>(entries: Iterable<E>): ReadonlyArray<E> => {
  const all = new Map<string, E>()
  for (const entry of entries) {
    const key = place(entry)
    if (!all.has(key)) all.set(key, entry)
  }
  return [...all].toSorted(([a], [b]) => compare(a, b)).map(([, entry]) => entry)
}

/** The page after `cursor` of a sorted list; undefined for a cursor that is none. */
export const page = (entries: ReadonlyArray<Entry>, cursor: string | undefined): Page | undefined => {
  const after = cursor === undefined ? "" : decode(cursor)
  if (after === undefined) return undefined
  const values: Array<JsonObject> = []
  let sizeBytes = 0
  let last: Entry | undefined
  for (const entry of entries) {
    if (compare(place(entry), after) <= 0) continue
    sizeBytes += JSON.stringify(entry.value).length
    if (last !== undefined && (values.length === PAGE_ITEMS_MAX || sizeBytes > PAGE_BYTES_MAX)) {
      return { values, nextCursor: encode(place(last)) }
    }
    values.push(entry.value)
    last = entry
  }
  return { values, nextCursor: undefined }
}

/** An alias has no U+0000, so this orders by alias first. */
const place = ({ alias, name }: Entry): string => `${alias}\u0000${name}`

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

const encode = (text: string): string => Bytes.toBase64(Bytes.fromUtf8(text))

const decode = (cursor: string): string | undefined => {
  const bytes = cursor.length > CURSOR_CHARACTERS_MAX ? undefined : Bytes.fromBase64(cursor)
  const text = bytes === undefined ? undefined : Bytes.toUtf8(bytes)
  return text?.includes("\u0000") === true ? text : undefined
}

/** Official SDKs give up after 64 pages, and lines longer than 10 MiB end a client (mcp §2.1, §3). */
const PAGE_ITEMS_MAX = 250
const PAGE_BYTES_MAX = 1_048_576
/** A name is a URI at its longest. */
const CURSOR_CHARACTERS_MAX = 16_384

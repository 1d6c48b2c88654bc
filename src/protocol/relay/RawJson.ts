/** Members of raw JSON by name, where it matters that a name may occur twice: two readers could then see two messages. */
import * as JsonScanner from "./JsonScanner.ts"

/** In place of a member whose name occurs more than once. */
export const TWICE: unique symbol = Symbol("twice")

/** The message that fills the bytes, or those of a batch. */
export const messages = (bytes: Uint8Array): ReadonlyArray<JsonScanner.Span> => {
  const whole = { start: 0, end: bytes.length }
  const root = JsonScanner.read(bytes, whole)
  if (root === undefined || root._tag === "Scalar") return []
  return root._tag === "Array" ? root.elements : [whole]
}

/** Every member of that name of the object at `span`; none if it is no object. */
export const members = (bytes: Uint8Array, span: JsonScanner.Span, key: string): ReadonlyArray<JsonScanner.Span> => {
  const root = JsonScanner.read(bytes, span)
  return root?._tag === "Object" ? root.members.filter((member) => member.key === key) : []
}

/** The one member of that name, if there is one. */
export const only = (
  bytes: Uint8Array,
  span: JsonScanner.Span,
  key: string
): JsonScanner.Span | undefined | typeof TWICE => {
  const [first, second] = members(bytes, span, key)
  return second === undefined ? first : TWICE
}

/**
 * A failed dial as the text of an Error frame, and back (node §1.5). The protocol carries only text, so the words of
 * the reference are kept where it has any, and each of ours begins with a marker of its own.
 */
import { DialError } from "../node/Node.ts"

/** The text of an Error frame. */
export const format = (self: DialError, node: number): string => {
  switch (self.reason) {
    case "Refused":
      return "connection refused"
    case "Timeout":
      return "dial timeout"
    case "NotFound":
      return `resolve node ${node}: ${self.detail}`
    case "RegistryUnavailable":
      return `resolve node ${node}: registry: ${self.detail}`
    case "NoPath":
      return `node ${node} has no real address`
    default:
      return `${MARKERS[self.reason]}: ${self.detail}`
  }
}

/** What the text says; a text nobody knows is a path that was not found. */
export const parse = (text: string, target: string): DialError => {
  const make = (reason: DialError["reason"], detail = text) => new DialError({ reason, target, detail })
  if (text === "connection refused") return make("Refused")
  if (text === "dial timeout") return make("Timeout")
  if (/^resolve node \d+: registry: (?!request failed)/.test(text)) return make("RegistryUnavailable")
  if (/^resolve node \d+: /.test(text)) return make("NotFound")
  for (const [reason, marker] of MARKED) {
    if (text.startsWith(`${marker}: `)) return make(reason, text.slice(marker.length + 2))
  }
  if (/per-client connection quota/.test(text)) return make("TooManyConnections")
  return make("NoPath")
}

const MARKERS = {
  Untrusted: "dial: untrusted",
  KeyChanged: "dial: key changed",
  NameMoved: "dial: name moved",
  PortsExhausted: "dial: ports exhausted",
  NodeStopped: "dial: node stopped",
  TooManyConnections: "dial: too many connections"
} as const

const MARKED = Object.entries(MARKERS) as ReadonlyArray<readonly [keyof typeof MARKERS, string]>

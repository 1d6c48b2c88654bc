/**
 * Names of nodes (rendezvous §4.9): unique, and kept for their node while it is away for a while, so that a restart or
 * a lost link cannot lose a name to somebody else.
 */
import { Result } from "effect"
import type { NodeId } from "../wire/Address.ts"

/** Which node holds which name. Mutable; owned by `Registry`. */
export interface HostnameTable {
  readonly holders: Map<string, NodeId>
}

/** No names. */
export const make = (): HostnameTable => ({ holders: new Map() })

/** Checks a non-empty name; the failure is the reference's text (rendezvous §4.9). */
export const validate = (name: string): Result.Result<string, string> => {
  if (name.length > HOSTNAME_LENGTH_MAX) return Result.fail(`hostname too long (max ${HOSTNAME_LENGTH_MAX} chars)`)
  if (!isLabel(name)) {
    return Result.fail("hostname must be lowercase alphanumeric with hyphens, start/end with alphanumeric")
  }
  return RESERVED.has(name) ? Result.fail(`hostname "${name}" is reserved`) : Result.succeed(name)
}

/** `a-z`, `0-9`, `-`; not empty, no hyphen at either end. Tags and network names obey it too. */
export const isLabel = (text: string): boolean => LABEL.test(text)

/** The node that holds the name. */
export const holder = (self: HostnameTable, name: string): NodeId | undefined => self.holders.get(name)

/** Moves a node from its old name (empty for none) to a new one (empty for none). The new one must be free. */
export const move = (self: HostnameTable, node: NodeId, from: string, to: string): void => {
  if (from !== "" && self.holders.get(from) === node) self.holders.delete(from)
  if (to !== "") self.holders.set(to, node)
}

const HOSTNAME_LENGTH_MAX = 63
const LABEL = /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/
const RESERVED: ReadonlySet<string> = new Set(["localhost", "backbone", "broadcast"])

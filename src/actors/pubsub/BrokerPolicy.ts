/** What the policy says of topics: which a peer may publish, and which of those that it subscribes to it may hear. */
import type { Connection } from "../node/Node.ts"
import type { Guard } from "../policy/PolicyGuard.ts"

/** One connection to the broker. */
interface Whose {
  readonly connection: Pick<Connection, "remote">
  readonly context: { readonly guard: Guard }
  readonly isSelf: boolean
}

/** Why the peer may not publish this; undefined if it may. It counts as published then. */
export const refusal = (
  { connection, context, isSelf }: Whose,
  topic: string,
  sizeBytes: number
): string | undefined => {
  if (isSelf) return undefined
  const wish = { service: "events/publish", target: topic, sizeBytes } as const
  const answer = context.guard.ask(connection.remote.node, wish, true)
  return answer.isAllowed ? undefined : answer.text
}

/** Whether the peer may subscribe with this filter at all: one with stars is looked at event by event. */
export const mayHear = ({ connection, context, isSelf }: Whose, filter: string): boolean => {
  if (isSelf || context.guard.isOpen()) return true
  const isOne = !filter.includes("*")
  const wish = { service: "events/subscribe", ...(isOne ? { target: filter } : {}) } as const
  return context.guard.ask(connection.remote.node, wish, true).isAllowed
}

/** Whether the peer may hear an event of this topic now. */
export const hears =
  ({ connection, context, isSelf }: Whose) =>
  (topic: string): boolean =>
    isSelf || isPermitted(context.guard, connection.remote.node, topic)

const isPermitted = (guard: Guard, node: Whose["connection"]["remote"]["node"], topic: string): boolean =>
  guard.isOpen() || guard.permits(node, { service: "events/subscribe", target: topic }, true)

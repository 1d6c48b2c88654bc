/** What a node tells its services about its life at the registry. */
import type { Data } from "effect"
import type { Address } from "../../protocol/wire/Address.ts"

/** `Registered` after the first and after every later registration; `HeartbeatAnswered` after every heartbeat. */
export type NodeEvent = Data.TaggedEnum<{
  Registered: { readonly address: Address; readonly isFirst: boolean }
  HeartbeatAnswered: {}
}>

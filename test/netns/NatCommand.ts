/** What a process of nodes in a home is told, and what it answers. */
import { Schema } from "effect"

/** Where the rendezvous is. */
export const Card = Schema.Struct({
  registry: Schema.String,
  beacon: Schema.String,
  wss: Schema.String,
  fingerprint: Schema.String
})

const common = { id: Schema.Int, name: Schema.String }
const waiting = { ...common, to: Schema.String, waitMs: Schema.Finite }

/** Answer to `take`: who a node will be. */
export const Reserved = Schema.Struct({ address: Schema.String, publicKey: Schema.String, identity: Schema.String })

const both = { ...common, own: Reserved, peer: Reserved }
export const Open = Schema.Struct({ op: Schema.Literals(["open", "close"]), ...both })

/** One line to it. */
export const Command = Schema.Union([
  Schema.Struct({ op: Schema.Literal("take"), id: Schema.Int }),
  Open,
  Schema.Struct({ op: Schema.Literal("dial"), ...waiting }),
  Schema.Struct({ op: Schema.Literal("await"), ...waiting }),
  Schema.Struct({ op: Schema.Literal("pulse"), ...waiting })
])

const Path = Schema.Literals(["direct", "relay", "none"])

/** Answer to `dial`; milliseconds from its beginning. */
export const Dialled = Schema.Struct({
  firstByteMs: Schema.Finite,
  path: Path,
  endpoint: Schema.optionalKey(Schema.String),
  directMs: Schema.optionalKey(Schema.Finite)
})
/** Answer to `pulse`: the longest time between two answers, and what the path became, when (milliseconds of the epoch). */
export const Pulsed = Schema.Struct({
  silentMs: Schema.Finite,
  changes: Schema.Array(Schema.Struct({ atMs: Schema.Finite, path: Path }))
})
/** Answer to `await`. */
export const Awaited = Schema.Struct({ path: Path })

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

/** One line to it. */
export const Command = Schema.Union([
  Schema.Struct({ op: Schema.Literal("open"), ...common }),
  Schema.Struct({ op: Schema.Literal("close"), ...common }),
  Schema.Struct({ op: Schema.Literal("dial"), ...waiting }),
  Schema.Struct({ op: Schema.Literal("await"), ...waiting })
])

const Path = Schema.Literals(["direct", "relay", "none"])

/** Answer to `open`. */
export const Opened = Schema.Struct({ address: Schema.String })
/** Answer to `dial`; milliseconds from its beginning. */
export const Dialled = Schema.Struct({
  firstByteMs: Schema.Finite,
  path: Path,
  directMs: Schema.optionalKey(Schema.Finite)
})
/** Answer to `await`. */
export const Awaited = Schema.Struct({ path: Path })

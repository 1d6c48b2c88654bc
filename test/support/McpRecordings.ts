/** The recorded stdio sessions of the MCP vectors. */
import { Schema } from "effect"
import vectors from "../vectors/mcp.json" with { type: "json" }

const Step = Schema.Struct({ dir: Schema.optionalKey(Schema.String), msg: Schema.optionalKey(Schema.Json) })
const Recordings = Schema.Struct({
  stdio: Schema.Array(Schema.Struct({ id: Schema.String, steps: Schema.Array(Step) }))
})

/** Each with its steps in order; a step without `msg` is something other than a message. */
export const stdio = Schema.decodeUnknownSync(Recordings)(vectors).stdio

/** The rows of `pilotctl mcp approvals`. */
import { Effect } from "effect"
import * as CliError from "../CliError.ts"
import type { Command } from "../Command.ts"
import * as Values from "../Values.ts"

const list: Command = {
  name: "mcp approvals",
  usage: "",
  summary: "The calls that wait until you allow them (mcp expose --ask), and what you decided for good",
  returns:
    "waiting [id, service, node_id, address, peer, fingerprint, tool, parameters_bytes, definition_sha256, asked_at, expires_at], " +
    "remembered [id, verdict, service, server, peer, public_key, tool, definition_sha256, created_at]",
  flags: [],
  run: ({ positionals }) =>
    Effect.gen(function* () {
      const [word] = positionals
      if (word !== undefined) {
        const help = "available: list, show, allow, deny, revoke"
        return yield* CliError.invalidArgument(`unknown mcp approvals subcommand: ${word}`, help)
      }
      const { list } = yield* McpApprovals
      return yield* list
    })
}

const show: Command = {
  name: "mcp approvals show",
  usage: "<id>",
  summary: "One call that waits, with its caller's key and everything that its server would get",
  returns:
    "id, service, node_id, address, peer, fingerprint, tool, parameters, definition_sha256, asked_at, expires_at",
  flags: [],
  run: (input) =>
    Effect.gen(function* () {
      const id = yield* Effect.fromResult(Values.positional(show, input, 0))
      const { show: run } = yield* McpApprovals
      return yield* run(id)
    })
}

const decideRow = (word: "allow" | "deny", forGood: "always" | "never", summary: string): Command => {
  const row: Command = {
    name: `mcp approvals ${word}`,
    usage: "<id>",
    summary,
    returns: "id, verdict",
    flags: [
      {
        name: "always",
        value: "boolean",
        summary: "and so from now on for this peer's key, service and tool, until the tool's definition changes"
      }
    ],
    run: Effect.fnUntraced(function* (input) {
      const id = yield* Effect.fromResult(Values.positional(row, input, 0))
      const { decide } = yield* McpApprovals
      return yield* decide(id, Values.boolean(input, "always") === true ? forGood : word)
    })
  }
  return row
}

const revoke: Command = {
  name: "mcp approvals revoke",
  usage: "<id>",
  summary: "Forgets what was decided for good: the next call like it is asked about",
  returns: "id",
  flags: [],
  run: (input) =>
    Effect.gen(function* () {
      const id = yield* Effect.fromResult(Values.positional(revoke, input, 0))
      const { revoke: run } = yield* McpApprovals
      return yield* run(id)
    })
}

/** Loaded when one is run. */
const McpApprovals = Effect.promise(() => import("./McpApprovals.ts"))

/** The rows. */
export const approvals: ReadonlyArray<Command> = [
  list,
  { ...list, name: "mcp approvals list", summary: "Another name of mcp approvals" },
  show,
  decideRow("allow", "always", "Lets a call that waits go on"),
  decideRow("deny", "never", "Answers a call that waits: its caller reads that it was not allowed"),
  revoke
]

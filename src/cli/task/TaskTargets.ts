/** Whom `task submit` means: a peer by its name or address, or `--capability WORDS`, whoever of the trusted peers offers it. */
import { Duration, Effect } from "effect"
import { PEERS_MAX } from "../../protocol/task/Passing.ts"
import * as Address from "../../protocol/wire/Address.ts"
import { PORT } from "../../protocol/wire/TaskFrame.ts"
import * as CliError from "../CliError.ts"
import type { Command, Environment, Flag, Input } from "../Command.ts"
import * as DaemonClient from "../DaemonClient.ts"
import * as TrustFirst from "../trust/TrustFirst.ts"
import * as Values from "../Values.ts"

/** What stands in place of a peer. */
export const FLAGS: ReadonlyArray<Flag> = [
  {
    name: "capability",
    value: "text",
    placeholder: "words",
    repeats: true,
    summary: "in place of a peer: whoever offers it, the one that has done best first"
  },
  {
    name: "anyone",
    value: "boolean",
    summary: "with --capability: if no trusted peer can do it, ask strangers with a public card for trust"
  },
  {
    name: "accept-within",
    value: "duration",
    summary: "with --capability: the next one is asked after this (default 1m)"
  }
]

/** What `task.submit` is told of it. */
export interface Target {
  readonly address: Address.Address
  /** There are no others: only this peer is meant. */
  readonly others?: ReadonlyArray<number>
  readonly acceptMs: number
}

/** Finds the peer, or those that can do it. */
export const find = Effect.fnUntraced(function* (
  command: Command,
  client: DaemonClient.IpcClient,
  input: Input
): Effect.fn.Return<Target, CliError.CliError, Environment> {
  const words = Values.texts(input, "capability").join(" ").trim()
  const acceptMs = Duration.toMillis(yield* Effect.fromResult(Values.duration(input, "accept-within", 0)))
  if (words === "") {
    const text = yield* Effect.fromResult(Values.positional(command, input, 0))
    return { address: yield* DaemonClient.target(client, input, text), acceptMs }
  }
  if (input.positionals.length > 0) return yield* CliError.invalidArgument("--capability stands in place of a peer")
  const [first, ...others] = yield* capable(client, input, words)
  return { address: Address.make(0, first!), others, acceptMs }
})

const capable = Effect.fnUntraced(function* (client: DaemonClient.IpcClient, input: Input, words: string) {
  const FindServices = yield* Effect.promise(() => import("../mcp/FindServices.ts"))
  const question = { words, schema: undefined, limit: FOUND_MAX }
  const { found, problems } = yield* Effect.scoped(FindServices.search({ ...question, includePublic: false }))
  const usable = found.filter(({ isUsable }) => isUsable).map(({ peer }) => Address.NodeId(peer.node))
  const nodes = [...new Set(usable)].slice(0, PEERS_MAX)
  if (nodes.length > 0) return nodes
  if (Values.boolean(input, "anyone") === true) {
    const all = yield* Effect.scoped(FindServices.search({ ...question, includePublic: true }))
    const strangers = [...new Set(all.found.map(({ peer }) => Address.NodeId(peer.node)))].slice(0, STRANGERS_MAX)
    for (const node of strangers) {
      if ((yield* Effect.exit(earn(client, input, node)))._tag === "Success") return [node]
    }
  }
  const [problem] = problems
  return yield* CliError.make(
    "not_found",
    `no peer that this node may give it to was found for ${JSON.stringify(words)}` +
      (problem === undefined ? "" : `; node ${problem.node}: ${problem.detail}`),
    `pilotctl find --capability ${JSON.stringify(words)}`
  )
})

const earn = (client: DaemonClient.IpcClient, input: Input, node: Address.NodeId) => {
  const address = Address.make(0, node)
  const text = Address.format(address)
  const failure = `cannot give a task to ${text}`
  return Effect.scoped(
    TrustFirst.dial(client, input, { address, text, port: PORT, timeout: EARN, failure, justification: "a task" })
  )
}

/** Services that fit, of which those that may be used are looked at. */
const FOUND_MAX = 64
/** Asked for trust, one after the other. */
const STRANGERS_MAX = 4
const EARN = Duration.seconds(20)

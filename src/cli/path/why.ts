/** `why`: how a peer is reached, and why so; the one line that `connect` and `ping` say about it. */
import { Effect } from "effect"
import type { IpcClient } from "../../actors/ipc/IpcClient.ts"
import * as Json from "../../core/data/Json.ts"
import * as Address from "../../protocol/wire/Address.ts"
import type * as CliError from "../CliError.ts"
import { type Command, type Environment, type Input, type Output, output } from "../Command.ts"
import * as DaemonClient from "../DaemonClient.ts"
import * as Terminal from "../Terminal.ts"
import * as Values from "../Values.ts"
import * as WhyText from "./WhyText.ts"

const why: Command = {
  name: "why",
  usage: "<address|hostname>",
  summary: "How a peer is reached and why so: every way that was tried, the one in use, and what would be better",
  returns:
    "target, node_id, kind (direct, hole-punch, relay, websocket, none), path, rtt_ms, loss, encrypted, authenticated, reason, " +
    "candidates [path, source, verdict, in_use, heard_ms_ago, sent_bytes, received_bytes, unanswered, probes_sent, " +
    "probes_answered, rtt_ms, loss], nat, port_mapping [protocol, external], port_map_detail, advice, error",
  flags: [],
  run: Effect.fnUntraced(function* (input): Effect.fn.Return<Output, CliError.CliError, Environment> {
    const text = yield* Effect.fromResult(Values.positional(why, input, 0))
    const client = yield* DaemonClient.connect
    const address = yield* DaemonClient.target(client, input, text)
    const { node } = address
    // A way that nobody uses is not looked for, so it is used once.
    const pinged = yield* Effect.result(client.extension("ping", { node, timeout_ms: PATIENCE_MS }))
    const found = yield* DaemonClient.ask("why", client.extension("why", { node }))
    const error = pinged._tag === "Success" ? {} : { error: pinged.failure.detail }
    const data = { target: Address.format(address), node_id: node, ...found, ...error }
    return output(data, WhyText.why(data))
  })
}

/** The rows of this group. */
export const commands: ReadonlyArray<Command> = [why]

/** One line for a person on how a peer is connected; none if the daemon cannot tell, as that of the reference. */
export const note = Effect.fnUntraced(function* (client: IpcClient, input: Input, node: Address.NodeId) {
  if (input.json) return
  const told = yield* Effect.result(client.extension("why", { node }))
  if (told._tag === "Success" && Json.string(told.success, "kind") !== "none")
    yield* Terminal.note(input, WhyText.summary(told.success))
})

const PATIENCE_MS = 5_000

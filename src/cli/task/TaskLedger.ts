/** `task ledger`: how the tasks that this node gave away have ended, by peer and kind. */
import { Effect } from "effect"
import * as Json from "../../core/data/Json.ts"
import type { Tally } from "../../protocol/task/TaskLedger.ts"
import type * as CliError from "../CliError.ts"
import { type Command, type Environment, type Output, output } from "../Command.ts"
import * as DaemonClient from "../DaemonClient.ts"
import * as TaskClient from "./TaskClient.ts"
import * as TaskText from "./TaskText.ts"

/** The command. */
export const ledger: Command = {
  name: "task ledger",
  usage: "",
  summary: "How the tasks that this node gave away have ended, by peer and kind",
  returns: "ledger [declined, done, failed, hostname, kind, last_at, late, node_id, public_key]",
  flags: [],
  run: Effect.fnUntraced(function* (): Effect.fn.Return<Output, CliError.CliError, Environment> {
    const client = yield* DaemonClient.connect
    const tallies = yield* TaskClient.tallies(client)
    const known = Json.objects(yield* DaemonClient.ask("trust.keys", client.extension("trust.keys", {})), "trusted")
    const nodes = new Map(known.map((row) => [Json.string(row, "public_key"), row]))
    const rows = tallies.map((tally) => row(tally, nodes.get(tally.peerKey)))
    return output({ ledger: rows }, text(rows))
  })
}

const row = ({ kind, lastAtMs, peerKey, ...counts }: Tally, peer: Json.JsonObject | undefined): Json.JsonObject => ({
  ...counts,
  hostname: peer === undefined ? "" : Json.string(peer, "hostname"),
  kind,
  last_at: TaskText.timeText(lastAtMs),
  node_id: peer === undefined ? 0 : Json.unsigned(peer, "node_id", 32),
  public_key: peerKey
})

const text = (rows: ReadonlyArray<Json.JsonObject>): string =>
  rows.length === 0
    ? "No task has ended yet"
    : rows
        .map((one) => {
          const node = Json.integer(one, "node_id")
          const who =
            Json.string(one, "hostname") || (node === 0 ? `key ${Json.string(one, "public_key")}` : `node ${node}`)
          const counts = ["done", "failed", "late", "declined"].map((name) => `${Json.integer(one, name)} ${name}`)
          return `${who}  ${Json.string(one, "kind") || "(any kind)"}: ${counts.join(", ")}`
        })
        .join("\n")

/** Commands about the own node: what it is, whom it sees, what it is called (cli §4, §5, §8). */
import { Effect, Result } from "effect"
import * as Json from "../../core/data/Json.ts"
import * as CliError from "../CliError.ts"
import { type Command, type Environment, type Output, output } from "../Command.ts"
import * as ConfigFile from "../ConfigFile.ts"
import * as DaemonClient from "../DaemonClient.ts"
import * as FindFlags from "../mcp/FindFlags.ts"
import * as FingerprintFlag from "../trust/FingerprintFlag.ts"
import * as Values from "../Values.ts"
import * as NodeText from "./NodeText.ts"

const info: Command = {
  name: "info",
  usage: "",
  summary: "What this node is: address, key fingerprint, peers, connections, traffic",
  returns: "the whole status: address, node_id, fingerprint, peer_list, conn_list, counters",
  flags: [{ ...FingerprintFlag.FLAG, summary: "the key this node should have; an error if it has another" }],
  run: Effect.fnUntraced(function* (input): Effect.fn.Return<Output, CliError.CliError, Environment> {
    const typed = yield* FingerprintFlag.read(input)
    const status = yield* DaemonClient.once("info", (client) => client.info)
    yield* FingerprintFlag.compare(typed, Json.string(status, "fingerprint"), "this node")
    return output(status, NodeText.info(status))
  })
}

const health: Command = {
  name: "health",
  usage: "",
  summary: "A short status for probes; never touches the network",
  returns: "status, uptime_seconds, counters",
  flags: [],
  run: () =>
    Effect.map(
      DaemonClient.once("health", (client) => client.health),
      (data) => output(data)
    )
}

const peers: Command = {
  name: "peers",
  usage: "",
  summary: "The peers this node has a tunnel to, with path and key fingerprint",
  returns: "peers [node_id, endpoint, encrypted, authenticated, …], total",
  flags: [{ name: "search", value: "text", placeholder: "query", summary: "part of a node id or endpoint" }],
  run: (input) =>
    Effect.map(
      DaemonClient.once("peers", (client) => client.info),
      (status) => {
        const query = Values.text(input, "search") ?? ""
        const found = Json.objects(status, "peer_list").filter((row) => isMatch(row, query))
        // An empty list is null in the reference, and its users test for that.
        const data = { peers: found.length === 0 ? null : found, total: found.length }
        return output(data, NodeText.peers(found, query))
      }
    )
}

const lan: Command = {
  name: "lan",
  usage: "",
  summary: "Nodes on the local network: those whose pinned key signs what they say, and strangers",
  returns: "neighbours [node_id, name, endpoint, fingerprint, known, same_rendezvous, heard_at], total",
  flags: [],
  run: () =>
    Effect.map(
      DaemonClient.once("lan", (client) => client.info),
      (status) => {
        const rows = Json.objects(status, "neighbours")
        return output({ neighbours: rows, total: rows.length }, NodeText.neighbours(rows))
      }
    )
}

const connections: Command = {
  name: "connections",
  usage: "",
  summary: "Every stream of the daemon, with its congestion state",
  returns: "connections [id, local_port, remote_addr, remote_port, state, …], total",
  flags: [],
  run: () =>
    Effect.map(
      DaemonClient.once("connections", (client) => client.info),
      (status) => {
        const rows = Json.objects(status, "conn_list")
        return output({ connections: rows, total: rows.length }, NodeText.connections(rows))
      }
    )
}

const disconnect: Command = {
  name: "disconnect",
  usage: "<conn_id>",
  summary: "Closes a stream of the daemon, whoever opened it",
  returns: "conn_id",
  flags: [],
  run: Effect.fnUntraced(function* (input) {
    const id = yield* Effect.fromResult(Result.flatMap(Values.positional(disconnect, input, 0), Values.connectionId))
    yield* DaemonClient.once("disconnect", (client) => client.closeConnection(id))
    return output({ conn_id: id })
  })
}

const find: Command = {
  name: "find",
  usage: "<hostname>",
  summary: "Looks a name up, and pins the key behind it at its first use; or finds services by what they can do",
  returns:
    "address, hostname, node_id, public, fingerprint; of services: found [peer, service, target, usable, next, title, " +
    "description, version, name, eras, score, tools, tools_count], problems [node_id, detail], asked",
  flags: FindFlags.FLAGS,
  run: Effect.fnUntraced(function* (input): Effect.fn.Return<Output, CliError.CliError, Environment> {
    if (FindFlags.isGiven(input)) return yield* FindFlags.run(input)
    const name = yield* Effect.fromResult(Values.positional(find, input, 0))
    const client = yield* DaemonClient.connect
    const found = yield* Effect.mapError(client.resolveHostname(name), (error) =>
      notFound(name, DaemonClient.unresolved(name, error))
    )
    const data = {
      address: Json.string(found, "address"),
      hostname: Json.string(found, "hostname"),
      node_id: Json.integer(found, "node_id"),
      public: Json.boolean(found, "public"),
      fingerprint: Json.member(found, "fingerprint")
    }
    return output(data, NodeText.found(data))
  })
}

const lookup: Command = {
  name: "lookup",
  usage: "<node_id>",
  summary: "What the registry says about a node",
  returns: "the registry's reply: address, hostname, public_key, public, …",
  flags: [],
  run: Effect.fnUntraced(function* (input) {
    const node = yield* Effect.fromResult(Result.flatMap(Values.positional(lookup, input, 0), Values.nodeId))
    const client = yield* DaemonClient.connect
    return output(yield* Effect.mapError(client.extension("lookup", { node }), DaemonClient.registryFailure))
  })
}

const setHostname: Command = {
  name: "set-hostname",
  usage: "<hostname>",
  summary: "Gives this node a name, at the registry and for the next start",
  returns: "hostname, node_id",
  flags: [],
  run: Effect.fnUntraced(function* (input) {
    const name = yield* Effect.fromResult(Values.positional(setHostname, input, 0))
    const reply = yield* DaemonClient.once("set-hostname", (client) => client.setHostname(name))
    yield* ConfigFile.update({ hostname: name })
    const data = { hostname: Json.string(reply, "hostname"), node_id: Json.integer(reply, "node_id") }
    return output(data, `hostname set: ${data.hostname}`)
  })
}

const clearHostname: Command = {
  name: "clear-hostname",
  usage: "",
  summary: "Gives the name of this node back",
  returns: "hostname",
  flags: [],
  run: Effect.fnUntraced(function* () {
    yield* DaemonClient.once("clear-hostname", (client) => client.setHostname(""))
    yield* ConfigFile.update({ hostname: "" })
    return output({ hostname: "" }, "hostname cleared")
  })
}

const visibility = (name: string, isPublic: boolean, summary: string): Command => ({
  name,
  usage: "",
  summary,
  returns: "node_id, type, visibility",
  flags: [],
  run: () =>
    Effect.map(
      DaemonClient.once(name, (client) => client.setVisibility(isPublic)),
      (data) => output(data)
    )
})

/** The rows of this group. */
export const commands: ReadonlyArray<Command> = [
  info,
  health,
  peers,
  lan,
  connections,
  disconnect,
  find,
  lookup,
  setHostname,
  clearHostname,
  visibility("set-public", true, "Lets every node of the registry see this node's endpoint and reach its echo"),
  visibility("set-private", false, "Hides this node's endpoint and ports from nodes it does not trust")
]

const isMatch = (row: Json.JsonObject, query: string): boolean =>
  String(Json.integer(row, "node_id")).includes(query) || Json.string(row, "endpoint").includes(query)

const notFound = (name: string, told: CliError.CliError): CliError.CliError =>
  told.code === "not_found"
    ? CliError.make(
        "not_found",
        `cannot find ${JSON.stringify(name)} — hostname not found or no mutual trust`,
        `establish trust first: pilotctl handshake ${name} "reason"`
      )
    : told

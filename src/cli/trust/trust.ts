/** Commands about trust: asking for it, deciding, showing it with fingerprints to compare (cli §7, security rule 1). */
import { Effect } from "effect"
import * as Json from "../../core/data/Json.ts"
import * as Address from "../../protocol/wire/Address.ts"
import * as CliError from "../CliError.ts"
import { CliHost } from "../CliHost.ts"
import { type Command, type Environment, type Flag, type Input, type Output, output } from "../Command.ts"
import * as DaemonClient from "../DaemonClient.ts"
import * as Terminal from "../Terminal.ts"
import * as Values from "../Values.ts"
import * as FingerprintFlag from "./FingerprintFlag.ts"
import * as TrustText from "./TrustText.ts"

/** Only the newer spelling takes a flag: `handshake` uses its words as they come (cli §1.1). */
const handshakeAs = (name: string, usage: string, flags: ReadonlyArray<Flag>): Command => {
  const command: Command = {
    name,
    usage,
    summary: "Asks a node for trust; a handshake in each direction makes it mutual",
    returns: "node_id, status (sent or already_trusted)",
    flags,
    run: Effect.fnUntraced(function* (input) {
      const text = yield* Effect.fromResult(Values.positional(command, input, 0))
      const typed = yield* FingerprintFlag.read(input)
      const client = yield* DaemonClient.connect
      const node = yield* nodeToGreet(client, input, text)
      if (typed !== undefined) {
        const peer = yield* DaemonClient.ask("peer", client.extension("peer", { target: String(node) }))
        yield* FingerprintFlag.compare(typed, Json.string(peer, "fingerprint"), text)
      }
      const reply = yield* DaemonClient.ask("handshake", client.handshake(node, input.positionals[1] ?? ""))
      return output(reply, TrustText.requested(reply))
    })
  }
  return command
}

const pendingAs = (name: string): Command => ({
  name,
  usage: "",
  summary: "Requests for trust that wait for a decision here",
  returns: "pending [node_id, justification, public_key, fingerprint, received_at]",
  flags: [],
  run: () =>
    Effect.gen(function* () {
      const { localOffsetMinutes } = yield* CliHost
      const reply = yield* DaemonClient.once("pending", (client) => client.pending)
      const rows = Json.objects(reply, "pending")
      return output(reply, TrustText.pending(rows, localOffsetMinutes))
    })
})

const trustAs = (name: string): Command => ({
  name,
  usage: "",
  summary: "The nodes this node trusts, with their key fingerprints",
  returns: "trusted [node_id, public_key, fingerprint, mutual, network, approved_at]",
  flags: [{ ...FingerprintFlag.FLAG, summary: "only the peer with this key; an error if there is none" }],
  run: Effect.fnUntraced(function* (input): Effect.fn.Return<Output, CliError.CliError, Environment> {
    const { localOffsetMinutes } = yield* CliHost
    const typed = yield* FingerprintFlag.read(input)
    const reply = yield* DaemonClient.once("trust", (client) => client.trusted)
    const all = Json.objects(reply, "trusted")
    if (typed === undefined) return output(reply, TrustText.trusted(all, localOffsetMinutes))
    const rows = all.filter((row) => Json.string(row, "fingerprint") === typed)
    if (rows.length === 0)
      return yield* CliError.make("not_found", `no trusted peer has the key ${typed}`, COMPARE_HINT)
    return output({ ...reply, trusted: rows }, TrustText.trusted(rows, localOffsetMinutes))
  })
})

const approveAs = (name: string): Command => {
  const command: Command = {
    name,
    usage: "<node_id>",
    summary: "Grants a pending request; with --fingerprint only to that key",
    returns: "node_id, status, fingerprint",
    flags: [FingerprintFlag.FLAG],
    run: Effect.fnUntraced(function* (input) {
      const client = yield* DaemonClient.connect
      const node = yield* nodeOf(command, client, input)
      const typed = Values.text(input, "fingerprint")
      const decision =
        typed === undefined
          ? client.approve(node)
          : client.extension("approve", { node, fingerprint: yield* FingerprintFlag.parse(typed) })
      const reply = yield* DaemonClient.ask("approve", decision)
      return output(reply, TrustText.approved(reply))
    })
  }
  return command
}

const rejectAs = (name: string): Command => {
  const command: Command = {
    name,
    usage: "<node_id> [reason]",
    summary: "Refuses a pending request",
    returns: "node_id, status",
    flags: [],
    run: Effect.fnUntraced(function* (input) {
      const client = yield* DaemonClient.connect
      const node = yield* nodeOf(command, client, input)
      const reply = yield* DaemonClient.ask("reject", client.reject(node, input.positionals[1] ?? ""))
      return output(reply, `handshake from node ${node} rejected`)
    })
  }
  return command
}

const untrustAs = (name: string): Command => {
  const command: Command = {
    name,
    usage: "<node_id>",
    summary: "Ends the trust in a node: it is told, its tunnel and streams are closed",
    returns: "node_id",
    flags: [],
    run: Effect.fnUntraced(function* (input) {
      const client = yield* DaemonClient.connect
      const node = yield* nodeOf(command, client, input)
      yield* DaemonClient.ask("untrust", client.revoke(node))
      return output({ node_id: node })
    })
  }
  return command
}

const acceptKey: Command = {
  name: "trust accept-key",
  usage: "<node_id|hostname>",
  summary: "Your decision after a key change: from now on this key stands behind the peer",
  returns: "node_id, fingerprint",
  flags: [{ ...FingerprintFlag.FLAG, isRequired: true }],
  run: Effect.fnUntraced(function* (input): Effect.fn.Return<Output, CliError.CliError, Environment> {
    const text = yield* Effect.fromResult(Values.positional(acceptKey, input, 0))
    const typed = Values.text(input, "fingerprint")
    if (typed === undefined) return yield* CliError.invalidArgument("--fingerprint is required", COMPARE_HINT)
    const fingerprint = yield* FingerprintFlag.parse(typed)
    const literal = DaemonClient.parse(text)
    const subject: Json.JsonObject = literal === undefined ? { name: text } : { node: literal.node }
    const request = (client: DaemonClient.IpcClient) => client.extension("pin.accept", { ...subject, fingerprint })
    const reply = yield* DaemonClient.once("trust accept-key", request)
    return output(reply, `key of node ${Json.integer(reply, "node_id")} accepted: ${Json.string(reply, "fingerprint")}`)
  })
}

/** The rows of this group; `trust add` and its like are the spellings of the product's articles (cli §7). */
export const commands: ReadonlyArray<Command> = [
  handshakeAs("handshake", "<node_id|address|hostname> [justification]", []),
  pendingAs("pending"),
  approveAs("approve"),
  rejectAs("reject"),
  trustAs("trust"),
  untrustAs("untrust"),
  handshakeAs("trust add", "<node_id|address|hostname> [justification]", [FingerprintFlag.FLAG]),
  trustAs("trust list"),
  untrustAs("trust remove"),
  untrustAs("trust rm"),
  pendingAs("trust pending"),
  approveAs("trust approve"),
  rejectAs("trust reject"),
  acceptKey
]

/** The peer of a handshake; what was understood is said on standard error (cli §7). */
const nodeToGreet = Effect.fnUntraced(function* (client: DaemonClient.IpcClient, input: Input, text: string) {
  const literal = DaemonClient.parse(text)
  if (literal !== undefined) {
    if (text.includes(":"))
      yield* Terminal.note(input, `parsed address ${Address.format(literal)} → node ${literal.node}`)
    return literal.node
  }
  const found = yield* Effect.mapError(client.resolveHostname(text), (error) => {
    const told = DaemonClient.unresolved(text, error)
    const { message } = DaemonClient.failure(`resolve ${JSON.stringify(text)}`, error)
    return told.code === "not_found" ? CliError.make("not_found", message, NAME_HINT) : told
  })
  const node = Address.NodeId(Json.unsigned(found, "node_id", 32))
  yield* Terminal.note(input, `resolved ${text} → node ${node}`)
  return node
})

const nodeOf = Effect.fnUntraced(function* (command: Command, client: DaemonClient.IpcClient, input: Input) {
  const text = yield* Effect.fromResult(Values.positional(command, input, 0))
  return (yield* DaemonClient.target(client, input, text)).node
})

const NAME_HINT = "names are told to trusted peers only; before that, the node's address or number: pilotctl info there"

const COMPARE_HINT = "ask the peer's owner for it, on another way than this network: pilotctl info"
